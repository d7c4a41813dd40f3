// Fuzzes the toy in a process of its own and prints what was found: a question for coverage costs more the more a process has loaded.

import { SeededRandom } from '../../src/base/random.ts';
import { Coverage } from './coverage.ts';
import { Engine } from './engine.ts';

const coverage = Coverage.start(/\/test\/fuzz\/toy\.ts$/);
const { target } = await import('./toy.ts');
const engine = new Engine(target, new SeededRandom(7), coverage);
await engine.load(target.seeds);
for (let step = 0; step < 3000 && engine.crashes.length === 0; step++) await engine.step();
coverage.stop();
console.log(
  JSON.stringify({ runs: engine.runs, crashes: engine.crashes.map(({ failure, input }) => ({ key: failure.key, input: [...input] })) }),
);
