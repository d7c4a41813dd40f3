import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { UserError } from '../../base/user-error.ts';
import { frameRow } from '../../../test/contracts/framed-row.ts';
import { bytesOf } from '../../../test/contracts/opened-journal.ts';
import { openSqlite, temporaryDirectory } from '../../../test/contracts/temporary-journal.ts';
import { openDataDirectory, shardPath } from '../data-directory.ts';
import { ShardFile } from '../sqlite/shard-file.ts';
import { backupData, checkData, compactData } from './index.ts';

const rowsPerShard = 30;

function rowOf(row: number): Uint8Array {
  return frameRow([bytesOf(row, 3000), bytesOf(row, 10), bytesOf(row, 30_000)]);
}

function change(path: string, shard: number, body: (file: ShardFile) => void): void {
  const file = ShardFile.open({ path: shardPath(path, shard), shard });
  body(file);
  file.close();
}

/** A data directory with two shards, as a broker leaves it. */
async function dataDirectory(context: TestContext): Promise<string> {
  const path = join(temporaryDirectory(context), 'data');
  await openDataDirectory(path, { shards: 2, nowMs: 0 });
  for (const shard of [0, 1]) {
    change(path, shard, (file) => {
      for (let row = 1; row <= rowsPerShard; row++) file.commit([{ kind: 'append', row, bytes: rowOf(row) }]);
      file.commit([
        { kind: 'checkpoint', row: 11 },
        { kind: 'discard', rows: [2, 3, 4] },
        { kind: 'trim', row: 5, keep: Uint32Array.of(1) },
      ]);
    });
  }
  return path;
}

function isUserError(what: RegExp, fix: RegExp): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof UserError, String(error));
    assert.match(error.message, what);
    assert.match(error.fix ?? '', fix);
    return true;
  };
}

/** A digest of each file; SQLite's reader may leave an index of the log, and an empty log. */
function contentOf(path: string): string[] {
  return fs
    .readdirSync(path)
    .filter((name) => !name.endsWith('-shm') && fs.statSync(join(path, name)).size > 0)
    .map(
      (name) =>
        `${name} ${createHash('sha256')
          .update(fs.readFileSync(join(path, name)))
          .digest('hex')}`,
    );
}

test('check counts what is there, finds nothing wrong and changes nothing', async (context) => {
  const path = await dataDirectory(context);
  const before = contentOf(path);
  const progress: string[] = [];
  const report = await checkData(path, ({ file, rows, ofRows }) => progress.push(`${file} ${rows}/${ofRows}`));
  assert.deepEqual(report.findings, []);
  assert.equal(report.inUse, false);
  assert.deepEqual(
    report.shards.map(({ shard, rows, records, checkpoint, nextRow }) => ({ shard, rows, records, checkpoint, nextRow })),
    [0, 1].map((shard) => ({
      shard,
      rows: rowsPerShard - 3,
      records: (rowsPerShard - 4) * 3 + 1,
      checkpoint: 11,
      nextRow: rowsPerShard + 1,
    })),
  );
  assert.ok(report.shards.every(({ bytes, storedBytes }) => bytes > 800_000 && storedBytes > bytes));
  assert.equal(progress.at(-1), `${shardPath(path, 1)} 27/27`);
  assert.deepEqual(contentOf(path), before);
});

test('check sees the rows that are only in the log, and leaves it as it is', async (context) => {
  const path = await dataDirectory(context);
  const copy = join(temporaryDirectory(context), 'killed');
  const file = ShardFile.open({ path: shardPath(path, 0), shard: 0 });
  file.commit([{ kind: 'append', row: rowsPerShard + 1, bytes: rowOf(rowsPerShard + 1) }]);
  fs.cpSync(path, copy, { recursive: true }); // As a killed process would leave it.
  file.close();
  const before = contentOf(copy);
  const report = await checkData(copy);
  assert.deepEqual(report.findings, []);
  assert.equal(report.shards[0]!.nextRow, rowsPerShard + 2);
  assert.deepEqual(contentOf(copy), before);
});

test('check names every damaged row, gaps, records that are not framed, and files that are not there', async (context) => {
  const path = await dataDirectory(context);
  change(path, 0, (file) => {
    file.db.exec("UPDATE rows SET bytes = x'01' WHERE row IN (7, 20)");
    file.db.exec('DELETE FROM rows WHERE row IN (14, 15)');
    file.commit([{ kind: 'append', row: rowsPerShard + 1, bytes: Uint8Array.of(1, 200) }]);
  });
  fs.rmSync(shardPath(path, 1));
  const { findings, shards } = await checkData(path);
  assert.deepEqual(
    findings.map(({ where, what }) => [where.replace(/^.*shard/, 'shard'), what.replace(/^.*: /, '')].join(' | ')),
    [
      'shard-0.db, row 7 | its bytes are not what was written (CRC differs); restore a backup; `heliograph data check` tells the extent of the damage',
      'shard-0.db, row 14 | rows 14 to 15 are missing',
      'shard-0.db, row 20 | its bytes are not what was written (CRC differs); restore a backup; `heliograph data check` tells the extent of the damage',
      'shard-0.db, row 31 | its records are not framed as they should be (row ends within a length)',
      'shard-1.db | the file is missing',
    ],
  );
  assert.ok(findings.every(({ fix }) => fix.includes('backup')));
  assert.deepEqual(
    shards.map(({ shard }) => shard),
    [0],
  );
});

test('check finds a damaged structure and a lost tail', async (context) => {
  const path = await dataDirectory(context);
  const file = shardPath(path, 0);
  fs.truncateSync(file, fs.statSync(file).size - 3 * 16_384);
  change(path, 1, ({ db }) => db.exec('DELETE FROM rows WHERE row > 25'));
  const { findings } = await checkData(path);
  assert.match(findings.find(({ where }) => where.startsWith(file))!.what, /damaged/);
  assert.match(findings.find(({ where }) => where.includes('shard-1.db'))!.what, /rows 26 to 30 had been stored durably and are gone/);
});

test('a directory in use is said to be, and not touched', async (context) => {
  const path = await dataDirectory(context);
  const { journal, next, events } = await openSqlite(context, shardPath(path, 1), { shard: 1 });
  const report = await checkData(path);
  assert.equal(report.inUse, true);
  assert.deepEqual(
    report.shards.map(({ shard }) => shard),
    [0],
  );
  assert.match(report.findings[0]!.what, /shard-1\.db: another process has it open/);
  assert.match(report.findings[0]!.fix, /stop the broker/);
  await assert.rejects(compactData(path), isUserError(/another process has it open/, /stop the broker/));
  await assert.rejects(backupData(path, join(path, '..', 'backup')), isUserError(/another process has it open/, /stop the broker/));
  journal.append(next, rowOf(next));
  await events.untilDurable(next);
});

test('a backup is a data directory with the same rows', async (context) => {
  const path = await dataDirectory(context);
  const target = join(path, '..', 'backups', 'monday');
  const report = await backupData(path, target);
  assert.equal(report.rows, 2 * (rowsPerShard - 3));
  assert.deepEqual(await openDataDirectory(target, { shards: 2, nowMs: 9 }), {
    path: target,
    shards: 2,
    created: '1970-01-01T00:00:00.000Z',
  });
  const [original, copy] = [await checkData(path), await checkData(target)];
  assert.deepEqual(copy.findings, []);
  const facts = ({ rows, records, bytes, nextRow }: (typeof copy.shards)[number]) => ({ rows, records, bytes, nextRow });
  assert.deepEqual(copy.shards.map(facts), original.shards.map(facts));
  assert.deepEqual(fs.readdirSync(target).sort(), ['heliograph.json', 'shard-0.db', 'shard-1.db']);
  assert.equal(fs.statSync(shardPath(target, 0)).mode & 0o777, 0o600);
  await assert.rejects(backupData(path, target), isUserError(/would overwrite/, /new or an empty directory/));
});

test('a restored backup opens beside the mark of the journal that it replaces', async (context) => {
  const path = await dataDirectory(context);
  const target = join(path, '..', 'backup');
  await backupData(path, target);
  change(path, 0, (file) => file.commit([{ kind: 'append', row: rowsPerShard + 1, bytes: rowOf(1) }]));
  fs.copyFileSync(shardPath(target, 0), shardPath(path, 0));
  change(path, 0, (file) => assert.equal(file.next, rowsPerShard + 1));
  assert.deepEqual((await checkData(path)).findings, []);
});

test('a damaged directory is not backed up as if it were whole', async (context) => {
  const path = await dataDirectory(context);
  change(path, 0, ({ db }) => db.exec("UPDATE rows SET bytes = x'01' WHERE row = 7"));
  const target = join(path, '..', 'backup');
  await assert.rejects(backupData(path, target), isUserError(/row 7/, /put the last backup/));
  await assert
    .rejects(
      openDataDirectory(target, { shards: 3, nowMs: 0 }).then(() => checkData(path)),
      UserError,
    )
    .catch(() => {});
  assert.ok(!fs.existsSync(join(target, 'shard-0.db')));
});

test('compact gives free space back and keeps the rows', async (context) => {
  const path = await dataDirectory(context);
  change(path, 0, (file) => {
    file.commit([
      { kind: 'checkpoint', row: rowsPerShard },
      { kind: 'discard', rows: Array.from({ length: rowsPerShard - 2 }, (_, i) => i + 1) },
    ]);
  });
  const progress: string[] = [];
  const [first] = await compactData(path, ({ file }) => progress.push(file));
  assert.ok(first!.bytesBefore > 1_000_000 && first!.bytesAfter < 150_000, JSON.stringify(first));
  assert.deepEqual(progress, [shardPath(path, 0), shardPath(path, 1)]);
  const { findings, shards } = await checkData(path);
  assert.deepEqual(findings, []);
  assert.deepEqual(
    shards.map(({ rows }) => rows),
    [2, rowsPerShard - 3],
  );
});

test('what is no data directory is left alone', async (context) => {
  const path = temporaryDirectory(context);
  for (const tool of [() => checkData(path), () => compactData(path), () => backupData(path, join(path, 'backup'))]) {
    await assert.rejects(tool(), isUserError(/no data directory/, /--data DIR/));
  }
  assert.deepEqual(fs.readdirSync(path), []);
});
