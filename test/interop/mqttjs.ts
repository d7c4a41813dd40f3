// MQTT.js over every transport, with what only it exercises: WebSocket, reconnect and resume, aliases, flow control.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import mqtt from 'mqtt';

import { until } from './checks.ts';

import type { IClientOptions, IPublishPacket, MqttClient } from 'mqtt';
import type { CheckContext, Checks } from './checks.ts';
import type { Endpoint, Target } from './target.ts';

type Transport = 'mqtt' | 'mqtts' | 'ws' | 'wss';
type Received = { topic: string; payload: Buffer; packet: IPublishPacket };

class Js {
  readonly #target: Target;
  readonly #context: CheckContext;
  readonly #transport: Transport;
  readonly #version: 4 | 5;

  constructor(target: Target, context: CheckContext, transport: Transport, version: 4 | 5) {
    this.#target = target;
    this.#context = context;
    this.#transport = transport;
    this.#version = version;
  }

  async client(options: IClientOptions = {}): Promise<MqttClient> {
    const { credentials, tlsFacts } = this.#target;
    const endpoint = endpointOf(this.#target, this.#transport)!;
    const client = await mqtt.connectAsync(`${this.#transport}://${endpoint.host}:${endpoint.port}/mqtt`, {
      protocolVersion: this.#version,
      reconnectPeriod: 20,
      connectTimeout: 10_000,
      ...(credentials === undefined ? {} : credentials),
      ...(tlsFacts === undefined ? {} : { ca: readFileSync(tlsFacts.caFile) }),
      ...options,
    });
    client.on('error', () => {});
    this.#context.after(() => client.endAsync(true));
    return client;
  }
}

function endpointOf(target: Target, transport: Transport): Endpoint | undefined {
  return { mqtt: target.tcp, mqtts: target.tls, ws: target.ws, wss: target.wss }[transport];
}

function inbox(client: MqttClient): Received[] {
  const received: Received[] = [];
  client.on('message', (topic, payload, packet) => received.push({ topic, payload, packet }));
  return received;
}

const texts = (received: Received[]): string[] => received.map(({ payload }) => payload.toString());

export async function mqttJsChecks(checks: Checks, target: Target): Promise<void> {
  for (const transport of ['mqtt', 'mqtts', 'ws', 'wss'] as const) {
    for (const version of [4, 5] as const) {
      const name = `MQTT.js: ${version === 4 ? '3.1.1' : '5'} over ${transport}`;
      if (endpointOf(target, transport) === undefined) checks.fail(name, 'the target has no such listener');
      else await checks.check(name, (context) => everyQos(new Js(target, context, transport, version), context.unique));
    }
  }
  const five = (name: string, body: (js: Js, unique: string) => Promise<void>): Promise<void> =>
    checks.check(`MQTT.js: 5: ${name}`, (context) => body(new Js(target, context, 'mqtt', 5), context.unique));
  await five('properties in order and with duplicates', properties);
  await five('reconnect resumes the session', resume);
  await five('topic aliases both ways', aliases);
  await five('receive maximum holds deliveries back', receiveMaximum);
  await five('retain handling, no local', subscribeOptions);
  await five('request and response', requestResponse);
  await checks.check('MQTT.js: 3.1.1: reconnect resumes the session', (c) => resume(new Js(target, c, 'mqtt', 4), c.unique));
  if (target.wss !== undefined) {
    await checks.check('MQTT.js: 5: two megabytes over wss', (c) => large(new Js(target, c, 'wss', 5), c.unique));
  }
  if (target.credentials === undefined) return;
  await checks.check('MQTT.js: 5: a wrong password is refused', async (context) => {
    const client = new Js(target, context, 'mqtt', 5).client({ password: 'wrong', reconnectPeriod: 0 });
    await assert.rejects(client, (error: { code?: number }) => [0x86, 0x87].includes(error.code ?? 0));
  });
}

async function everyQos(js: Js, u: string): Promise<void> {
  const subscriber = await js.client();
  const publisher = await js.client();
  const received = inbox(subscriber);
  await subscriber.subscribeAsync(`${u}/#`, { qos: 2 });
  for (const qos of [0, 1, 2] as const) await publisher.publishAsync(`${u}/${qos}`, `at ${qos}`, { qos });
  await until(() => received.length === 3);
  assert.deepEqual(
    received.map(({ packet, topic }) => [topic, packet.qos]),
    [0, 1, 2].map((qos) => [`${u}/${qos}`, qos]),
  );
}

async function properties(js: Js, u: string): Promise<void> {
  const subscriber = await js.client();
  const publisher = await js.client();
  const received = inbox(subscriber);
  await subscriber.subscribeAsync(u, { qos: 1, properties: { subscriptionIdentifier: 9, userProperties: { why: 'interop' } } });
  const sent = {
    payloadFormatIndicator: true,
    messageExpiryInterval: 1000,
    contentType: 'application/json',
    responseTopic: `${u}/reply`,
    correlationData: Buffer.from([0, 1, 254, 255]),
    userProperties: { b: ['2', '1', '2'], a: 'x' },
  };
  await publisher.publishAsync(u, '{}', { qos: 1, properties: sent });
  await until(() => received.length === 1);
  const { messageExpiryInterval, subscriptionIdentifier, ...rest } = received[0]!.packet.properties!;
  assert.ok(messageExpiryInterval! <= 1000 && messageExpiryInterval! > 990, `expiry ${messageExpiryInterval}`);
  assert.equal(subscriptionIdentifier, 9);
  const { messageExpiryInterval: _, ...expected } = sent;
  assert.deepEqual({ ...rest, userProperties: { ...rest.userProperties } }, expected);
}

async function resume(js: Js, u: string): Promise<void> {
  const publisher = await js.client();
  const subscriber = await js.client({
    clientId: `${u}-r`,
    clean: false,
    resubscribe: false,
    properties: { sessionExpiryInterval: 300 },
  });
  const received = inbox(subscriber);
  await subscriber.subscribeAsync(u, { qos: 2 });
  const present: boolean[] = [];
  subscriber.on('connect', ({ sessionPresent }) => present.push(sessionPresent));
  for (let round = 0; round < 3; round++) {
    const closed = new Promise((resolve) => subscriber.once('close', () => resolve(undefined)));
    subscriber.stream.destroy();
    await closed;
    for (const qos of [1, 2] as const) await publisher.publishAsync(u, `${round}.${qos}`, { qos });
    await until(() => present.length === round + 1);
  }
  await until(() => received.length >= 6);
  await until(() => [0, 1, 2].every((round) => [1, 2].every((qos) => texts(received).includes(`${round}.${qos}`))));
  const all = texts(received);
  const firsts = received.filter((_, i) => all.indexOf(all[i]!) === i);
  // A QoS 1 message whose PUBACK was lost with the connection comes again, and says so.
  for (const again of received) if (!firsts.includes(again)) assert.deepEqual([again.packet.qos, again.packet.dup], [1, true]);
  // MQTT.js hands a QoS 2 message over at its PUBREL, so the order holds only within each QoS.
  for (const qos of [1, 2]) {
    assert.deepEqual(
      texts(firsts).filter((text) => text.endsWith(`.${qos}`)),
      [0, 1, 2].map((round) => `${round}.${qos}`),
    );
  }
  assert.deepEqual(present, [true, true, true]);
}

async function aliases(js: Js, u: string): Promise<void> {
  const subscriber = await js.client({ properties: { topicAliasMaximum: 2 } });
  const publisher = await js.client({ autoUseTopicAlias: true, autoAssignTopicAlias: true });
  const received = inbox(subscriber);
  await subscriber.subscribeAsync(`${u}/#`, { qos: 1 });
  const topics = Array.from({ length: 60 }, (_, n) => `${u}/${n % 5}`);
  for (const topic of topics) await publisher.publishAsync(topic, topic, { qos: 1 });
  await until(() => received.length === topics.length);
  assert.deepEqual(texts(received), topics);
  assert.deepEqual(
    received.map(({ topic }) => topic),
    topics,
  );
}

async function receiveMaximum(js: Js, u: string): Promise<void> {
  const held: (() => void)[] = [];
  let open = false;
  const subscriber = await js.client({
    properties: { receiveMaximum: 3 },
    customHandleAcks: (_topic, _message, _packet, done) => {
      const answer = (): void => done(0);
      if (open) answer();
      else held.push(answer);
    },
  });
  const received = inbox(subscriber);
  await subscriber.subscribeAsync(u, { qos: 1 });
  const publisher = await js.client();
  for (let n = 0; n < 20; n++) await publisher.publishAsync(u, String(n), { qos: 1 });
  await until(() => held.length > 0);
  // MQTT.js handles one packet at a time, so what is held shows only its first; the broker's window shows in the total.
  open = true;
  for (const answer of held.splice(0)) answer();
  await until(() => received.length === 20);
  assert.deepEqual(
    texts(received),
    Array.from({ length: 20 }, (_, n) => String(n)),
  );
}

async function subscribeOptions(js: Js, u: string): Promise<void> {
  const client = await js.client();
  const other = await js.client();
  const received = inbox(client);
  await other.publishAsync(`${u}/kept`, 'kept', { retain: true, qos: 1 });
  await client.subscribeAsync(`${u}/#`, { qos: 1, nl: true, rh: 2 });
  await client.publishAsync(`${u}/own`, 'own', { qos: 1 });
  await other.publishAsync(`${u}/other`, 'other', { qos: 1 });
  await until(() => received.length === 1);
  assert.deepEqual(texts(received), ['other']);
  await client.unsubscribeAsync(`${u}/#`); // MQTT.js keeps a second SUBSCRIBE of the same filter to itself
  await client.subscribeAsync(`${u}/#`, { qos: 1, nl: true, rh: 0 });
  await until(() => received.length === 2);
  assert.equal(received[1]!.packet.retain, true);
  await client.publishAsync(`${u}/kept`, '', { retain: true, qos: 1 });
}

async function requestResponse(js: Js, u: string): Promise<void> {
  const service = await js.client();
  const caller = await js.client();
  const answers = inbox(caller);
  service.on('message', (_topic, payload, { properties: p }) => {
    const { responseTopic, correlationData } = p!;
    service.publish(responseTopic!, payload.toString().toUpperCase(), { qos: 1, properties: { correlationData: correlationData! } });
  });
  await service.subscribeAsync(`${u}/ask`, { qos: 1 });
  await caller.subscribeAsync(`${u}/answer`, { qos: 1 });
  const correlationData = Buffer.from('id-1');
  await caller.publishAsync(`${u}/ask`, 'hello', { qos: 1, properties: { responseTopic: `${u}/answer`, correlationData } });
  await until(() => answers.length === 1);
  assert.equal(answers[0]!.payload.toString(), 'HELLO');
  assert.deepEqual(answers[0]!.packet.properties!.correlationData, correlationData);
}

async function large(js: Js, u: string): Promise<void> {
  const subscriber = await js.client();
  const publisher = await js.client();
  const received = inbox(subscriber);
  await subscriber.subscribeAsync(u, { qos: 1 });
  const payload = Buffer.alloc(2_000_000, 'heliograph ');
  await publisher.publishAsync(u, payload, { qos: 1 });
  await until(() => received.length === 1);
  assert.ok(payload.equals(received[0]!.payload), 'the payload changed on its way');
}
