// Writes the fixture of the records' format: the journals of a broker as this version leaves them, and beside them what a broker
// on them has to say. A later version must read it for ever, so a fixture is written once, by the version that brought the
// format, and never again.
//
//   node tools/broker-fixture.ts

import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Attributes } from '../src/message/attributes.ts';
import { Message } from '../src/message/message.ts';
import type { Settlement, SettlementDetail } from '../src/broker/port.ts';
import { recordVersion } from '../src/broker/journal/records.ts';
import { broughtBack, everythingOf, storedBroker } from '../src/broker/testing/stored-broker.ts';
import { TestBroker, message } from '../src/broker/testing/test-broker.ts';
import type { TestConsumer } from '../src/broker/testing/test-broker.ts';

const directory = join(import.meta.dirname, '..', 'test', 'fixtures', `broker-format-${recordVersion}`);
if (fs.existsSync(directory)) throw new Error(`${directory} exists: a fixture is never written again`);

const hour = { sessionExpiryMs: 3_600_000 };
const forEver = { sessionExpiryMs: Infinity };

const attributes: Attributes = {
  payloadFormat: 'utf8',
  contentType: 'text/plain',
  contentEncoding: 'identity',
  properties: [
    { key: 'a', value: { type: 'string', value: 'ä€😀' } },
    { key: 'a', value: { type: 'null', value: null } },
    { key: 'b', value: { type: 'boolean', value: true } },
    { key: 'c', value: { type: 'short', value: -5 } },
    { key: 'd', value: { type: 'ulong', value: 2n ** 64n - 1n } },
    { key: 'e', value: { type: 'timestamp', value: -1n } },
    { key: 'f', value: { type: 'double', value: 0.1 } },
    { key: 'g', value: { type: 'binary', value: Uint8Array.of(0, 255) } },
    { key: 'h', value: { type: 'uuid', value: '00000000-0000-0000-0000-000000000001' } },
  ],
  correlation: { type: 'binary', value: Uint8Array.of(1, 2, 3) },
  messageId: { type: 'string', value: 'id' },
  replyTo: { kind: 'topic', name: 'answers/here' },
  subject: 'subject',
  groupId: 'group',
  groupSequence: 4_000_000_000,
  // Since format 3.
  deliverAtMs: 1,
  death: { reason: 'rejected', description: 'why', from: 'inbox/somebody', diedAtMs: 2 },
  annotations: [{ key: 'x', value: { type: 'symbol', value: 'y' } }],
  residue: { protocol: 'amqp', bytes: Uint8Array.of(9, 8) },
};

/** Since format 3. */
const red: Attributes = { properties: [{ key: 'colour', value: { type: 'string', value: 'red' } }], groupId: 'group' };
const isRed = "colour = 'red'";

function withAttributes(m: Message, expiresAtMs: number): Message {
  return new Message(m.topic, m.topicBytes, m.buffer, m.start, m.end, m.guarantee, m.retain, 9, expiresAtMs, 123_456, 'sender', attributes);
}

/** One of everything that can be in a journal. Done twice: the first time is told by a checkpoint, the second time as it happened. */
function everything(t: TestBroker, round: string): void {
  const inbox = t.connect(`inbox-${round}`, forEver);
  inbox.subscribe('in/#', 2, { subscriptionId: 5, retainAsPublished: true });
  inbox.subscribe('other', 0, { noLocal: true });
  inbox.subscribe('in/forgotten', 1);
  inbox.session!.unsubscribe(['in/forgotten'], 1);
  const member = t.connect(`member-${round}`, hour);
  member.subscribe(`$share/group-${round}/g/+`, 2);
  member.subscribe(`$queue/jobs-${round}`, 1);
  const leaving = t.connect(`leaving-${round}`, hour);
  leaving.subscribe(`$share/left-${round}/l`, 2);
  t.settle();
  publishAll(t, round, inbox, member);
  // A queue that is gone but for one delivery.
  leaving.session!.unsubscribe([`$share/left-${round}/l`], 1);
  t.connect(`will-${round}`, { ...hour, will: { message: withAttributes(message('in/will', `will ${round}`, 1), 0), delayMs: 600_000 } });
  t.connect(`lost-${round}`, { ...hour, will: { message: message('in/lost', `lost ${round}`, 2, { retain: true }), delayMs: 1_200_000 } });
  t.connect(`gone-${round}`, hour);
  t.connect(`gone-${round}`, { cleanStart: true });
  t.settle();
}

function publishAll(t: TestBroker, round: string, inbox: TestConsumer, member: TestConsumer): void {
  const p = t.connect(`publisher-${round}`, hour);
  const publish = p.publish.bind(p);
  for (let i = 1; i <= 4; i++) publish(`in/${i}`, `exactly once ${i} ${round}`, 2, { token: i });
  const expiresAtMs = t.clock.wallMs() + 86_400_000;
  const full = withAttributes(message('in/full', `attributes ${round}`, 1, { retain: true }), expiresAtMs);
  p.session!.publish(p.session!.address(full.topic, full.topicBytes), full, 100);
  publish('in/once', `at least once ${round}`, 1);
  for (let i = 1; i <= 3; i++) publish(`g/${i}`, `of the group ${i} ${round}`, 2, { token: 10 + i });
  publish('l', `under way ${round}`, 2, { token: 20 });
  for (const guarantee of [0, 1] as const) publish(`$queue/jobs-${round}`, `job ${guarantee} ${round}`, guarantee);
  publish(`kept/${round}`, `last ${round}`, 1, { retain: true });
  publish(`cleared/${round}`, 'soon cleared', 1, { retain: true });
  publish(`cleared/${round}`, '', 1, { retain: true });
  // Rows of which little stays.
  for (let i = 0; i < 4; i++) p.publishNow(`kept/${round}/${i}`, `stays ${i}`, 1, { retain: true });
  for (let i = 0; i < 4; i++) p.publishNow('in/done', 'x'.repeat(100));
  t.settle();
  for (const { id, topic } of inbox.deliveries) if (topic === 'in/done') inbox.session!.settle(id, 'accepted');
  for (const token of [1, 11]) p.session!.release(token);
  // Received: the first of each; done with: the second.
  for (const consumer of [inbox, member]) {
    const [first, second] = consumer.deliveries.filter(({ guarantee }) => guarantee === 2);
    for (const { id } of [first!, second!]) consumer.session!.settle(id, 'received');
    t.settle();
    consumer.session!.settle(second!.id, 'accepted');
  }
  t.settle();
}

/** Since format 3: sessions that are links, what they settle in their own ways, and what they leave behind. */
function links(t: TestBroker, round: string): void {
  const partOf = t.connect(`connection-${round}`).session!;
  const sender = t.connect(`sender-${round}`, { ...hour, partOf });
  const receiver = t.connect(`receiver-${round}`, { ...forEver, partOf, deadLetters: true, queuesAtMostOnce: true });
  receiver.subscribe('links/+', 2, { selector: isRed });
  for (const name of ['modified', 'received', 'rejected', 'waits']) {
    sender.publish(`links/${name}`, `${name} ${round}`, 2, { tag: `ÿ${name}`, priority: 7, attributes: red });
  }
  sender.session!.release(1, 'ÿrejected');
  const said = (name: string, how: Settlement, detail?: SettlementDetail): void => {
    const { id } = receiver.deliveries.find(({ topic }) => topic === `links/${name}`)!;
    receiver.session!.settle(id, how, detail);
    t.settle();
  };
  said('modified', 'modified', { deliveryFailed: true, annotations: [{ key: 'x-note', value: { type: 'ubyte', value: 7 } }] });
  said('received', 'received');
  said('rejected', 'rejected', { reason: { condition: 'test:reason', description: 'a description' } });
  const member = t.connect(`leaves-${round}`, { partOf });
  member.subscribe(`$share/kept-${round}/kept/+`, 1, { selector: isRed, sharedExpiryMs: 100 * 3_600_000 });
  member.disconnect();
  const taker = t.connect(`taker-${round}`, { partOf });
  taker.subscribe(`$queue/taken-${round}`, 2);
  for (const priority of [2, 9]) {
    sender.publish(`kept/${priority}`, `kept ${priority} ${round}`, 1, { attributes: red });
    sender.publish(`$queue/taken-${round}`, `taken ${priority} ${round}`, 2, { tag: `${priority}`, priority, attributes: red });
  }
  const deliverAtMs = t.clock.wallMs() + 3_600_000;
  sender.publish('in/later', `later ${round}`, 1, { attributes: { deliverAtMs } });
  const transaction = sender.session!.begin(() => {});
  if (typeof transaction !== 'object') throw new Error('the fixture cannot be made');
  for (const shard of [0, 1]) {
    const m = message(t.nameOn(shard, '$queue/both-', `-${round}`), `both ${round}`, 1);
    transaction.publish(sender.session!, sender.session!.address(m.topic, m.topicBytes), m);
  }
  transaction.commit(() => {});
  t.settle();
}

/** Since format 2: from a queue of one journal into one of the other. */
async function move(broker: TestBroker, round: string): Promise<void> {
  const from = broker.nameOn(0, '$queue/from-', `-${round}`);
  const to = broker.nameOn(1, '$queue/to-', `-${round}`);
  const p = broker.connect('mover');
  for (const payload of ['first', 'second']) p.publish(from, `${payload} ${round}`);
  const { ok } = await broker.until(broker.broker.management.move('main', from, to, 1));
  if (!ok) throw new Error('the fixture cannot be made');
  p.disconnect();
}

const t = await TestBroker.start({ shards: 2 });
everything(t, 'before');
links(t, 'before');
await move(t, 'before');
t.broker.checkpoint(() => {});
t.settle();
everything(t, 'after');
links(t, 'after');
await move(t, 'after');
// Two sessions that are attached for ever would be taken for lost at the restart: as after a crash.
const stored = storedBroker(t);
const holds = everythingOf(await broughtBack(stored));
fs.mkdirSync(directory, { recursive: true });
fs.writeFileSync(join(directory, 'journals.json'), `${JSON.stringify(stored, undefined, 1)}\n`);
fs.writeFileSync(join(directory, 'holds.json'), `${JSON.stringify(holds, undefined, 2)}\n`);
