// npm run sim -- [--seeds N] [--seed FIRST] [--shards 1|8|both] [--cast mqtt|amqp|coap|all|each]: runs histories and says how to replay one that fails.

import { parseArgs } from 'node:util';
import { runSeed } from './scenario.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    shards: { type: 'string', default: 'both' },
    cast: { type: 'string', default: 'each' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  console.log(
    'npm run sim -- [--seeds N] [--seed FIRST] [--shards 1|8|both] [--cast mqtt|amqp|coap|all|each]\n\nRuns N simulated histories from seed FIRST on.',
  );
  process.exit(0);
}

/** Who speaks beside MQTT. */
const casts = ['mqtt', 'amqp', 'coap', 'all'];

const first = Number(values.seed);
const count = Number(values.seeds);
const began = performance.now();
const sums = { sent: 0, acknowledged: 0, received: 0, crashes: 0 };
let failed = 0;
for (let seed = first; seed < first + count; seed++) {
  const shards = values.shards === 'both' ? (seed % 2 === 0 ? 8 : 1) : Number(values.shards);
  // Each cast meets both numbers of shards.
  const cast = values.cast === 'each' ? casts[Math.floor(seed / 2) % casts.length]! : values.cast;
  const result = await runSeed(seed, shards, { amqp: cast === 'amqp' || cast === 'all', coap: cast === 'coap' || cast === 'all' });
  sums.sent += result.sent;
  sums.acknowledged += result.acknowledged;
  sums.received += result.received;
  sums.crashes += result.crashes;
  if (result.problems.length > 0) {
    failed++;
    console.log(
      `seed ${seed} (${shards} shards): ${result.problems.length} problems; replay: npm run sim -- --seed ${seed} --seeds 1 --shards ${shards} --cast ${cast}`,
    );
    for (const problem of result.problems.slice(0, 10)) console.log(`  ${problem}`);
  }
  if ((seed - first + 1) % 100 === 0) console.log(`${seed - first + 1} of ${count} seeds`);
}
const seconds = (performance.now() - began) / 1000;
console.log(
  `${count} histories in ${seconds.toFixed(1)} s: ${sums.sent} messages sent, ${sums.acknowledged} acknowledged, ${sums.received} received, ${sums.crashes} power cuts`,
);
console.log(`${count - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
