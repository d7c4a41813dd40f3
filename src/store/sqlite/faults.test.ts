// Disks that refuse while the journal runs: what was appended waits, in order, and goes through when the disk takes it again.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { bytesOf, equalBytes, isJournalError, readBytes, readRow } from '../../../test/contracts/opened-journal.ts';
import { atEnd, openSqlite, temporaryDirectory, until, type OpenedSqlite } from '../../../test/contracts/temporary-journal.ts';

const rowBytes = 20_000;

/** Appends rows, 10 ahead at most, until the journal says that it stalls. Returns the last row. */
async function appendUntilStalled({ journal, events }: OpenedSqlite, from: number): Promise<number> {
  let row = from;
  while (!events.told.includes('stalled')) {
    if (row - events.durableRow <= 10) {
      journal.append(row, bytesOf(row, rowBytes));
      row++;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  // Some more, which must wait behind the others.
  for (let more = 0; more < 5; more++, row++) journal.append(row, bytesOf(row, rowBytes));
  return row - 1;
}

/** Every row is there, waiting or durable. */
async function assertReadable({ journal }: OpenedSqlite, last: number): Promise<void> {
  for (let row = 1; row <= last; row++) assert.ok(equalBytes(await readBytes(journal, row), bytesOf(row, rowBytes)), `row ${row}`);
}

async function assertReplayed(context: TestContext, path: string, last: number): Promise<void> {
  const { rows, journal } = await openSqlite(context, path);
  assert.deepEqual(
    [...rows.keys()],
    Array.from({ length: last }, (_, i) => i + 1),
  );
  for (const [row, bytes] of rows) assert.ok(equalBytes(bytes, bytesOf(row, rowBytes)), `row ${row}`);
  await journal.close();
}

test('a full disk stalls the journal once; it resumes by itself and loses nothing', async (context) => {
  const path = join(temporaryDirectory(context), 'shard-0.db');
  const opened = await openSqlite(context, path);
  const { journal, events } = opened;
  await journal.execForTest('PRAGMA max_page_count = 60');
  const last = await appendUntilStalled(opened, 1);
  isJournalError('full', /shard-0\.db: no space left/)(events.errors[0]);
  const durableRow = events.durableRow;
  assert.ok(durableRow > 0 && durableRow < last);
  await assertReadable(opened, last);
  journal.checkpoint(1);
  assert.equal(events.told.filter((told) => told === 'stalled').length, 1);
  assert.equal([...journal.metrics()].find(({ name }) => name === 'heliograph_store_stalled')?.value, 1);

  await journal.execForTest('PRAGMA max_page_count = 100000');
  await events.untilDurable(last);
  const after = events.told.slice(events.told.indexOf('stalled') + 1);
  assert.equal(after[0], 'resumed', 'resumed is told before what has become durable');
  assert.deepEqual([...new Set(after)], ['resumed', 'durable']);
  assert.equal(events.durableRow, last);
  await journal.close();
  await assertReplayed(context, path, last);
});

test('rows that are discarded make room on a full disk', async (context) => {
  const path = join(temporaryDirectory(context), 'shard-0.db');
  const opened = await openSqlite(context, path);
  const { journal, events } = opened;
  for (let row = 1; row <= 30; row++) journal.append(row, bytesOf(row, rowBytes));
  await events.untilDurable(30);
  await journal.execForTest('PRAGMA max_page_count = 1'); // As many as there are.
  journal.checkpoint(31);
  journal.discard(Array.from({ length: 30 }, (_, i) => i + 1));
  for (let row = 31; row <= 50; row++) journal.append(row, bytesOf(row, rowBytes));
  await events.untilDurable(50);
  assert.deepEqual(events.errors, []);
  await journal.close();
});

test('a stalled journal can be closed; what was durable is there, and nothing out of order', async (context) => {
  const path = join(temporaryDirectory(context), 'shard-0.db');
  const opened = await openSqlite(context, path);
  const { journal, events } = opened;
  await journal.execForTest('PRAGMA max_page_count = 40');
  const last = await appendUntilStalled(opened, 1);
  await journal.close();
  assert.ok(!events.told.includes('resumed') && !events.told.includes('failed'));
  assert.ok(events.durableRow < last);
  await assertReplayed(context, path, events.durableRow);
});

test('trim and discard that wait behind a full disk are done when it has room', async (context) => {
  const path = join(temporaryDirectory(context), 'shard-0.db');
  const opened = await openSqlite(context, path);
  const { journal, events } = opened;
  await journal.execForTest('PRAGMA max_page_count = 40');
  const last = await appendUntilStalled(opened, 1);
  journal.checkpoint(last);
  journal.discard([1, 2]);
  journal.trim(3, Uint32Array.of(0));
  await journal.execForTest('PRAGMA max_page_count = 100000');
  await events.untilDurable(last);
  journal.append(last + 1, bytesOf(last + 1, rowBytes));
  await events.untilDurable(last + 1);
  isJournalError('missing')(await readRow(journal, 1));
  assert.equal(journal.stats().rows, last - 1);
  await journal.close();
});

test('space of discarded rows goes back to the file system, and the log is cut, when the journal is idle', async (context) => {
  const path = join(temporaryDirectory(context), 'shard-0.db');
  const { journal, events } = await openSqlite(context, path, { idleMs: 10 });
  const count = 600;
  for (let row = 1; row <= count; row++) journal.append(row, bytesOf(row, 50_000));
  await events.untilDurable(count);
  assert.ok(journal.stats().storedBytes > count * 50_000);
  journal.checkpoint(count);
  journal.discard(Array.from({ length: count - 1 }, (_, i) => i + 1));
  await until(() => journal.stats().storedBytes < 10_000_000);
  assert.deepEqual(await readBytes(journal, count), bytesOf(count, 50_000));
  await journal.close();
});

test('the log stays bounded under load', async (context) => {
  const path = join(temporaryDirectory(context), 'shard-0.db');
  const { journal, events } = await openSqlite(context, path, { walBytes: 1024 * 1024, maxTransactionBytes: 256 * 1024 });
  let largest = 0;
  for (let row = 1; row <= 600; row++) {
    journal.append(row, bytesOf(row, rowBytes));
    if (row % 20 === 0) {
      await events.untilDurable(row - 20);
      largest = Math.max(largest, fs.statSync(`${path}-wal`).size);
    }
  }
  await journal.close();
  assert.ok(largest < 4 * 1024 * 1024, `${largest} bytes`);
});

test('damage that a reader meets is told to the reader; damage in the way of a commit stops the journal', async (context) => {
  const path = join(temporaryDirectory(context), 'shard-0.db');
  const { journal, events } = await openSqlite(context, path);
  for (let row = 1; row <= 3; row++) journal.append(row, bytesOf(row, 100));
  journal.checkpoint(4);
  await events.untilDurable(3);
  await journal.execForTest('UPDATE rows SET bytes = zeroblob(100) WHERE row = 2');
  isJournalError('corrupt', /row 2: its bytes are not what was written/)(await readRow(journal, 2));
  assert.deepEqual(await readBytes(journal, 3), bytesOf(3, 100));
  assert.deepEqual(events.errors, []);
  journal.trim(2, Uint32Array.of(0));
  journal.append(4, bytesOf(4, 100));
  await events.untilTold('failed');
  isJournalError('corrupt', /row 2/)(events.errors[0]);
  assert.equal(events.durableRow, 3, 'nothing is reported durable any more');
  await journal.close();
});

test('a file that is removed or replaced while it is in use stops the journal before it promises more', async (context) => {
  const remove: ((path: string) => void)[] = [
    (path) => fs.rmSync(path),
    (path) => fs.rmSync(`${path}-wal`),
    (path) => {
      fs.copyFileSync(path, `${path}.copy`);
      fs.renameSync(`${path}.copy`, path);
    },
  ];
  for (const [i, step] of remove.entries()) {
    const path = join(temporaryDirectory(context), `shard-${i}.db`);
    const { journal, events } = await openSqlite(context, path);
    journal.append(1, bytesOf(1, 100));
    await events.untilDurable(1);
    step(path);
    journal.append(2, bytesOf(2, 100));
    await events.untilTold('failed');
    isJournalError('corrupt', /removed or replaced while it was in use/)(events.errors[0]);
    assert.equal(events.durableRow, 1);
    await journal.close();
  }
});

test('a journal whose thread dies says so, and answers what was asked', async (context) => {
  const path = join(temporaryDirectory(context), 'shard-0.db');
  const { journal, events } = await openSqlite(context, path);
  journal.append(1, bytesOf(1, 100));
  await events.untilDurable(1);
  const died = assert.rejects(journal.execForTest('this is not SQL'), isJournalError('io', /thread failed/));
  const answer = readRow(journal, 1);
  await died;
  isJournalError('io', /thread failed/)(await answer);
  assert.deepEqual(events.told.slice(-1), ['failed']);
  isJournalError('io')(await readRow(journal, 1));
  await journal.close();
});

test('a disk that is really full, and then is not', async (context) => {
  const directory = temporaryDirectory(context);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', directory], { encoding: 'utf8' });
  if (mounted.status !== 0)
    return context.skip(`a small file system cannot be mounted here: ${mounted.error?.message ?? mounted.stderr.trim()}`);
  atEnd(context, () => void spawnSync('umount', ['-l', directory]));
  const path = join(directory, 'shard-0.db');
  const filler = join(directory, 'filler');
  fs.writeFileSync(filler, Buffer.alloc(5_500_000));
  const opened = await openSqlite(context, path);
  const last = await appendUntilStalled(opened, 1);
  isJournalError('full')(opened.events.errors[0]);
  await assertReadable(opened, last);
  fs.rmSync(filler);
  await opened.events.untilDurable(last);
  assert.ok(opened.events.told.includes('resumed'));
  await opened.journal.close();
  await assertReplayed(context, path, last);
});
