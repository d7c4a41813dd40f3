// A process that appends rows to a journal and says on its standard output which are durable, for tests that kill it or
// take its disk away. Every row can be made again from its number: `rowOf`.
//
//   node journal-child.ts PATH SEED RETRY_MS

import { writeSync } from 'node:fs';
import { SeededRandom } from '../../src/base/random.ts';
import { SqliteJournal } from '../../src/store/sqlite/sqlite-journal.ts';
import { frameRow } from './framed-row.ts';
import { bytesOf } from './opened-journal.ts';

/** Row number `row`: up to 20 records. */
export function rowOf(row: number): Uint8Array {
  const random = new SeededRandom(row);
  return frameRow(Array.from({ length: 1 + random.below(20) }, () => bytesOf(row, random.below(random.below(10) === 0 ? 20_000 : 300))));
}

/** One write per line, so that a killed process leaves no half of it unsaid that was said. */
function say(what: string): void {
  writeSync(1, `${what}\n`);
}

async function run(path: string, seed: number, retryMs: number): Promise<void> {
  const random = new SeededRandom(seed);
  const journal = new SqliteJournal({ path, retryMs, walBytes: 512 * 1024, idleMs: 20 });
  let next = 1;
  let durableRow = 0;
  const events = {
    durable(row: number) {
      durableRow = row;
      say(`durable ${row}`);
    },
    stalled: (error: Error) => say(`stalled ${error.message}`),
    resumed: () => say('resumed'),
    failed: (error: Error) => say(`failed ${error.message}`),
  };
  next = await journal.open(events, () => {});
  durableRow = next - 1;
  let checkpoint = Math.max(1, next - 500);
  say(`opened ${next}`);
  for (;;) {
    // At most 200 rows wait, as a broker would hold its publishers back.
    for (let i = random.below(8); i > 0 && next - durableRow < 200; i--) journal.append(next, rowOf(next++));
    if (random.below(40) === 0 && durableRow > checkpoint + 60) {
      // The rows that go are the ones a test no longer asks for: those more than 500 before the last.
      const from = checkpoint;
      checkpoint = Math.max(checkpoint, durableRow - 500);
      journal.checkpoint(checkpoint);
      journal.discard(Array.from({ length: checkpoint - from }, (_, i) => from + i));
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

if (import.meta.main) {
  const [path, seed, retryMs] = process.argv.slice(2);
  await run(path!, Number(seed), Number(retryMs));
}
