// rhea: that messages arrive as they were sent, and what they are to peers that speak MQTT.

import assert from 'node:assert/strict';

import mqtt from 'mqtt';
import rhea from 'rhea';

import { until } from '../checks.ts';
import { Peer, textOf } from './rhea-client.ts';
import { topic } from './rhea.ts';

import type { IPublishPacket, MqttClient } from 'mqtt';
import type { Message } from 'rhea';
import type { CheckContext, Checks } from '../checks.ts';
import type { AmqpTarget } from './amqp-target.ts';

export async function rheaMessageChecks(checks: Checks, target: AmqpTarget): Promise<void> {
  const check = (name: string, body: (target: AmqpTarget, context: CheckContext) => Promise<void>): Promise<void> =>
    checks.check(`rhea: ${name}`, (context) => body(target, context));
  await check('every section and type of a message arrives as it was sent', everything);
  await check('ten megabytes', large);
  await check('bodies of data, values and sequences', bodies);
  await check('from AMQP to MQTT.js', toMqtt);
  await check('from MQTT.js to AMQP', fromMqtt);
  await check('an AMQP requester, an MQTT responder', mqttResponds);
  await check('an MQTT requester, an AMQP responder', amqpResponds);
}

async function there(target: AmqpTarget, context: CheckContext, messages: readonly Message[]): Promise<Message[]> {
  const peer = await Peer.connect(target, context);
  const inbox = await peer.receiver(topic(context.unique));
  const outbox = await peer.sender(topic(context.unique));
  for (const message of messages) await outbox.accepted(message);
  const received = await inbox.expect(messages.length);
  return received.map(({ message }) => message);
}

/** Not a footer: rhea writes it before the body. */
async function everything(target: AmqpTarget, context: CheckContext): Promise<void> {
  const { types } = rhea;
  const id = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
  const sent: Message = {
    durable: true,
    priority: 7,
    ttl: 100_000,
    message_id: types.wrap_uuid(id) as never,
    user_id: Buffer.from('somebody') as never,
    to: context.unique,
    subject: 'all',
    reply_to: 'there/back',
    correlation_id: types.wrap_binary(Buffer.from([0, 255])) as never,
    content_type: 'text/plain',
    content_encoding: 'identity',
    creation_time: new Date(1_700_000_000_000),
    group_id: 'group',
    group_sequence: 3,
    reply_to_group_id: 'other',
    message_annotations: { 'x-opt-mine': types.wrap_symbol('symbol'), 'x-opt-list': [1, 'two', null] as never },
    application_properties: {
      text: 'ü',
      flag: true,
      byte: types.wrap_byte(-3),
      long: types.wrap_long(-9_000_000),
      ulong: types.wrap_ulong(9_000_000),
      float: types.wrap_float(1.5),
      double: types.wrap_double(Math.PI),
      char: types.wrap_char(0x1f600),
      when: types.wrap_timestamp(1_700_000_000_123),
      nothing: null as never,
    },
    body: { nested: { map: [1, 2, 3] } },
  };
  const [message] = await there(target, context, [sent]);
  const plain = (value: unknown): unknown =>
    value instanceof Object && 'value' in value && 'type' in value ? (value as { value: unknown }).value : value;
  const { ttl, message_annotations: annotations, application_properties: properties, ...rest } = message!;
  assert.ok(ttl! > 90_000 && ttl! <= 100_000, `ttl ${ttl}`);
  assert.equal(String(annotations?.['x-opt-mine']), 'symbol');
  assert.deepEqual(annotations?.['x-opt-list'], [1, 'two', null]);
  for (const [name, value] of Object.entries(sent.application_properties!)) {
    const arrived = properties?.[name] as unknown;
    assert.equal(
      Number.isNaN(Number(arrived)) ? String(arrived) : Number(arrived),
      Number.isNaN(Number(plain(value))) ? String(plain(value)) : Number(plain(value)),
      name,
    );
  }
  assert.equal(Object.keys(properties!).length, Object.keys(sent.application_properties!).length);
  assert.deepEqual(rest.body, sent.body);
  assert.ok(Buffer.from(rest.message_id as never).equals(id), 'message-id');
  assert.ok(Buffer.from(rest.correlation_id as never).equals(Buffer.from([0, 255])), 'correlation-id');
  for (const name of [
    'durable',
    'priority',
    'to',
    'subject',
    'reply_to',
    'content_type',
    'content_encoding',
    'group_id',
    'group_sequence',
    'reply_to_group_id',
  ] as const) {
    assert.equal(rest[name], sent[name], name);
  }
  assert.equal(Number(rest.creation_time), 1_700_000_000_000);
}

async function large(target: AmqpTarget, context: CheckContext): Promise<void> {
  const content = Buffer.alloc(10 * 1024 * 1024);
  for (let i = 0; i < content.length; i += 4) content.writeUInt32LE((i * 2_654_435_761) >>> 0, i);
  const [message] = await there(target, context, [{ body: rhea.message.data_section(content) as never }]);
  assert.ok((message!.body as { content: Buffer }).content.equals(content), 'the body changed on its way');
}

async function bodies(target: AmqpTarget, context: CheckContext): Promise<void> {
  const {
    data_section: data,
    data_sections: several,
    sequence_section: sequence,
  } = rhea.message as unknown as Record<string, (content: unknown) => never>;
  const [a, b] = [Buffer.from('a'), Buffer.from('b')];
  const sent = [data!(a), several!([a, b]), sequence!([1, 'two']), 'text' as never, 42 as never, null as never, [1, 2] as never];
  const arrived = await there(
    target,
    context,
    sent.map((body) => ({ body })),
  );
  const shown = (body: unknown): string => JSON.stringify(body ?? null);
  assert.deepEqual(
    arrived.map(({ body }) => shown(body)),
    sent.map((body) => shown(body)),
  );
}

type Received = { readonly topic: string; readonly text: string; readonly packet: IPublishPacket };

async function mqttClient(target: AmqpTarget, context: CheckContext): Promise<{ client: MqttClient; received: Received[] }> {
  const { host, port } = target.tcp;
  const client = await mqtt.connectAsync(`mqtt://${host}:${port}`, { protocolVersion: 5, reconnectPeriod: 0, ...target.credentials });
  client.on('error', () => {});
  context.after(() => client.endAsync(true));
  const received: Received[] = [];
  client.on('message', (topic, payload, packet) => received.push({ topic, text: payload.toString(), packet }));
  return { client, received };
}

async function toMqtt(target: AmqpTarget, context: CheckContext): Promise<void> {
  const { client, received } = await mqttClient(target, context);
  await client.subscribeAsync(`${context.unique}/#`, { qos: 2 });
  const peer = await Peer.connect(target, context);
  const outbox = await peer.sender(topic(`${context.unique}/x`));
  await outbox.accepted({
    body: rhea.message.data_section(Buffer.from('hello')) as never,
    content_type: 'text/plain',
    correlation_id: 'c1',
    reply_to: `${context.unique}/reply`,
    ttl: 60_000,
    application_properties: { colour: 'red', weight: 3 },
  });
  const settled = await peer.sender(topic(`${context.unique}/y`), { snd_settle_mode: 1 });
  await settled.accepted({ body: 'a string' });
  await until(() => received.length === 2);
  const [first, second] = received;
  assert.deepEqual([first!.topic, first!.text, first!.packet.qos], [`${context.unique}/x`, 'hello', 1]);
  const properties = first!.packet.properties!;
  assert.equal(properties.contentType, 'text/plain');
  assert.equal(properties.correlationData?.toString(), 'c1');
  assert.equal(properties.responseTopic, `${context.unique}/reply`);
  assert.ok(properties.messageExpiryInterval! >= 59 && properties.messageExpiryInterval! <= 60);
  assert.equal(properties.userProperties?.['colour'], 'red');
  assert.equal(properties.userProperties?.['weight'], '3');
  assert.deepEqual([second!.topic, second!.packet.qos], [`${context.unique}/y`, 0]);
  assert.match(second!.text, /a string/);
}

async function fromMqtt(target: AmqpTarget, context: CheckContext): Promise<void> {
  const peer = await Peer.connect(target, context);
  const inbox = await peer.receiver(topic(`${context.unique}/+`));
  const { client } = await mqttClient(target, context);
  const properties = {
    contentType: 'application/json',
    correlationData: Buffer.from([1, 2]),
    responseTopic: `${context.unique}/reply`,
    messageExpiryInterval: 60,
    userProperties: { colour: 'blue' },
  };
  for (const qos of [0, 1, 2] as const) await client.publishAsync(`${context.unique}/q${qos}`, `at ${qos}`, { qos, properties });
  const received = await inbox.expect(3);
  assert.deepEqual(inbox.texts, ['at 0', 'at 1', 'at 2']);
  for (const [qos, { message, settledOnArrival }] of received.entries()) {
    assert.equal(message.to, `${context.unique}/q${qos}`, 'the topic');
    assert.equal(settledOnArrival, qos === 0);
    assert.equal(message.content_type, 'application/json');
    assert.ok(Buffer.from(message.correlation_id as never).equals(Buffer.from([1, 2])));
    assert.equal(message.reply_to, `${context.unique}/reply`);
    assert.ok(message.ttl! > 50_000 && message.ttl! <= 60_000, `ttl ${message.ttl}`);
    assert.equal(message.application_properties?.['colour'], 'blue');
  }
}

async function mqttResponds(target: AmqpTarget, context: CheckContext): Promise<void> {
  const { client } = await mqttClient(target, context);
  client.on('message', (_topic, payload, { properties }) => {
    const { responseTopic, correlationData } = properties!;
    client.publish(responseTopic!, payload.toString().toUpperCase(), { qos: 1, properties: { correlationData: correlationData! } });
  });
  await client.subscribeAsync(`${context.unique}/ask`, { qos: 1 });
  const peer = await Peer.connect(target, context);
  const answers = await peer.receiver({ dynamic: true } as never);
  const ask = await peer.sender(topic(`${context.unique}/ask`));
  const body = rhea.message.data_section(Buffer.from('hello')) as never;
  await ask.accepted({ body, reply_to: answers.receiver.source.address, correlation_id: 'c9' });
  const [answer] = await answers.expect(1);
  assert.equal(textOf(answer!.message), 'HELLO');
  assert.equal(String(answer!.message.correlation_id), 'c9');
}

async function amqpResponds(target: AmqpTarget, context: CheckContext): Promise<void> {
  const peer = await Peer.connect(target, context);
  const requests = await peer.receiver(topic(`${context.unique}/ask`));
  const replies = await peer.sender({});
  requests.receiver.on('message', ({ message }) => {
    // rhea takes a Buffer for a UUID when it sends.
    const body = rhea.message.data_section(Buffer.from(textOf(message!).toUpperCase())) as never;
    replies.sender.send({
      to: message!.reply_to!,
      correlation_id: rhea.types.wrap_binary(message!.correlation_id as never) as never,
      body,
    });
  });
  const { client, received } = await mqttClient(target, context);
  await client.subscribeAsync(`${context.unique}/answer`, { qos: 1 });
  const properties = { responseTopic: `${context.unique}/answer`, correlationData: Buffer.from('c7') };
  await client.publishAsync(`${context.unique}/ask`, 'hello', { qos: 1, properties });
  await until(() => received.length === 1);
  assert.equal(received[0]!.text, 'HELLO');
  assert.equal(received[0]!.packet.properties!.correlationData?.toString(), 'c7');
}
