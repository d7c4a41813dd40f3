// Real processes, really killed: every row that they said was durable is there, byte for byte.

import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { test, type TestContext } from 'node:test';
import { SeededRandom } from '../../base/random.ts';
import { rowOf } from '../../../test/contracts/journal-child.ts';
import { equalBytes, isJournalError, openJournal } from '../../../test/contracts/opened-journal.ts';
import { atEnd, openSqlite, temporaryDirectory } from '../../../test/contracts/temporary-journal.ts';
import { ShardFile } from './shard-file.ts';
import { SqliteJournal } from './sqlite-journal.ts';

const childScript = fileURLToPath(new URL('../../../test/contracts/journal-child.ts', import.meta.url));

/** What a child says, line by line, and its end. */
class Child {
  readonly process: ChildProcess;
  readonly lines: string[] = [];
  durableRow = 0;
  readonly ended: Promise<void>;
  #changed: () => void = () => {};

  constructor(context: TestContext, command: string, args: readonly string[]) {
    this.process = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface({ input: this.process.stdout! });
    lines.on('line', (line) => {
      this.lines.push(line);
      if (line.startsWith('durable ')) this.durableRow = Number(line.slice('durable '.length));
      this.#changed();
    });
    this.ended = new Promise((resolve) => lines.on('close', resolve));
    atEnd(context, () => void this.process.kill('SIGKILL'));
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      const ended = await Promise.race([
        new Promise<false>((resolve) => (this.#changed = () => resolve(false))),
        this.ended.then(() => true),
      ]);
      if (ended) throw new Error(`the process ended early: ${this.lines.slice(-3).join(', ')}`);
    }
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.ended;
  }
}

function startChild(context: TestContext, path: string, seed: number): Child {
  return new Child(context, process.execPath, [childScript, path, String(seed), '5']);
}

/** Opens the file as a broker would after the crash. Returns the number of the next row. */
function verify(path: string, durableRow: number): number {
  const file = ShardFile.open({ path, shard: 0 });
  try {
    assert.ok(file.next > durableRow, `rows up to ${durableRow} were durable, but ${file.next} is next`);
    let expected = file.checkpoint;
    for (const { row, bytes } of file.replay()) {
      assert.equal(row, expected++);
      assert.ok(equalBytes(bytes, rowOf(row)), `row ${row} is not what was appended`);
    }
    assert.equal(expected, file.next);
    return file.next;
  } finally {
    file.close();
  }
}

test('a process that is killed at any moment loses no row that it said was durable', async (context) => {
  const path = join(temporaryDirectory(context), 'shard-0.db');
  const random = new SeededRandom(11);
  let next = 1;
  for (let kill = 0; kill < 8; kill++) {
    const child = startChild(context, path, kill);
    const target = next + random.below(400);
    await child.until(() => child.durableRow >= target);
    await child.kill();
    assert.equal(child.lines[0], `opened ${next}`, 'it starts where the file ends');
    next = verify(path, child.durableRow);
  }
});

test('a process that is killed while it opens or starts leaves a file that can be opened', async (context) => {
  const path = join(temporaryDirectory(context), 'shard-0.db');
  const random = new SeededRandom(12);
  let durableRow = 0;
  for (let kill = 0; kill < 4; kill++) {
    const child = startChild(context, path, kill);
    // Somewhere in the first 120 ms or so: before, while and after the file is made.
    for (let turns = random.below(40_000); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
    await child.kill();
    durableRow = Math.max(durableRow, child.durableRow);
    verify(path, durableRow);
  }
});

test('a second process is refused while the first has the file, and let in when it was killed', async (context) => {
  const path = join(temporaryDirectory(context), 'shard-0.db');
  const child = startChild(context, path, 1);
  await child.until(() => child.durableRow > 0);
  await assert.rejects(openJournal(new SqliteJournal({ path })), isJournalError('locked', /another process has it open/));
  const before = child.durableRow;
  await child.until(() => child.durableRow > before + 20);
  await child.kill();
  const { next, journal } = await openSqlite(context, path);
  assert.ok(next > child.durableRow);
  await journal.close();
});

test('a disk that returns I/O errors stalls the journal; it resumes when the errors end', async (context) => {
  if (spawnSync('prlimit', ['--version']).status !== 0) return context.skip('prlimit (util-linux) is not here to make writes fail');
  const path = join(temporaryDirectory(context), 'shard-0.db');
  // A limit on file sizes makes writes beyond it fail with EFBIG. The soft limit is lifted while the process runs.
  const args = ['--fsize=1500000:unlimited', process.execPath, childScript, path, '1', '5'];
  const child = new Child(context, 'prlimit', args);
  await child.until(() => child.lines.some((line) => line.startsWith('stalled')));
  assert.match(
    child.lines.find((line) => line.startsWith('stalled'))!,
    /shard-0\.db: the disk refuses/,
  );
  const stalledAt = child.durableRow;
  const lifted = spawnSync('prlimit', ['--pid', String(child.process.pid), '--fsize=unlimited:unlimited'], { encoding: 'utf8' });
  assert.equal(lifted.status, 0, lifted.stderr);
  await child.until(() => child.durableRow > stalledAt + 200);
  assert.ok(child.lines.includes('resumed'));
  assert.ok(!child.lines.some((line) => line.startsWith('failed')));
  await child.kill();
  verify(path, child.durableRow);
});
