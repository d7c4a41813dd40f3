import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PayloadMemory, Stored, StoredRow } from './stored.ts';
import { TestBroker, message } from '../testing/test-broker.ts';

const durable = { sessionExpiryMs: 3_600_000 };

function row(number: number, isDurable = true): StoredRow {
  const made = new StoredRow(number, isDurable);
  made.messages.push(new Stored(message('x', 'y'), made, 0, 70, 0, 4, undefined));
  return made;
}

describe('memory of payloads', () => {
  test('evicts the oldest rows, but none that is not durable or spared', () => {
    const memory = new PayloadMemory(250);
    const rows = [row(1), row(2, false), row(3), row(4), row(5)];
    for (const each of rows) memory.hold(each, new Uint8Array(100));
    memory.evict(rows[2]);
    assert.deepEqual(
      rows.map(({ bytes }) => bytes !== undefined),
      [false, true, true, false, false],
    );
    assert.equal(rows[0]!.messages[0]!.message, undefined);
    assert.equal(memory.bytes, 200);
    assert.equal(memory.counters.evictions, 3);
    rows[1]!.durable = true;
    memory.hold(rows[0]!, new Uint8Array(100));
    memory.evict(undefined);
    assert.deepEqual(
      rows.map(({ bytes }) => bytes !== undefined),
      [true, false, true, false, false],
    );
    for (const each of rows) memory.release(each);
    assert.equal(memory.bytes, 0);
  });

  test('a row in the middle leaves nothing behind', () => {
    const memory = new PayloadMemory(1);
    const rows = Array.from({ length: 5 }, (_, i) => row(i));
    for (const each of rows) memory.hold(each, new Uint8Array(10));
    for (const i of [2, 0, 4]) memory.release(rows[i]!);
    assert.ok(rows[2]!.older === undefined && rows[2]!.newer === undefined);
    assert.equal(rows[1]!.newer, rows[3]);
    assert.equal(rows[3]!.older, rows[1]);
    memory.evict(undefined);
    assert.equal(memory.bytes, 0);
  });

  test('rows that came after one that lives for long are forgotten when they are done with', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a', durable);
    a.subscribe('x');
    const p = t.connect('p');
    p.publish('kept', 'for long', 1, { retain: true });
    for (let i = 0; i < 300; i++) {
      p.publish('x', String(i));
      a.session!.settle(a.deliveries.at(-1)!.id, 'accepted');
      t.settle();
    }
    assert.equal(t.broker.shards[0]!.rows.size, 1);
    const [kept] = t.broker.shards[0]!.rows.values();
    assert.ok(kept!.older === undefined && kept!.newer === undefined, 'the list holds nothing else');
    assert.equal(t.broker.memory.bytes, kept!.bytes!.length);
    p.publish('kept', '', 1, { retain: true });
    assert.equal(t.broker.memory.bytes, 0);
  });

  test('a long-lived row does not remember the messages that are done with', async () => {
    const t = await TestBroker.start();
    const a = t.connect('a', { ...durable, receiveMaximum: 65_535 });
    a.subscribe('x');
    const p = t.connect('p');
    p.publishNow('kept', 'for long', 1, { retain: true });
    for (let i = 0; i < 500; i++) p.publishNow('x', String(i));
    t.settle();
    const [row] = t.broker.shards[0]!.rows.values();
    assert.equal(row!.messages.length, 501);
    a.settleAll();
    assert.ok(row!.messages.length < 32, `${row!.messages.length} of 1 are remembered`);
    assert.equal(row!.live, 1);
  });
});
