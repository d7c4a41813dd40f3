// rhea: what queues do with outcomes, priorities, times, groups, selectors and those who only look.

import assert from 'node:assert/strict';

import rhea from 'rhea';

import { until } from '../checks.ts';
import { Peer, textOf } from './rhea-client.ts';
import { queue, topic } from './rhea.ts';

import type { Delivery, Message } from 'rhea';
import type { CheckContext, Checks } from '../checks.ts';
import type { AmqpTarget } from './amqp-target.ts';

/** By default a queue tries so often, then the message goes to the dead letters. */
const maxDeliveries = 10;
const deadLetters = 'dead-letter';

type Modified = { delivery_failed?: boolean; undeliverable_here?: boolean; message_annotations?: object };
type Settling = Omit<Delivery, 'reject' | 'release'> & { reject: (error?: object) => void; release: (outcome?: Modified) => void };

export async function rheaQueueChecks(checks: Checks, target: AmqpTarget): Promise<void> {
  const check = (name: string, body: (target: AmqpTarget, context: CheckContext) => Promise<void>): Promise<void> =>
    checks.check(`rhea: ${name}`, (context) => body(target, context));
  await check('released: comes again, no attempt is counted', released);
  await check('modified, delivery failed: comes again, counted', modified);
  await check('modified, undeliverable here: goes to another', undeliverableHere);
  await check('rejected: goes to the dead letters with its reason', rejected);
  await check('tried too often: goes to the dead letters', triedTooOften);
  await check('a lost connection gives back what was not settled, counted', lostConnection);
  await check('browsing leaves messages where they are', browsing);
  await check('selector of a queue consumer', queueSelector);
  await check('selector of a subscriber', topicSelector);
  await check('a selector that is none is refused', badSelector);
  await check('priorities', priorities);
  await check('what has expired is not delivered', expiry);
  await check('delivery is delayed', delay);
  await check('a message group has one consumer', groups);
  await check('competing consumers get each message once', competing);
}

async function withQueue(
  target: AmqpTarget,
  context: CheckContext,
  messages: readonly Message[],
): Promise<{ peer: Peer; name: string; send: (message: Message) => Promise<void> }> {
  const peer = await Peer.connect(target, context);
  const name = context.unique;
  const outbox = await peer.sender(queue(name));
  for (const message of messages) await outbox.accepted(message);
  return { peer, name, send: (message) => outbox.accepted(message) };
}

/** The next message, not settled yet. */
async function take(peer: Peer, name: string, credit = 1): Promise<{ message: Message; delivery: Settling; close: () => Promise<void> }> {
  const inbox = await peer.receiver(queue(name), { autoaccept: false, autosettle: true, credit_window: 0 });
  inbox.receiver.add_credit(credit);
  const [first] = await inbox.expect(1);
  return { message: first!.message, delivery: first!.delivery as unknown as Settling, close: () => inbox.close() };
}

async function released(target: AmqpTarget, context: CheckContext): Promise<void> {
  const { peer, name } = await withQueue(target, context, [{ body: 'again' }]);
  const first = await take(peer, name);
  assert.ok(first.message.first_acquirer !== false, 'nobody had it before');
  first.delivery.release({ delivery_failed: false });
  await first.close();
  const second = await take(peer, name);
  assert.equal(textOf(second.message), 'again');
  assert.equal(second.message.delivery_count ?? 0, 0);
  second.delivery.accept();
}

async function modified(target: AmqpTarget, context: CheckContext): Promise<void> {
  const { peer, name } = await withQueue(target, context, [{ body: 'again' }]);
  for (const count of [0, 1, 2]) {
    const { message, delivery, close } = await take(peer, name);
    assert.equal(message.delivery_count ?? 0, count);
    delivery.release({ delivery_failed: true, message_annotations: { 'x-opt-tried': count } });
    await close();
  }
  const { message, delivery } = await take(peer, name);
  assert.equal(message.message_annotations?.['x-opt-tried'], 2, 'the annotation that the consumer added');
  delivery.accept();
}

async function undeliverableHere(target: AmqpTarget, context: CheckContext): Promise<void> {
  const { peer, name } = await withQueue(target, context, [{ body: 'not for me' }]);
  const link = { autoaccept: false, credit_window: 0 };
  const [one, other] = [await peer.receiver(queue(name), link), await peer.receiver(queue(name), link)];
  one.receiver.add_credit(5);
  const [first] = await one.expect(1);
  (first!.delivery as unknown as Settling).release({ delivery_failed: true, undeliverable_here: true });
  other.receiver.add_credit(1);
  const [second] = await other.expect(1);
  assert.equal(textOf(second!.message), 'not for me');
  assert.equal(second!.message.delivery_count, 1);
  second!.delivery.accept();
  assert.equal(one.received.length, 1);
}

/** Takes from the dead letters what this check has sent there. */
async function deadLetter(peer: Peer, body: string): Promise<Message> {
  const inbox = await peer.receiver(queue(deadLetters), { autoaccept: false });
  await until(() => inbox.texts.includes(body));
  const found = inbox.received.find(({ message }) => textOf(message) === body)!;
  found.delivery.accept();
  for (const other of inbox.received) if (other !== found) (other.delivery as unknown as Settling).release({ delivery_failed: false });
  await inbox.close();
  return found.message;
}

async function rejected(target: AmqpTarget, context: CheckContext): Promise<void> {
  const body = `bad ${context.unique}`;
  const { peer, name } = await withQueue(target, context, [{ body, application_properties: { kept: 'yes' } }]);
  const { delivery, close } = await take(peer, name);
  delivery.reject({ condition: 'app:bad', description: 'does not parse' });
  await close();
  const dead = await deadLetter(peer, body);
  assert.equal(dead.application_properties?.['kept'], 'yes');
  const told = JSON.stringify([dead.message_annotations, dead.application_properties]);
  assert.match(told, /app:bad/, `no reason in ${told}`);
}

async function triedTooOften(target: AmqpTarget, context: CheckContext): Promise<void> {
  const body = `poison ${context.unique}`;
  const { peer, name } = await withQueue(target, context, [{ body }]);
  for (let n = 0; n < maxDeliveries; n++) {
    const { delivery, close } = await take(peer, name);
    delivery.release({ delivery_failed: true });
    await close();
  }
  assert.equal(textOf(await deadLetter(peer, body)), body);
}

async function lostConnection(target: AmqpTarget, context: CheckContext): Promise<void> {
  const { peer, name } = await withQueue(target, context, [{ body: 'survivor' }]);
  const doomed = await Peer.connect(target, context, 'amqp', { container_id: `${context.unique}-d` });
  await take(doomed, name);
  (doomed.connection as unknown as { socket: { destroy: () => void } }).socket.destroy();
  const { message, delivery } = await take(peer, name);
  assert.equal(message.delivery_count, 1);
  delivery.accept();
}

async function browsing(target: AmqpTarget, context: CheckContext): Promise<void> {
  const bodies = ['a', 'b', 'c'];
  const { peer, name } = await withQueue(
    target,
    context,
    bodies.map((body) => ({ body })),
  );
  const source = { address: name, capabilities: ['queue'], distribution_mode: 'copy' } as never;
  const browser = await peer.receiver(source, { credit_window: 0 });
  assert.deepEqual(await browser.drain(), bodies);
  await browser.close();
  const consumer = await peer.receiver(queue(name), { credit_window: 0 });
  assert.deepEqual(await consumer.drain(), bodies);
  await consumer.close();
  const empty = await peer.receiver(source, { credit_window: 0 });
  assert.deepEqual(await empty.drain(), []);
}

const selected = (address: string, capability: string, selector: string): never =>
  ({ address, capabilities: [capability], filter: rhea.filter.selector(selector) }) as never;

const coloured: readonly Message[] = ['red', 'blue', 'red', 'green'].map((colour, n) => ({
  body: `${colour}${n}`,
  application_properties: { colour, weight: n },
}));

async function queueSelector(target: AmqpTarget, context: CheckContext): Promise<void> {
  const { peer, name } = await withQueue(target, context, coloured);
  const red = await peer.receiver(selected(name, 'queue', "colour = 'red' AND weight BETWEEN 0 AND 10"), { credit_window: 0 });
  assert.deepEqual(await red.drain(), ['red0', 'red2']);
  await red.close();
  const rest = await peer.receiver(queue(name), { credit_window: 0 });
  assert.deepEqual(await rest.drain(), ['blue1', 'green3']);
}

async function topicSelector(target: AmqpTarget, context: CheckContext): Promise<void> {
  const peer = await Peer.connect(target, context);
  const inbox = await peer.receiver(selected(context.unique, 'topic', "colour LIKE '%re%' AND weight > 0"));
  const outbox = await peer.sender(topic(context.unique));
  for (const message of coloured) await outbox.accepted(message);
  await inbox.expect(2);
  assert.deepEqual(inbox.texts, ['red2', 'green3']);
}

async function badSelector(target: AmqpTarget, context: CheckContext): Promise<void> {
  const peer = await Peer.connect(target, context);
  await assert.rejects(peer.receiver(selected(context.unique, 'topic', 'colour = = 1')), /amqp:/);
}

async function priorities(target: AmqpTarget, context: CheckContext): Promise<void> {
  const { peer, name } = await withQueue(
    target,
    context,
    [1, 9, 4, 0, 9, 4].map((priority, n) => ({ priority, body: `${priority}.${n}` })),
  );
  const inbox = await peer.receiver(queue(name), { credit_window: 0 });
  assert.deepEqual(await inbox.drain(), ['9.1', '9.4', '4.2', '4.5', '1.0', '0.3']);
}

async function expiry(target: AmqpTarget, context: CheckContext): Promise<void> {
  const { peer, name } = await withQueue(target, context, [{ body: 'short', ttl: 50 }, { body: 'long', ttl: 60_000 }, { body: 'ever' }]);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const inbox = await peer.receiver(queue(name), { credit_window: 0 });
  assert.deepEqual(await inbox.drain(), ['long', 'ever']);
  const { ttl } = inbox.received[0]!.message;
  assert.ok(ttl !== undefined && ttl < 60_000 && ttl > 50_000, `ttl ${ttl}`);
}

async function delay(target: AmqpTarget, context: CheckContext): Promise<void> {
  const { peer, name, send } = await withQueue(target, context, []);
  const inbox = await peer.receiver(queue(name));
  const startMs = Date.now();
  await send({ body: 'by delay', message_annotations: { 'x-opt-delivery-delay': rhea.types.wrap_long(700) } });
  await send({ body: 'by time', message_annotations: { 'x-opt-delivery-time': rhea.types.wrap_long(startMs + 400) } });
  await send({ body: 'at once' });
  await inbox.expect(1);
  assert.ok(Date.now() - startMs < 400, 'all of them waited');
  await inbox.expect(3);
  assert.deepEqual(inbox.texts, ['at once', 'by time', 'by delay']);
  assert.ok(Date.now() - startMs >= 690, `after ${Date.now() - startMs} ms`);
}

async function groups(target: AmqpTarget, context: CheckContext): Promise<void> {
  const { peer, name, send } = await withQueue(target, context, []);
  const other = await Peer.connect(target, context, 'amqp', { container_id: `${context.unique}-o` });
  const inboxes = [await peer.receiver(queue(name)), await other.receiver(queue(name))];
  for (let n = 0; n < 60; n++) await send({ body: `g${n % 6}`, group_id: `g${n % 6}` });
  await until(() => inboxes[0]!.received.length + inboxes[1]!.received.length >= 60);
  const [first, second] = inboxes.map(({ texts }) => new Set(texts));
  assert.ok(
    [...first!].every((text) => !second!.has(text)),
    `${[...first!].join(' ')} and ${[...second!].join(' ')}`,
  );
  assert.ok(first!.size > 0 && second!.size > 0, 'one of them got nothing');
}

async function competing(target: AmqpTarget, context: CheckContext): Promise<void> {
  const { peer, name, send } = await withQueue(target, context, []);
  const other = await Peer.connect(target, context, 'amqp', { container_id: `${context.unique}-o` });
  const link = { credit_window: 10 };
  const inboxes = [await peer.receiver(queue(name), link), await peer.receiver(queue(name), link), await other.receiver(queue(name), link)];
  const sent = Array.from({ length: 200 }, (_, n) => `m${n}`);
  for (const body of sent) await send({ body });
  await until(() => inboxes.reduce((sum, { received }) => sum + received.length, 0) >= sent.length);
  assert.deepEqual(inboxes.flatMap(({ texts }) => texts).toSorted(), sent.toSorted());
  for (const { received } of inboxes) assert.ok(received.length > 0, 'one of them got nothing');
}
