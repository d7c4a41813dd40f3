import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertBooks } from '../../broker/testing/test-broker.ts';
import { House, type Peer } from './testing/house.ts';

const transactions = { maxOpenPerPrincipal: 2, maxMessages: 100, maxBytes: 100_000, timeoutMs: 60_000 };

async function withMessages(count: number): Promise<{ house: House; reader: Peer; acks: string[] }> {
  const house = await House.open({}, { limits: { transactions }, shards: 4 });
  const reader = house.client();
  reader.say('SUBSCRIBE', { id: 's', destination: '/queue/q', ack: 'client-individual' });
  const writer = house.client();
  for (let i = 0; i < count; i++) writer.say('SEND', { destination: '/queue/q' }, `${i}`);
  const acks = reader.hear().map((message) => message.get('ack')!);
  assert.equal(acks.length, count);
  return { house, reader, acks };
}

test('many ACKs with receipts are all confirmed, however few transactions a principal may have open, when they are durable', async () => {
  const { house, reader, acks } = await withMessages(20);
  for (const shard of [0, 1, 2, 3]) house.test.frozen.add(shard);
  acks.forEach((id, i) => reader.begin('ACK', { id, receipt: `${i}` }));
  house.test.settle();
  assert.deepEqual(reader.words(), []);
  house.test.frozen.clear();
  house.test.settle();
  assert.deepEqual(
    reader.words(),
    acks.map((_, i) => `RECEIPT ${i}`),
  );
  assertBooks(house.test);
});

test('a goodbye waits for all of them', async () => {
  const { house, reader, acks } = await withMessages(3);
  acks.forEach((id, i) => reader.begin('ACK', { id, receipt: `${i}` }));
  reader.begin('DISCONNECT', { receipt: 'bye' });
  house.test.settle();
  assert.deepEqual(reader.words(), ['RECEIPT 0', 'RECEIPT 1', 'RECEIPT 2', 'RECEIPT bye']);
  reader.vanish();
  assertBooks(house.test);
});
