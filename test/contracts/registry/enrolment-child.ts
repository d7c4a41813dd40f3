// A process that uses an enrolment token until it is used up, and says on its standard output how often it could.
//
//   node enrolment-child.ts PATH TOKEN_HASH

import { ManualClock } from '../../../src/base/clock.ts';
import { SqliteRegistry } from '../../../src/registry/sqlite/sqlite-registry.ts';
import { countUse } from './count-use.ts';
import { good } from './place.ts';

const [path, tokenHash] = process.argv.slice(2) as [string, string];
const clock = new ManualClock();
const registry = good(SqliteRegistry.open({ path, clock, thread: false }));
// Both begin at the same moment, as far as that is possible.
process.stdout.write('ready\n');
await new Promise((resolve) => process.stdin.once('data', resolve));
let uses = 0;
for (;;) {
  const used = await countUse(registry, tokenHash, clock.wallMs());
  if (!used.ok && used.error.code === 'limit') break;
  good(used);
  uses++;
}
await registry.close();
process.stdout.write(`${uses}\n`);
process.stdin.destroy();
