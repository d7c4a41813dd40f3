// npm run crash -- [--kills N] [--seconds S] [--seed N] [--shards N]: kills a real broker again and again under real clients,
// and checks what they saw.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { History, type Outcome } from './history.ts';

const usage = `npm run crash -- [--kills N] [--seconds S] [--seed N] [--shards N]

Starts a broker on SQLite, and clients of MQTT, AMQP, STOMP, HTTP and CoAP; ends the broker with kill -9 at random moments, also while it
starts, and starts it again at once; then checks that nothing that was acknowledged is lost.

  --kills N    how often (default 20)
  --seconds S  instead of --kills: for how long
  --seed N     of the random choices; the moments of processes are not repeatable (default: a new one)
  --shards N   journals of the broker (default: by the seed, 1 or 8)`;

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '0' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    shards: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}

const seed = numberOf('seed', values.seed);
const kills = numberOf('kills', values.kills);
const seconds = numberOf('seconds', values.seconds);
const shards = values.shards === undefined ? (seed % 2 === 0 ? 8 : 1) : numberOf('shards', values.shards);
const directory = mkdtempSync(join(tmpdir(), 'heliograph-crash-'));
console.log(`seed ${seed}, ${shards} shard(s), ${seconds > 0 ? `${seconds} s` : `${kills} kills`}`);

const kinds: Readonly<Record<string, string>> = {
  LOST: 'what was acknowledged reached every durable subscriber and group',
  REPEATED: 'nothing of QoS 2 came twice',
  HALF: 'of a transaction all arrived or nothing',
  'ROLLED BACK': 'nothing arrived of a transaction that was rolled back',
  ORDER: 'messages of a publisher came in their order',
  INVENTED: 'nothing came that nobody sent',
  ASTRAY: 'nothing came to whom it was not for',
  BROKEN: 'no payload was changed',
  REFUSED: 'no publish was refused',
  UNKNOWN: 'every publish of a durable session was acknowledged in the end',
  FORGOTTEN: 'no session was forgotten',
  MISTAKE: 'no client met a protocol error',
  RETAINED: 'no retained message was older than the last acknowledged',
  WILL: 'the will of every lost connection was published',
  STUCK: 'everything came to rest after the calm',
  BOOKS: 'the books balance',
  DIED: 'the broker ended only when told to',
  DATA: 'heliograph data check found nothing',
  IDLE: 'checkpoints, wills and payloads beyond the memory took part',
};

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

const beganMs = performance.now();
let outcome: Outcome;
try {
  outcome = await History.run({ seed, kills, seconds, shards, directory });
} catch (error) {
  console.log(error instanceof Error ? (error.stack ?? error.message) : String(error));
  console.log(`data and log are kept in ${directory}\n0 passed, 1 failed`);
  process.exit(1);
}
process.exit(report(outcome) ? 0 : 1);

function report({ problems, restartsMs, recoveriesMs, ...o }: Outcome): boolean {
  const took = ((performance.now() - beganMs) / 1000).toFixed(1);
  console.log(`${o.kills} kills in ${took} s, ${o.killsBeforeReady} of them before clients were let in; ${o.connections} connections`);
  console.log(
    `${o.sent} messages sent, ${o.acknowledged} acknowledged above QoS 0, ${o.received} received; ${o.wills} wills; ${o.probes} newcomers`,
  );
  console.log(
    `restart p50 ${quantile(restartsMs, 0.5)} ms, max ${quantile(restartsMs, 1)} ms; of it recovery p50 ${quantile(recoveriesMs, 0.5)} ms, max ${quantile(recoveriesMs, 1)} ms`,
  );
  console.log(
    `the broker, as far as seen: ${Object.entries(o.broker)
      .map(([name, count]) => `${count} ${name}`)
      .join(', ')}`,
  );
  let failed = 0;
  for (const [kind, promise] of Object.entries(kinds)) {
    const found = problems.filter((problem) => problem.startsWith(`${kind}:`));
    if (found.length > 0) failed++;
    console.log(`${found.length === 0 ? '✔' : '✖'} ${promise}`);
    for (const problem of found.slice(0, 10)) console.log(`    ${problem}`);
    if (found.length > 10) console.log(`    and ${found.length - 10} more`);
  }
  const others = problems.filter((problem) => !Object.keys(kinds).some((kind) => problem.startsWith(`${kind}:`)));
  for (const problem of others) console.log(`✖ ${problem}`);
  failed += others.length;
  if (failed === 0) rmSync(directory, { recursive: true, force: true });
  else console.log(`data and log are kept in ${directory}; try again: npm run crash -- --seed ${seed} --shards ${shards} --kills ${kills}`);
  console.log(`${Object.keys(kinds).length + others.length - failed} passed, ${failed} failed`);
  return failed === 0;
}

function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0);
}

function numberOf(option: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  console.error(`--${option} must be a whole number, but is "${text}"\n\n${usage}`);
  process.exit(2);
}
