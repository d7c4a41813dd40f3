// Writes the fixture of the journal's format: a file as this version leaves it, and beside it what it holds. A later version
// must read it for ever, so a fixture is written once, by the version that brought the format, and never again.
//
//   node tools/journal-fixture.ts

import * as fs from 'node:fs';
import { join } from 'node:path';
import { SeededRandom } from '../src/base/random.ts';
import { ShardFile } from '../src/store/sqlite/shard-file.ts';
import { schemaVersion } from '../src/store/sqlite/schema.ts';

const directory = join(import.meta.dirname, '..', 'test', 'fixtures', `journal-format-${schemaVersion}`);
const path = join(directory, 'shard-0.db');
if (fs.existsSync(path)) throw new Error(`${path} exists: a fixture is never written again`);
fs.mkdirSync(directory, { recursive: true });

const random = new SeededRandom(1);
const file = ShardFile.open({ path, shard: 0 });
const sizes = [1, 3, 2, 4, 1, 0, 5, 2, 1, 3];
sizes.forEach((records, i) => {
  const row = i + 1;
  const body = (record: number): Uint8Array => random.bytes(row === 7 ? 5000 : record * 40 + row);
  const pieces = Array.from({ length: records }, (_, record) => body(record)).map((bytes, record) =>
    Buffer.concat([Uint8Array.from(varint(bytes.length)), Uint8Array.of(record), bytes]),
  );
  file.commit([{ kind: 'append', row, bytes: Buffer.concat([Uint8Array.of(1), ...pieces]) }]);
});
file.commit([
  { kind: 'checkpoint', row: 6 },
  { kind: 'discard', rows: [2, 3] },
  { kind: 'trim', row: 4, keep: Uint32Array.of(1, 3) },
]);
const rows: Record<string, string> = {};
for (const { row, bytes } of file.audit()) rows[row] = Buffer.from(bytes).toString('base64');
const holds = { shard: file.shard, checkpoint: file.checkpoint, next: file.next, rows };
file.close();
fs.rmSync(`${path}-durable`);
fs.writeFileSync(join(directory, 'holds.json'), `${JSON.stringify(holds, undefined, 2)}\n`);

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];
}
