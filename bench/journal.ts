// Measures the journal alone: rows as a broker appends them, one or some per turn of the event loop.
//
//   node bench/journal.ts [DIRECTORY]

import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SqliteJournal } from '../src/store/sqlite/sqlite-journal.ts';

type Work = { readonly rowBytes: number; readonly rowsPerTurn: number; readonly totalBytes: number; readonly maxPendingRows: number };

const works: readonly Work[] = [
  { rowBytes: 300, rowsPerTurn: 1, totalBytes: 6e6, maxPendingRows: 1 },
  { rowBytes: 2_600, rowsPerTurn: 1, totalBytes: 40e6, maxPendingRows: 50 },
  { rowBytes: 26_000, rowsPerTurn: 1, totalBytes: 60e6, maxPendingRows: 1 },
  { rowBytes: 26_000, rowsPerTurn: 1, totalBytes: 300e6, maxPendingRows: 50 },
  { rowBytes: 26_000, rowsPerTurn: 8, totalBytes: 300e6, maxPendingRows: 400 },
  { rowBytes: 260_000, rowsPerTurn: 1, totalBytes: 400e6, maxPendingRows: 20 },
];

async function run(directory: string, work: Work): Promise<void> {
  const path = join(directory, `journal-${work.rowBytes}-${work.maxPendingRows}.db`);
  const journal = new SqliteJournal({ path });
  const appendedAt: number[] = [];
  const waits: number[] = [];
  let durableRow = 0;
  let wake = (): void => {};
  const events = {
    durable(row: number) {
      const now = performance.now();
      while (durableRow < row) waits.push(now - appendedAt[++durableRow]!);
      wake();
    },
    stalled(error: Error) {
      throw error;
    },
    resumed() {},
    failed(error: Error) {
      throw error;
    },
  };
  let next = await journal.open(events, () => {});
  const bytes = new Uint8Array(work.rowBytes).map(() => Math.random() * 256);
  const rows = Math.ceil(work.totalBytes / work.rowBytes);
  const startCpu = process.threadCpuUsage();
  const startMs = performance.now();
  while (next <= rows) {
    for (let i = 0; i < work.rowsPerTurn && next <= rows && next - 1 - durableRow < work.maxPendingRows; i++) {
      appendedAt[next] = performance.now();
      journal.append(next++, bytes);
    }
    if (next - 1 - durableRow >= work.maxPendingRows) await new Promise<void>((resolve) => (wake = resolve));
    else await new Promise((resolve) => setImmediate(resolve));
  }
  while (durableRow < rows) await new Promise<void>((resolve) => (wake = resolve));
  const ms = performance.now() - startMs;
  const cpu = process.threadCpuUsage(startCpu);
  const { commits, commitMs } = journal.stats();
  waits.sort((a, b) => a - b);
  const at = (part: number): string => waits[Math.floor((waits.length - 1) * part)]!.toFixed(2);
  console.log(
    [
      `${work.rowBytes} B x ${work.rowsPerTurn}/turn, ${work.maxPendingRows} pending`.padEnd(36),
      `${((rows * work.rowBytes) / 1e3 / ms).toFixed(0)} MB/s`.padStart(9),
      `${((rows / ms) * 1e3).toFixed(0)} rows/s`.padStart(13),
      `${((commits / ms) * 1e3).toFixed(0)} commits/s`.padStart(16),
      `${(commitMs / commits).toFixed(2)} ms each`.padStart(14),
      `${((cpu.user + cpu.system) / rows).toFixed(1)} µs main CPU/row`.padStart(22),
      `   wait p50 ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)} ms`,
    ].join(''),
  );
  await journal.close();
}

async function replay(directory: string): Promise<void> {
  const path = join(directory, 'replay.db');
  const rowBytes = 26_000;
  const rows = 20_000;
  const journal = new SqliteJournal({ path });
  let durable = (_row: number): void => {};
  const events = { durable: (row: number) => durable(row), stalled() {}, resumed() {}, failed() {} };
  await journal.open(events, () => {});
  const bytes = new Uint8Array(rowBytes).map(() => Math.random() * 256);
  for (let row = 1; row <= rows; row++) {
    journal.append(row, bytes);
    if (row % 100 === 0) await new Promise<void>((resolve) => (durable = (at) => at >= row && resolve()));
  }
  await journal.close();
  const startMs = performance.now();
  const startCpu = process.threadCpuUsage();
  const again = new SqliteJournal({ path });
  let seen = 0;
  await again.open(events, (_row, bytes) => void (seen += bytes.length));
  const ms = performance.now() - startMs;
  const cpu = process.threadCpuUsage(startCpu);
  console.log(
    `replay of ${(seen / 1e6).toFixed(0)} MB: ${(seen / 1e3 / ms).toFixed(0)} MB/s, main thread ${((cpu.user + cpu.system) / 1e3).toFixed(0)} ms of ${ms.toFixed(0)}`,
  );
  await again.close();
}

const directory = fs.mkdtempSync(join(process.argv[2] ?? tmpdir(), 'heliograph-bench-'));
try {
  for (const work of works) await run(directory, work);
  await replay(directory);
} finally {
  fs.rmSync(directory, { recursive: true });
}
