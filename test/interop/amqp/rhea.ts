// rhea: settle modes and outcomes, drain, dynamic nodes, WebSocket, TLS with certificates, recovery after a cut, and what crosses to MQTT.

import assert from 'node:assert/strict';

import rhea from 'rhea';

import { deviceName } from '../heliograph-target.ts';
import { until } from '../checks.ts';
import { rheaMessageChecks } from './rhea-messages.ts';
import { rheaNodeChecks } from './rhea-nodes.ts';
import { rheaQueueChecks } from './rhea-queues.ts';
import { Peer, textOf } from './rhea-client.ts';

import type { CheckContext, Checks } from '../checks.ts';
import type { AmqpTarget } from './amqp-target.ts';
import type { Transport } from './rhea-client.ts';

export async function rheaChecks(checks: Checks, target: AmqpTarget): Promise<void> {
  const check = (name: string, body: (target: AmqpTarget, context: CheckContext) => Promise<void>): Promise<void> =>
    checks.check(`rhea: ${name}`, (context) => body(target, context));
  for (const send of [0, 1, 2] as const) {
    for (const receive of [0, 1, 2] as const) {
      for (const second of [0, 1] as const) {
        const name = `sender settles ${['never', 'at once', 'either way'][send]}, receiver wants it ${['unsettled', 'settled', 'either way'][receive]} and settles ${second === 0 ? 'first' : 'second'}`;
        await check(name, (t, context) => settleModes(t, context, send, receive, second));
      }
    }
  }
  await check('drain', drain);
  await check('a temporary queue, request and response', requestResponse);
  await check('a sender without address sends by "to"', anonymous);
  await check('a durable subscription keeps what came meanwhile, until it is closed', durableSubscription);
  await check('a shared address splits messages between its receivers', shared);
  await check('no-local filter', noLocal);
  await check('last value: set by annotation, read by filter, cleared', lastValue);
  await check('after cuts: senders and receivers come back, nothing is lost', recovery);
  await check('a second link of the same name takes over', stealing);
  await check('an idle connection of a peer with a time-out stays open', idle);
  await check('a wildcard in a target is refused', badTarget);
  for (const transport of ['amqps', 'ws', 'wss'] as const) {
    if ((transport === 'amqps' ? target.amqps : target[transport]) === undefined) checks.skip(`rhea: ${transport}`, 'the target has none');
    else await check(`${transport}: there and back`, (t, context) => roundTrip(t, context, transport, context.unique));
  }
  if (target.tlsFacts?.client === undefined) checks.skip('rhea: SASL EXTERNAL', 'the target has issued no certificate');
  else {
    await check('SASL EXTERNAL with a client certificate', (t, context) =>
      roundTrip(t, context, 'external', `dev/${deviceName}/${context.unique}`),
    );
    await check('a device may not use the topics of others', forbidden);
  }
  if (target.credentials !== undefined) await check('a wrong password is refused', wrongPassword);
  await rheaMessageChecks(checks, target);
  await rheaQueueChecks(checks, target);
  await rheaNodeChecks(checks, target);
}

async function settleModes(target: AmqpTarget, context: CheckContext, send: 0 | 1 | 2, receive: 0 | 1 | 2, second: 0 | 1): Promise<void> {
  const peer = await Peer.connect(target, context);
  const inbox = await peer.receiver(topic(context.unique), { snd_settle_mode: receive, rcv_settle_mode: second });
  const outbox = await peer.sender(topic(context.unique), { snd_settle_mode: send, rcv_settle_mode: second });
  assert.equal(inbox.receiver.rcv_settle_mode, second, 'the mode that the broker agreed to');
  for (let n = 0; n < 10; n++) await outbox.accepted({ body: `message ${n}` });
  const received = await inbox.expect(10);
  assert.deepEqual(
    inbox.texts,
    Array.from({ length: 10 }, (_, n) => `message ${n}`),
  );
  for (const { settledOnArrival } of received) {
    assert.equal(settledOnArrival, receive === 1 || (receive === 2 && send === 1), 'settled on arrival');
  }
  await peer.close();
}

async function drain(target: AmqpTarget, context: CheckContext): Promise<void> {
  const peer = await Peer.connect(target, context);
  const outbox = await peer.sender(queue(context.unique));
  const inbox = await peer.receiver(queue(context.unique), { credit_window: 0 });
  assert.deepEqual(await inbox.drain(10), []);
  for (const n of [1, 2, 3]) await outbox.accepted({ body: `m${n}` });
  inbox.receiver.add_credit(2);
  await inbox.expect(2);
  assert.deepEqual(inbox.texts, ['m1', 'm2']);
  assert.deepEqual(await inbox.drain(10), ['m1', 'm2', 'm3']);
}

async function requestResponse(target: AmqpTarget, context: CheckContext): Promise<void> {
  const service = await Peer.connect(target, context, 'amqp', { container_id: `${context.unique}-service` });
  const requests = await service.receiver(topic(`${context.unique}/ask`));
  const replies = await service.sender({});
  requests.receiver.on('message', ({ message }) => {
    const { reply_to: to, correlation_id: correlation } = message!;
    replies.sender.send({ to: to!, correlation_id: correlation!, body: textOf(message!).toUpperCase() });
  });
  const caller = await Peer.connect(target, context);
  const answers = await caller.receiver({ dynamic: true } as never);
  const address = answers.receiver.source.address;
  assert.ok(typeof address === 'string' && address.length > 0, 'the broker chose no address');
  const ask = await caller.sender(topic(`${context.unique}/ask`));
  for (const n of [1, 2, 3]) await ask.accepted({ body: `question ${n}`, reply_to: address, correlation_id: n });
  await answers.expect(3);
  assert.deepEqual(answers.texts, ['QUESTION 1', 'QUESTION 2', 'QUESTION 3']);
  assert.deepEqual(
    answers.received.map(({ message }) => Number(message.correlation_id)),
    [1, 2, 3],
  );
  await caller.close();
  // A temporary queue ends with the link that made it.
  await assert.rejects(
    (async () => {
      const late = await service.sender({ address });
      await late.accepted({ body: 'late' });
    })(),
  );
}

async function anonymous(target: AmqpTarget, context: CheckContext): Promise<void> {
  const peer = await Peer.connect(target, context);
  const first = await peer.receiver(topic(`${context.unique}/1`));
  const second = await peer.receiver(queue(`${context.unique}-2`));
  const outbox = await peer.sender({});
  await outbox.accepted({ to: `${context.unique}/1`, body: 'to a topic' });
  await outbox.accepted({ to: `queue:${context.unique}-2`, body: 'to a queue' });
  await first.expect(1);
  await second.expect(1);
  assert.deepEqual([first.texts, second.texts], [['to a topic'], ['to a queue']]);
  const { outcome } = await outbox.send({ body: 'to nowhere' });
  assert.equal(outcome, 'rejected');
}

const durable = (address: string): never => ({ address, capabilities: ['topic'], durable: 2, expiry_policy: 'never' }) as never;

async function durableSubscription(target: AmqpTarget, context: CheckContext): Promise<void> {
  const publisher = await Peer.connect(target, context, 'amqp', { container_id: `${context.unique}-p` });
  const outbox = await publisher.sender(topic(context.unique));
  const session = { container_id: `${context.unique}-s` };
  const link = { name: `${context.unique}-link` };
  let subscriber = await Peer.connect(target, context, 'amqp', session);
  let inbox = await subscriber.receiver(durable(context.unique), link);
  await outbox.accepted({ body: 'first', durable: true });
  await inbox.expect(1);
  await inbox.detach();
  await subscriber.close();
  for (const n of [1, 2]) await outbox.accepted({ body: `meanwhile ${n}`, durable: true });
  subscriber = await Peer.connect(target, context, 'amqp', session);
  inbox = await subscriber.receiver(durable(context.unique), link);
  await inbox.expect(2);
  assert.deepEqual(inbox.texts, ['meanwhile 1', 'meanwhile 2']);
  await inbox.close();
  await outbox.accepted({ body: 'after the end', durable: true });
  inbox = await subscriber.receiver(durable(context.unique), link);
  await outbox.accepted({ body: 'anew', durable: true });
  await inbox.expect(1);
  assert.deepEqual(inbox.texts, ['anew']);
  await inbox.close();
}

async function shared(target: AmqpTarget, context: CheckContext): Promise<void> {
  const publisher = await Peer.connect(target, context, 'amqp', { container_id: `${context.unique}-p` });
  const address = `$share/${context.unique}/${context.unique}/#`;
  const first = await publisher.receiver({ address });
  const other = await Peer.connect(target, context);
  const second = await other.receiver({ address });
  const outbox = await publisher.sender(topic(`${context.unique}/x`));
  const sent = Array.from({ length: 100 }, (_, n) => `m${n}`);
  for (const body of sent) await outbox.accepted({ body });
  await until(() => first.received.length + second.received.length >= sent.length);
  assert.deepEqual([...first.texts, ...second.texts].toSorted(), sent.toSorted());
  assert.ok(first.received.length > 0 && second.received.length > 0, 'one of them got nothing');
}

async function noLocal(target: AmqpTarget, context: CheckContext): Promise<void> {
  const peer = await Peer.connect(target, context);
  const other = await Peer.connect(target, context, 'amqp', { container_id: `${context.unique}-o` });
  const filter = { 'no-local': rhea.types.wrap_described([], 'apache.org:no-local-filter:list') };
  const inbox = await peer.receiver({ address: context.unique, capabilities: ['topic'], filter } as never);
  await (await peer.sender(topic(context.unique))).accepted({ body: 'own' });
  await (await other.sender(topic(context.unique))).accepted({ body: "another's" });
  await inbox.expect(1);
  assert.deepEqual(inbox.texts, ["another's"]);
}

async function lastValue(target: AmqpTarget, context: CheckContext): Promise<void> {
  const peer = await Peer.connect(target, context);
  const outbox = await peer.sender(topic(`${context.unique}/v`));
  const filter = { retained: rhea.types.wrap_described(true, 'heliograph:retained') };
  const read = async (): Promise<string[]> => {
    const inbox = await peer.receiver({ address: `${context.unique}/#`, filter } as never, { credit_window: 0 });
    const texts = await inbox.drain();
    await inbox.close();
    return texts;
  };
  const annotations = { 'x-opt-retain': true };
  await outbox.accepted({ body: 'old', message_annotations: annotations });
  await outbox.accepted({ body: 'new', message_annotations: annotations });
  await outbox.accepted({ body: 'passing by' });
  assert.deepEqual(await read(), ['new']);
  await outbox.accepted({ body: rhea.message.data_section(Buffer.alloc(0)) as never, message_annotations: annotations });
  assert.deepEqual(await read(), []);
}

/** Connections are cut again and again, without a word, while messages go from a sender to a durable subscription. */
async function recovery(target: AmqpTarget, context: CheckContext): Promise<void> {
  const count = 300;
  const reconnect = { reconnect: true, initial_reconnect_delay: 10, max_reconnect_delay: 50 };
  const sending = await Peer.connect(target, context, 'amqp', { ...reconnect, container_id: `${context.unique}-s` });
  const receiving = await Peer.connect(target, context, 'amqp', { ...reconnect, container_id: `${context.unique}-r` });
  const link = { name: `${context.unique}-link`, autoaccept: false, credit_window: 20 };
  const inbox = await receiving.receiver(durable(context.unique), link);
  inbox.receiver.on('message', ({ delivery }) => delivery!.accept());
  const outbox = await sending.sender(topic(context.unique), { name: `${context.unique}-out` });
  const open = new Set<string>(Array.from({ length: count }, (_, n) => `m${n}`));
  const waiting = [...open];
  const under = new Map<unknown, string>();
  const push = (): void => {
    while (waiting.length > 0 && outbox.sender.sendable() && under.size < 20) {
      const body = waiting.shift()!;
      under.set(outbox.sender.send({ body, durable: true }), body);
    }
  };
  outbox.sender.on('sendable', push);
  outbox.sender.on('accepted', ({ delivery }) => {
    open.delete(under.get(delivery)!);
    under.delete(delivery);
    push();
  });
  // rhea forgets what was under way when its connection ends: it is sent again.
  sending.connection.on('disconnected', () => {
    waiting.push(...under.values());
    under.clear();
  });
  const cut = ({ connection }: Peer): void =>
    (connection as unknown as { socket: { destroy: (error: Error) => void } }).socket.destroy(new Error('cut'));
  push();
  for (const at of [40, 90, 150, 220]) {
    await until(() => inbox.received.length >= at);
    cut(at % 20 === 0 ? sending : receiving);
  }
  await until(() => open.size === 0 && new Set(inbox.texts).size === count);
  assert.equal(new Set(inbox.texts).size, count);
}

async function stealing(target: AmqpTarget, context: CheckContext): Promise<void> {
  const same = { container_id: `${context.unique}-c` };
  const one = await Peer.connect(target, context, 'amqp', same);
  const link = { name: `${context.unique}-link` };
  const first = await one.receiver(durable(context.unique), link);
  const stolen = new Promise<string>((resolve) => {
    for (const event of ['receiver_error', 'receiver_close', 'receiver_detached' as 'receiver_close'] as const) {
      first.receiver.once(event, () => resolve((first.receiver.error as { condition?: string } | undefined)?.condition ?? 'nothing'));
    }
  });
  const other = await Peer.connect(target, context, 'amqp', same);
  const second = await other.receiver(durable(context.unique), link);
  assert.equal(await stolen, 'amqp:link:stolen');
  await (await other.sender(topic(context.unique))).accepted({ body: 'mine' });
  await second.expect(1);
  await second.close();
}

async function idle(target: AmqpTarget, context: CheckContext): Promise<void> {
  const peer = await Peer.connect(target, context, 'amqp', { idle_time_out: 1000 });
  let ended = false;
  peer.connection.on('disconnected', () => (ended = true));
  await new Promise((resolve) => setTimeout(resolve, 2500));
  assert.equal(ended, false);
  await (await peer.sender(topic(context.unique))).accepted({ body: 'still there' });
}

async function badTarget(target: AmqpTarget, context: CheckContext): Promise<void> {
  const peer = await Peer.connect(target, context);
  await assert.rejects(peer.sender(topic(`${context.unique}/+`)), /amqp:invalid-field/);
}

async function roundTrip(target: AmqpTarget, context: CheckContext, transport: Transport, address: string): Promise<void> {
  const peer = await Peer.connect(target, context, transport);
  const inbox = await peer.receiver(topic(address));
  const outbox = await peer.sender(topic(address));
  const body = 'heliograph '.repeat(20_000);
  await outbox.accepted({ body });
  await inbox.expect(1);
  assert.ok(inbox.texts[0] === body, 'the body changed on its way');
}

async function forbidden(target: AmqpTarget, context: CheckContext): Promise<void> {
  const peer = await Peer.connect(target, context, 'external');
  await assert.rejects(peer.receiver(topic(`dev/another/${context.unique}`)), /amqp:unauthorized-access/);
  const attempt = async (): Promise<void> => {
    const outbox = await peer.sender(topic(`dev/another/${context.unique}`));
    await outbox.accepted({ body: 'x' });
  };
  await assert.rejects(attempt, /amqp:unauthorized-access/);
}

async function wrongPassword(target: AmqpTarget, context: CheckContext): Promise<void> {
  await assert.rejects(Peer.connect(target, context, 'amqp', { username: target.credentials!.username, password: 'wrong' } as never));
}

export const topic = (address: string): never => ({ address, capabilities: ['topic'] }) as never;
export const queue = (address: string): never => ({ address, capabilities: ['queue'] }) as never;
