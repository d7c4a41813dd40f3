// Any bytes as rows of the journal: what a disk gives back that lost or changed them. A mark of three bytes cuts an input into
// rows.

import assert from 'node:assert/strict';
import { ManualClock } from '../../../src/base/clock.ts';
import { TestBroker } from '../../../src/broker/testing/test-broker.ts';
import { JournalError } from '../../../src/store/journal.ts';
import { MemoryContents } from '../../../src/store/memory/memory-journal.ts';
import { forEachRecord, RowError, trimRow } from '../../../src/store/row.ts';
import type { Target } from '../target.ts';

const separator = Uint8Array.of(0xfe, 0xca, 0xfe);

type Found = { index: number; kind: number; body: string };

function recordsOf(row: Uint8Array): Found[] | undefined {
  const found: Found[] = [];
  try {
    forEachRecord(row, (index, kind, start, end) => {
      assert.ok(start <= end && end <= row.length);
      found.push({ index, kind, body: Buffer.from(row.subarray(start, end)).toString('hex') });
    });
  } catch (error) {
    if (!(error instanceof RowError)) throw error;
    return undefined;
  }
  return found;
}

function rowsOf(input: Uint8Array): Uint8Array[] {
  const rows: Uint8Array[] = [];
  const bytes = Buffer.from(input);
  let start = 0;
  for (let at = bytes.indexOf(separator); at !== -1; at = bytes.indexOf(separator, start)) {
    rows.push(new Uint8Array(bytes.subarray(start, at)));
    start = at + separator.length;
  }
  rows.push(new Uint8Array(bytes.subarray(start)));
  return rows;
}

function checkTrim(row: Uint8Array, records: readonly Found[]): void {
  // Indexes of a row that is damaged need not rise; trimming is only promised for those that do.
  if (records.some(({ index }, i) => index > 0xffff_ffff || (i > 0 && index <= records[i - 1]!.index))) return;
  const kept = records.filter((_, i) => i % 2 === 0);
  const trimmed = trimRow(
    row,
    Uint32Array.from(kept, ({ index }) => index),
  );
  assert.deepEqual(recordsOf(trimmed), kept, 'a trimmed row holds what was kept, with its indexes');
}

async function run(input: Uint8Array): Promise<readonly string[]> {
  const rows = rowsOf(input);
  const seen: string[] = [];
  for (const row of rows) {
    const records = recordsOf(row);
    if (records === undefined) continue;
    for (const { kind } of records) seen.push(`record of kind ${kind}`);
    checkTrim(row, records);
  }
  seen.push(await recover(rows));
  return seen;
}

/** Starts a broker on the rows. */
async function recover(rows: readonly Uint8Array[]): Promise<string> {
  const contents = new MemoryContents();
  for (const [i, row] of rows.entries()) contents.rows.set(i + 1, row);
  contents.next = rows.length + 1;
  const test = new TestBroker({ contents: [contents], clock: new ManualClock() });
  try {
    await test.broker.start();
  } catch (error) {
    if (!(error instanceof JournalError)) throw error;
    assert.equal(error.code, 'corrupt');
    assert.ok(error.message.length > 0 && error.where.length > 0);
    return 'refused';
  }
  test.settle();
  if (stopped(test)) return 'stopped';
  assert.equal(test.broker.total.imbalance(), 0, 'the books do not add up');
  // What was recovered can be lived with: clients come, time goes by, everything is written anew.
  const client = test.connect('fuzz-client', { sessionExpiryMs: 1000 });
  client.session?.subscribe(
    [{ filter: '#', guarantee: 1, noLocal: false, retainAsPublished: false, retainHandling: 'always', subscriptionId: 0 }],
    1,
  );
  test.settle();
  test.broker.checkpoint(() => {});
  test.advance(3_600_000);
  if (stopped(test)) return 'stopped later';
  assert.equal(test.broker.total.imbalance(), 0, 'the books do not add up after an hour');
  return 'recovered';
}

/** A reference to a message that is not there is only seen when the message is needed. */
function stopped(test: TestBroker): boolean {
  if (test.failed === undefined) return false;
  assert.ok(test.failed instanceof JournalError && ['corrupt', 'missing'].includes(test.failed.code), String(test.failed));
  return true;
}

/** Rows that a broker really wrote. */
async function realRows(): Promise<Uint8Array[]> {
  const test = await TestBroker.start();
  const a = test.connect('a', { sessionExpiryMs: 60_000 });
  a.subscribe('x/#', 2, { subscriptionId: 5 });
  a.subscribe('$share/g/y', 1);
  const b = test.connect('b', { sessionExpiryMs: 60_000 });
  b.subscribe('$queue/jobs', 1);
  b.subscribe('x/1', 1);
  a.publish('x/1', 'one', 1);
  a.publish('x/2', 'two', 2, { token: 3, retain: true, expiresAtMs: test.clock.wallMs() + 500_000 });
  b.publish('$queue/jobs', 'job', 1);
  b.publish('y', 'shared', 1);
  a.session!.release(3);
  test.settle();
  a.settleAll();
  b.session!.unsubscribe(['x/1'], 9);
  test.settle();
  b.disconnect();
  test.broker.checkpoint(() => {});
  test.settle();
  return [...test.contents[0]!.rows.values()];
}

const real = await realRows();

export const target: Target = {
  name: 'journal-row',
  properties: [
    'the framing of a row holds, or is refused with RowError and nothing else',
    'a trimmed row holds exactly what was kept, under the same indexes',
    'a broker starts on the rows, or refuses them with JournalError corrupt and nothing else; the same when it finds out later',
    'a broker that has started has books that add up, serves clients, and writes a checkpoint',
  ],
  covers: /\/src\/(store\/row|broker\/(\w+\/)?[^/]+)\.ts$/,
  maxBytes: 8192,
  slowMs: 500,
  seeds: [
    ...real,
    Buffer.concat(real.flatMap((row, i) => (i === 0 ? [row] : [separator, row]))),
    Uint8Array.of(1),
    Uint8Array.of(2, 0, 0, 1),
  ].map((seed) => new Uint8Array(seed)),
  dictionary: [separator, Uint8Array.of(1), Uint8Array.of(2), ...real.slice(0, 4)],
  run,
};
