// @stomp/stompjs: all transports, receipts, transactions, the three ways to acknowledge, heart-beats, and what crosses to MQTT and AMQP.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

import { connectAsync } from 'mqtt';
import rhea from 'rhea';

import { until, type CheckContext, type Checks } from '../checks.ts';
import { StompPeer } from './stomp-client.ts';

import type { StompTarget } from './stomp-target.ts';

type Body = (target: StompTarget, context: CheckContext) => Promise<void>;

export async function stompJsChecks(checks: Checks, target: StompTarget): Promise<void> {
  const check = (name: string, body: Body): Promise<void> => checks.check(`stompjs: ${name}`, (context) => body(target, context));
  for (const transport of ['tcp', 'tls', 'ws', 'wss'] as const) {
    await check(`${transport}: there and back, with receipts`, async (_, context) => {
      const peer = await StompPeer.connect(target, context, transport);
      assert.equal(peer.client.connectedVersion, '1.2');
      await peer.subscribe(`/topic/${context.unique}/+`);
      const bytes = Uint8Array.from({ length: 100_000 }, (_byte, i) => i % 256);
      await peer.send(`/topic/${context.unique}/a`, 'a ¢ text', { kind: 'text:\nline', 'content-type': 'text/plain' });
      await peer.send(`/topic/${context.unique}/b`, bytes);
      const [text, binary] = await peer.expect(2);
      assert.deepEqual([text!.body, text!.headers['kind'], text!.headers['content-type']], ['a ¢ text', 'text:\nline', 'text/plain']);
      assert.deepEqual(Buffer.from(binary!.binaryBody), Buffer.from(bytes));
      await peer.client.deactivate();
    });
  }
  await check('transactions, committed and aborted', transactions);
  await check('client acknowledges all before, client-individual one', acknowledging);
  await check('NACK brings it again', nack);
  await check('heart-beats keep an idle connection open', heartBeats);
  await check('a durable subscription keeps what came meanwhile', durable);
  await check('two readers of a group split its messages', shared);
  await check('a wrong passcode is refused', wrongPasscode);
  await check('to MQTT 5 and back', mqtt);
  await check('to AMQP 1.0 and back', amqp);
}

async function transactions(target: StompTarget, context: CheckContext): Promise<void> {
  const peer = await StompPeer.connect(target, context, 'ws');
  const destination = `/queue/${context.unique}`;
  await peer.subscribe(destination);
  const gone = peer.client.begin();
  await peer.send(destination, 'gone', { transaction: gone.id });
  gone.abort();
  const kept = peer.client.begin();
  for (const body of ['1', '2']) await peer.send(destination, body, { transaction: kept.id });
  await sleep(100);
  assert.deepEqual(peer.texts, []);
  kept.commit();
  await peer.expect(2);
  assert.deepEqual(peer.texts, ['1', '2']);
}

async function acknowledging(target: StompTarget, context: CheckContext): Promise<void> {
  for (const [ack, left] of [
    ['client', ['3']],
    ['client-individual', ['1', '3']],
  ] as const) {
    const destination = `/queue/${context.unique}-${ack}`;
    const peer = await StompPeer.connect(target, context, 'tcp');
    for (const body of ['1', '2', '3']) await peer.send(destination, body);
    await peer.subscribe(destination, { ack });
    const heard = await peer.expect(3);
    await peer.receipt((receipt) => heard[1]!.ack({ receipt }));
    await peer.client.deactivate();
    const next = await StompPeer.connect(target, context, 'tcp');
    await next.subscribe(destination);
    await next.expect(left.length);
    await sleep(50);
    assert.deepEqual(next.texts, left, ack);
  }
}

async function nack(target: StompTarget, context: CheckContext): Promise<void> {
  const peer = await StompPeer.connect(target, context, 'ws');
  const destination = `/queue/${context.unique}`;
  await peer.send(destination, 'poison');
  await peer.subscribe(destination, { ack: 'client-individual' });
  let refused = 0;
  await until(() => {
    for (const message of peer.heard.splice(0)) {
      if (refused++ > 0) assert.equal(message.headers['redelivered'], 'true');
      message.nack();
    }
    return refused >= 2;
  });
}

async function heartBeats(target: StompTarget, context: CheckContext): Promise<void> {
  const peer = await StompPeer.connect(target, context, 'ws', {}, 100);
  await sleep(1500);
  assert.ok(peer.client.connected);
  await peer.subscribe(`/topic/${context.unique}`);
  await peer.send(`/topic/${context.unique}`, 'still there');
  await peer.expect(1);
}

async function durable(target: StompTarget, context: CheckContext): Promise<void> {
  const headers = { 'client-id': context.unique };
  const subscription = { id: 'd', durable: 'true', ack: 'client' };
  const first = await StompPeer.connect(target, context, 'tcp', headers);
  await first.subscribe(`/topic/${context.unique}`, subscription);
  await first.client.deactivate();
  const writer = await StompPeer.connect(target, context, 'ws');
  await writer.send(`/topic/${context.unique}`, 'missed');
  if (target.crash !== undefined) await target.crash();
  const back = await StompPeer.connect(target, context, 'tcp', headers);
  await back.subscribe(`/topic/${context.unique}`, subscription);
  const [message] = await back.expect(1);
  assert.equal(message!.body, 'missed');
  await back.receipt((receipt) => message!.ack({ receipt }));
  await back.receipt((receipt) => back.client.unsubscribe('d', { durable: 'true', receipt }));
}

async function shared(target: StompTarget, context: CheckContext): Promise<void> {
  const peers = [await StompPeer.connect(target, context, 'ws'), await StompPeer.connect(target, context, 'tcp')];
  for (const peer of peers) await peer.subscribe(`/share/g/${context.unique}`, { ack: 'client-individual', 'prefetch-count': '3' });
  for (let i = 0; i < 6; i++) await peers[0]!.send(`/topic/${context.unique}`, String(i));
  await until(() => peers.reduce((sum, { heard }) => sum + heard.length, 0) === 6);
  assert.deepEqual(
    peers.map(({ heard }) => heard.length),
    [3, 3],
  );
}

async function wrongPasscode(target: StompTarget, context: CheckContext): Promise<void> {
  if (target.credentials === undefined) return;
  await assert.rejects(StompPeer.connect(target, context, 'ws', { passcode: 'wrong' }), /not authenticated/);
}

async function mqtt(target: StompTarget, context: CheckContext): Promise<void> {
  const client = await connectAsync({ ...target.tcp, ...target.credentials, protocolVersion: 5 });
  context.after(() => client.endAsync(true));
  const heard: { topic: string; text: string; properties: Record<string, unknown> }[] = [];
  client.on('message', (topic, payload, packet) => heard.push({ topic, text: payload.toString(), properties: { ...packet.properties } }));
  await client.subscribeAsync(`${context.unique}/#`, { qos: 1 });
  const peer = await StompPeer.connect(target, context, 'ws');
  await peer.subscribe(`/topic/${context.unique}/+`);
  await peer.send(`/topic/${context.unique}/s`, 'from STOMP', {
    'content-type': 'text/plain',
    'correlation-id': 'c',
    'reply-to': '/queue/r',
    unit: 'K',
  });
  await until(() => heard.length === 1);
  const { topic, text, properties } = heard[0]!;
  assert.deepEqual([topic, text], [`${context.unique}/s`, 'from STOMP']);
  assert.deepEqual(
    [
      properties['contentType'],
      properties['responseTopic'],
      String(properties['correlationData'] as Buffer),
      { ...(properties['userProperties'] as object) },
    ],
    ['text/plain', '$queue/r', 'c', { unit: 'K' }],
  );
  await client.publishAsync(`${context.unique}/m`, 'from MQTT', {
    qos: 1,
    properties: { contentType: 'x/y', userProperties: { unit: '°C' } },
  });
  const [, second] = await peer.expect(2);
  assert.deepEqual(
    [second!.body, second!.headers['destination'], second!.headers['content-type'], second!.headers['unit']],
    ['from MQTT', `/topic/${context.unique}/m`, 'x/y', '°C'],
  );
}

async function amqp(target: StompTarget, context: CheckContext): Promise<void> {
  if (target.amqp === undefined) return;
  const connection = rhea.create_container().connect({ ...target.amqp, ...target.credentials, reconnect: false } as never);
  context.after(() => connection.close());
  const heard: { body: unknown; application_properties?: unknown }[] = [];
  connection.on('message', ({ message }: { message?: { body: unknown } }) => heard.push(message!));
  const isOpen = new Promise((resolve) => connection.once('receiver_open', resolve));
  connection.open_receiver(`queue:${context.unique}-a`);
  await isOpen;
  const peer = await StompPeer.connect(target, context, 'tcp');
  await peer.send(`/queue/${context.unique}-a`, 'from STOMP', { unit: 'K' });
  await until(() => heard.length === 1);
  const { content } = heard[0]!.body as { content: Buffer };
  assert.deepEqual([String(content), heard[0]!.application_properties], ['from STOMP', { unit: 'K' }]);
  await peer.subscribe(`/queue/${context.unique}-s`, { ack: 'client' });
  const isSendable = new Promise<void>((resolve) => connection.once('sendable', () => resolve()));
  const sender = connection.open_sender(`queue:${context.unique}-s`);
  await isSendable;
  sender.send({ body: 'from AMQP', subject: 'greeting', application_properties: { n: 7 } });
  const [message] = await peer.expect(1);
  assert.deepEqual([message!.body, message!.headers['subject'], message!.headers['n']], ['from AMQP', 'greeting', '7']);
}
