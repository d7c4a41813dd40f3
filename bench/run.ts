// npm run bench: what Heliograph does on one core, beside the peers that this machine has.

import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { BrokerFailed, findBrokers, type Broker } from './brokers.ts';
import { GeneratorFailed, NotPossible } from './generators.ts';
import { describeMachine, twoCores, type Cores } from './machine.ts';
import { isFailure, median, metrics, type Demand, type Failure, type Measurement } from './measurement.ts';
import { terminalTable, verdict, type WorkResult } from './report.ts';
import { publishResults, resultsAsJson } from './results.ts';
import { works, type Scale, type Work } from './works.ts';

const help = `npm run bench -- [options]

  --only NAME,…     of these works: ${works.map(({ name }) => name).join(', ')}
  --peers NAME,…    beside these peers (mosquitto, nats, aedes, rabbitmq, artemis,
                    libcoap, coap of npm, node:dgram); "none": alone
  --runs N          runs of each, of which the median counts (3)
  --quick           one short run of each
  --smoke           small and short: whether everything works, not how fast; fails when a message is lost
  --json FILE       everything that was measured
  --write           puts the results into bench/results.json and bench/README.md; works that were not run keep theirs
`;

const full: Scale = {
  warmSeconds: 2,
  measuredSeconds: 5,
  devices: 2000,
  idleConnections: 10_000,
  observers: 10_000,
  sessionsOfDtls: 10_000,
  filters: 1_000_000,
  sessions: 100_000,
  backlog: 1_000_000,
};
const quick: Scale = { ...full, warmSeconds: 1, measuredSeconds: 2 };
const smoke: Scale = {
  warmSeconds: 0,
  measuredSeconds: 1,
  devices: 200,
  idleConnections: 300,
  observers: 200,
  sessionsOfDtls: 100,
  filters: 20_000,
  sessions: 500,
  backlog: 10_000,
};

type Plan = {
  readonly scale: Scale;
  readonly runs: number;
  readonly works: readonly Work[];
  readonly brokers: readonly Broker[];
  readonly cores: Cores | undefined;
};

async function measureOnce(work: Work, broker: Broker, { scale, cores }: Plan): Promise<Measurement | Failure> {
  try {
    return await work.measure(broker, scale, cores);
  } catch (error) {
    if (error instanceof NotPossible) return { failed: `skipped: ${error.message}` };
    if (error instanceof BrokerFailed || error instanceof GeneratorFailed) return { failed: error.message };
    throw error;
  }
}

/** All runs of one work, the brokers in turn, so that what changes on the machine hits all of them. */
async function measure(work: Work, plan: Plan, setting: string): Promise<WorkResult> {
  const brokers = plan.brokers.filter(({ name }, i) => i === 0 || work.peers.includes(name));
  const measured = new Map<string, Measurement[]>(brokers.map(({ name }) => [name, []]));
  const failed = new Map<string, Failure>();
  for (let run = 0; run < (work.once === true ? 1 : plan.runs); run++) {
    for (const broker of brokers) {
      if (failed.has(broker.name) || (broker.once === true && run > 0)) continue;
      const outcome = await measureOnce(work, broker, plan);
      if (isFailure(outcome)) failed.set(broker.name, outcome);
      else measured.get(broker.name)!.push(outcome);
    }
  }
  const outcomes = new Map(brokers.map(({ name }) => [name, failed.get(name) ?? median(measured.get(name)!)]));
  return { work, setting, outcomes };
}

function describe({ scale, runs, brokers, cores }: Plan): string {
  const versions = brokers.map(({ name, version }) => `${name} ${version}`).join(', ');
  const pinning = cores === undefined ? 'nothing is pinned' : `broker on core ${cores.broker}, generator on core ${cores.generator}`;
  const length = `${runs === 1 ? 'one run' : `median of ${runs} interleaved runs`} of ${scale.measuredSeconds} s`;
  return `${new Date().toISOString().slice(0, 10)}. ${describeMachine()}. ${versions}. 64-byte payloads; ${pinning}; ${length}; load average at the start ${loadavg()[0]!.toFixed(1)}.`;
}

function names(option: string | undefined): string[] {
  return option === undefined ? [] : option.split(',');
}

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    peers: { type: 'string' },
    runs: { type: 'string' },
    quick: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    json: { type: 'string' },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (options.help) {
  console.log(help);
} else if (process.platform !== 'linux') {
  console.error('The benchmark reads /proc and pins with taskset: it needs Linux.');
  process.exitCode = 1;
} else {
  await run();
}

async function run(): Promise<void> {
  const only = names(options.only);
  const unknown = only.filter((name) => !works.some((work) => work.name === name));
  if (unknown.length > 0) throw new Error(`There is no work ${unknown.join(', ')}.\n\n${help}`);
  const short = options.quick || options.smoke;
  const plan: Plan = {
    scale: options.smoke ? smoke : options.quick ? quick : full,
    runs: Number(options.runs ?? (short ? 1 : 3)),
    works: works.filter(({ name }) => only.length === 0 || only.includes(name)).map((work) => (options.smoke ? unhurried(work) : work)),
    brokers: findBrokers(names(options.peers ?? (options.smoke ? 'none' : undefined))),
    cores: twoCores(),
  };
  const setting = describe(plan);
  console.log(`${setting}\n`);
  if (options.smoke) console.log('Small and short: these are not the sizes of the titles, and the figures mean nothing.\n');
  const results: WorkResult[] = [];
  for (const work of plan.works) {
    const startMs = performance.now();
    const result = await measure(work, plan, setting);
    results.push(result);
    const { met, text } = verdict(result);
    console.log(`${met ? '✔' : '✖'} ${work.name}: ${text} (${((performance.now() - startMs) / 1000).toFixed(0)} s)`);
  }
  console.log(`\n${terminalTable(results)}`);
  if (options.json !== undefined) writeFileSync(options.json, resultsAsJson(results));
  if (options.write) publishResults(results);
  // How fast it is decides nothing here: machines differ. What was lost, or could not be done at all, does.
  const broken = results.filter(({ work, outcomes }) => isBroken(work, outcomes.get('heliograph')!));
  if (broken.length > 0) process.exitCode = 1;
}

/** Small runs say nothing about speed. */
function unhurried(work: Work): Work {
  return { ...work, demands: work.demands.filter(isAboutLoss) };
}

function isAboutLoss({ text }: Demand): boolean {
  return text.startsWith(metrics.lost.title);
}

function isBroken({ demands }: Work, outcome: Measurement | Failure): boolean {
  if (isFailure(outcome)) return !outcome.failed.startsWith('skipped');
  return demands.some(isAboutLoss) && (outcome.lost ?? 0) > 0;
}
