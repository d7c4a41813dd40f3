// What must not wait for each other: commits, reads, a backup.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Histogram } from '../../base/metrics.ts';
import { bytesOf, equalBytes, openJournal, readBytes } from '../../../test/contracts/opened-journal.ts';
import { openSqlite, temporaryDirectory, type OpenedSqlite } from '../../../test/contracts/temporary-journal.ts';
import { SqliteJournal } from './sqlite-journal.ts';

const rowBytes = 20_000;

/** Appends without a pause, 100 rows ahead at most, until `done`. Returns the last row. */
async function appendUntil({ journal, events }: OpenedSqlite, from: number, done: () => boolean): Promise<number> {
  let row = from;
  while (!done()) {
    if (row - events.durableRow < 100) {
      journal.append(row, bytesOf(row, rowBytes));
      row++;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  return row - 1;
}

test('a backup ends while rows are appended without a pause, and is whole', async (context) => {
  const directory = temporaryDirectory(context);
  const opened = await openSqlite(context, join(directory, 'shard-0.db'));
  const { journal, events } = opened;
  const before = await appendUntil(opened, 1, () => events.durableRow >= 300);
  await events.untilDurable(before);
  let ended = false;
  const backup = journal.backup(join(directory, 'backup.db')).then(() => (ended = true));
  const last = await appendUntil(opened, before + 1, () => ended);
  await backup;
  assert.ok(events.durableRow > before, 'commits went on meanwhile');
  const copy = await openSqlite(context, join(directory, 'backup.db'));
  assert.ok(copy.next > before && copy.next <= last + 1);
  for (const [row, bytes] of copy.rows) assert.ok(equalBytes(bytes, bytesOf(row, rowBytes)), `row ${row}`);
  assert.equal(copy.rows.size, copy.next - 1);
});

test('reads are answered while a long queue of rows is committed', async (context) => {
  const path = join(temporaryDirectory(context), 'shard-0.db');
  const { journal, events } = await openSqlite(context, path, { maxTransactionBytes: 100_000 });
  journal.append(1, bytesOf(1, rowBytes));
  await events.untilDurable(1);
  const last = 1500;
  for (let row = 2; row <= last; row++) journal.append(row, bytesOf(row, rowBytes));
  assert.deepEqual(await readBytes(journal, 1), bytesOf(1, rowBytes));
  assert.ok(events.durableRow < last, 'the read did not wait for the end of the queue');
  await events.untilDurable(last);
});

test('rows that pile up while a commit runs go into one transaction', async (context) => {
  const path = join(temporaryDirectory(context), 'shard-0.db');
  const { journal, events } = await openSqlite(context, path);
  for (let row = 1; row <= 200; row++) journal.append(row, bytesOf(row, 100));
  await events.untilDurable(200);
  assert.ok(journal.stats().commits <= 3, `${journal.stats().commits} commits`);
});

test('a replay is held back by an owner that takes its time, and can be broken off', async (context) => {
  const path = join(temporaryDirectory(context), 'shard-0.db');
  const first = await openSqlite(context, path);
  for (let row = 1; row <= 600; row++) first.journal.append(row, bytesOf(row, rowBytes));
  await first.journal.close();
  const slow = new SqliteJournal({ path });
  let seen = 0;
  let closing: Promise<void> | undefined;
  const opening = slow.open(first.events, () => {
    seen++;
    closing ??= slow.close();
  });
  await assert.rejects(opening, /closed/);
  await closing;
  assert.ok(seen < 600, 'the rest was not sent');
  const { rows, journal } = await openJournal(new SqliteJournal({ path }));
  assert.equal(rows.size, 600);
  await journal.close();
});

test('metrics carry the shard and add up', async (context) => {
  const path = join(temporaryDirectory(context), 'shard-3.db');
  const { journal, events } = await openSqlite(context, path, { shard: 3 });
  for (let row = 1; row <= 5; row++) journal.append(row, bytesOf(row, 1000));
  const pending = (name: string) => [...journal.metrics()].find((sample) => sample.name === `heliograph_store_${name}`)?.value;
  assert.equal(pending('pending_rows'), 5);
  assert.equal(pending('pending_bytes'), 5000);
  await events.untilDurable(5);
  const samples = new Map([...journal.metrics()].map((sample) => [sample.name, sample]));
  for (const sample of samples.values()) assert.deepEqual(sample.labels, { shard: '3' });
  const value = (name: string) => samples.get(`heliograph_store_${name}`)?.value;
  assert.equal(value('rows'), 5);
  assert.equal(value('row_bytes'), 5000);
  assert.equal(value('pending_rows'), 0);
  assert.equal(value('pending_bytes'), 0);
  assert.equal(value('stalled'), 0);
  const seconds = value('commit_seconds');
  assert.ok(seconds instanceof Histogram);
  assert.equal(
    seconds.counts.reduce((a, b) => a + b),
    value('commits_total'),
  );
  assert.ok(seconds.sum > 0);
});
