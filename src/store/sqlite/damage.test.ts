// Bytes that change behind the journal's back: it says so, or what it hands out is what was written. Nothing in between.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { SeededRandom } from '../../base/random.ts';
import { bytesOf, equalBytes, isJournalError } from '../../../test/contracts/opened-journal.ts';
import { temporaryDirectory } from '../../../test/contracts/temporary-journal.ts';
import { JournalError } from '../journal.ts';
import { markPath } from './durable-mark.ts';
import { ShardFile } from './shard-file.ts';

const rows = 24;
const checkpoint = 9;
const discarded = [3, 5];

function lengthOf(row: number): number {
  return (row * 7919) % 40_000;
}

/** Fills a file as a broker would, one commit a row. */
function fill(file: ShardFile): void {
  for (let row = 1; row <= rows; row++) file.commit([{ kind: 'append', row, bytes: bytesOf(row, lengthOf(row)) }]);
  file.commit([
    { kind: 'checkpoint', row: checkpoint },
    { kind: 'discard', rows: discarded },
  ]);
}

type Files = ReadonlyMap<string, Buffer>;

/** The journal's files, as they are after a clean end or after the process was killed, when the log still holds the rows. */
function journalFiles(context: TestContext, end: 'closed' | 'killed'): Files {
  const path = join(temporaryDirectory(context), 'shard-0.db');
  const file = ShardFile.open({ path, shard: 0 });
  fill(file);
  if (end === 'closed') file.close();
  const files = new Map<string, Buffer>();
  // Reading the main file while it is open drops SQLite's lock on it, which does not matter here.
  for (const suffix of ['', '-wal', '-durable']) if (fs.existsSync(path + suffix)) files.set(suffix, fs.readFileSync(path + suffix));
  if (end === 'killed') file.close();
  return files;
}

/** Opens a copy of the files, in which one is changed, and reads all of it. Returns the errors. */
function readChanged(directory: string, files: Files, suffix: string, changed: Buffer | undefined): JournalError[] {
  const path = join(directory, 'shard-0.db');
  for (const name of fs.readdirSync(directory)) fs.rmSync(join(directory, name));
  for (const [name, content] of files) fs.writeFileSync(path + name, content);
  if (changed === undefined) fs.rmSync(path + suffix);
  else fs.writeFileSync(path + suffix, changed);
  let file: ShardFile | undefined;
  try {
    file = ShardFile.open({ path, shard: 0 });
    assert.equal(file.next, rows + 1);
    // The checkpoint is no row: with the end of the log it may be lost, and then more rows are replayed.
    assert.ok(file.checkpoint === checkpoint || (suffix === '-wal' && file.checkpoint === 1));
    let expected = file.checkpoint;
    for (const { row, bytes } of file.replay()) {
      assert.equal(row, expected++);
      assert.ok(equalBytes(bytes, bytesOf(row, lengthOf(row))), `row ${row} is not what was written`);
    }
    assert.equal(expected, rows + 1, 'no durable row is missing');
  } catch (error) {
    if (!(error instanceof JournalError)) throw error;
    file?.close();
    return [error];
  }
  const errors = readEarlier(file);
  file.close();
  return errors;
}

function readEarlier(file: ShardFile): JournalError[] {
  const errors: JournalError[] = [];
  for (let row = 1; row < checkpoint; row++) {
    try {
      assert.ok(equalBytes(file.read(row), bytesOf(row, lengthOf(row))), `row ${row} is not what was written`);
    } catch (error) {
      if (!(error instanceof JournalError)) throw error;
      if (!discarded.includes(row)) errors.push(error);
    }
  }
  return errors;
}

function flipped(content: Buffer, offset: number, bit: number): Buffer {
  const copy = Buffer.from(content);
  copy[offset]! ^= 1 << bit;
  return copy;
}

/** Every refusal is one that names the damage; a later version is believed when its number says so. */
function assertClear(errors: readonly JournalError[], what: string): void {
  for (const error of errors) {
    assert.ok(['corrupt', 'version', 'missing'].includes(error.code), `${what}: ${error.code}: ${error.message}`);
    if (error.code === 'corrupt') assert.match(error.message, /shard-0\.db.*restore a backup.*heliograph data check/, what);
  }
}

test('a flipped bit anywhere in the file is noticed or harmless', (context) => {
  const files = journalFiles(context, 'closed');
  const directory = temporaryDirectory(context);
  assert.deepEqual(readChanged(directory, files, '', files.get('')), [], 'unchanged files are read without an error');
  const random = new SeededRandom(1);
  const content = files.get('')!;
  let noticed = 0;
  const runs = 250;
  for (let i = 0; i < runs; i++) {
    // The headers of the file, of its pages and of the tree get their share: a flip there does the most.
    const offset =
      i < 100 ? i : i % 2 === 0 ? random.below(content.length) : random.below(content.length / 16_384) * 16_384 + random.below(64);
    const bit = random.below(8);
    const errors = readChanged(directory, files, '', flipped(content, offset, bit));
    assertClear(errors, `bit ${bit} of byte ${offset}`);
    if (errors.length > 0) noticed++;
  }
  assert.ok(noticed > runs / 4, `only ${noticed} of ${runs} were noticed`);
});

test('a flipped bit in a row is told with the row', (context) => {
  const files = journalFiles(context, 'closed');
  const content = files.get('')!;
  const offset = content.indexOf(bytesOf(12, lengthOf(12)).subarray(100, 150));
  const [error] = readChanged(temporaryDirectory(context), files, '', flipped(content, offset, 0));
  isJournalError('corrupt', /row 12: its bytes are not what was written/)(error);
});

test('a cut file is noticed', (context) => {
  const files = journalFiles(context, 'closed');
  const directory = temporaryDirectory(context);
  const random = new SeededRandom(2);
  const content = files.get('')!;
  const lengths = [0, 1, 99, 100, 16_383, 16_384, content.length - 16_384, content.length - 1];
  for (let i = 0; i < 40; i++) lengths.push(random.below(content.length));
  for (const length of lengths) {
    const errors = readChanged(directory, files, '', content.subarray(0, length));
    assertClear(errors, `cut to ${length} bytes`);
    assert.ok(errors.length > 0, `a file cut to ${length} of ${content.length} bytes was taken for whole`);
  }
});

test('a log that was cut, damaged or removed is noticed: SQLite alone would take it for shorter', (context) => {
  const files = journalFiles(context, 'killed');
  const directory = temporaryDirectory(context);
  const log = files.get('-wal')!;
  assert.ok(log.length > 300_000, 'the rows are in the log');
  assert.deepEqual(readChanged(directory, files, '-wal', log), [], 'unchanged files are read without an error');
  const random = new SeededRandom(3);
  for (let i = 0; i < 40; i++) {
    const cut = readChanged(directory, files, '-wal', log.subarray(0, random.below(log.length)));
    assertClear(cut, 'cut log');
    assertClear(readChanged(directory, files, '-wal', flipped(log, random.below(log.length), random.below(8))), 'damaged log');
  }
  const [removed] = readChanged(directory, files, '-wal', undefined);
  isJournalError('corrupt')(removed);
  const half = readChanged(directory, files, '-wal', log.subarray(0, log.length / 2));
  isJournalError('corrupt', /rows \d+ to 24 had been stored durably and are gone/)(half[0]);
  assert.ok(fs.existsSync(join(directory, 'shard-0.db-wal.kept')), 'what is left of the log is kept');
});

test('a file that was removed or replaced by an earlier one is noticed, and the mark can be overruled', (context) => {
  const files = journalFiles(context, 'closed');
  const directory = temporaryDirectory(context);
  const path = join(directory, 'shard-0.db');
  isJournalError('corrupt', /rows up to 24 had been stored durably/)(readChanged(directory, files, '', undefined)[0]);
  fs.rmSync(markPath(path));
  fs.rmSync(path, { force: true });
  const file = ShardFile.open({ path, shard: 0 });
  assert.equal(file.next, 1);
  file.close();
});

test('a damaged mark only watches less', (context) => {
  const files = journalFiles(context, 'closed');
  const directory = temporaryDirectory(context);
  const mark = files.get('-durable')!;
  for (const changed of [undefined, Buffer.alloc(0), mark.subarray(0, 50), flipped(mark, 60, 0), Buffer.alloc(500, 1)]) {
    assert.deepEqual(readChanged(directory, files, '-durable', changed), []);
  }
});

test('another SQLite file, another shard and a later version are told apart', (context) => {
  const directory = temporaryDirectory(context);
  const path = join(directory, 'shard-0.db');
  const change = (sql: string) => {
    const file = ShardFile.open({ path, shard: 0 });
    file.db.exec(sql);
    file.close();
  };
  change('PRAGMA user_version = 2');
  assert.throws(
    () => ShardFile.open({ path, shard: 0 }),
    isJournalError('version', /later version of Heliograph \(schema 2, this one knows 1\)/),
  );
  fs.rmSync(path);
  change('PRAGMA application_id = 7');
  assert.throws(() => ShardFile.open({ path, shard: 0 }), isJournalError('corrupt', /not a journal of Heliograph/));
  fs.rmSync(path);
  change('SELECT 1');
  assert.throws(() => ShardFile.open({ path, shard: 4 }), isJournalError('corrupt', /journal of shard 0, not of shard 4/));
  fs.writeFileSync(path, 'this is a letter, not a database. '.repeat(100));
  assert.throws(() => ShardFile.open({ path, shard: 0 }), isJournalError('corrupt'));
  assert.throws(() => ShardFile.open({ path: join(directory, 'nowhere', 'x.db') }), isJournalError('io'));
});
