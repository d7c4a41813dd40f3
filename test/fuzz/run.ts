// npm run fuzz -- [--minutes M] [--target NAME] [--seed N] [--replay FILE]
//
// Feeds each target for its share of the time. With --seed the run depends on nothing else but the code: what earlier runs have
// remembered is left out. Exit code 1 when anything failed.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { parseArgs } from 'node:util';
import { SeededRandom } from '../../src/base/random.ts';
import { Coverage } from './coverage.ts';
import { Engine } from './engine.ts';
import { corpusFiles, hangFile, readAll, rememberedInputs, rememberInputs, replayCommand, saveCrash } from './files.ts';
import { loadTarget, targetNames } from './targets.ts';
import { Watchdog } from './watchdog.ts';

const endlessMs = 20_000;
const reportMs = 15_000;

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    target: { type: 'string' },
    seed: { type: 'string' },
    replay: { type: 'string' },
  },
});

if (options.replay === undefined) process.exitCode = await fuzzAll();
else process.exitCode = await replay(options.target, options.replay);

async function replay(name: string | undefined, file: string): Promise<number> {
  if (name === undefined) throw new Error('--replay needs --target');
  const target = await loadTarget(name);
  try {
    const words = await target.run(new Uint8Array(readFileSync(file)));
    console.log(`✔ ${file} holds every property${words === undefined ? '' : `: ${words.join(', ')}`}`);
    return 0;
  } catch (error) {
    console.error(error);
    return 1;
  }
}

async function fuzzAll(): Promise<number> {
  const minutes = Number(options.minutes);
  if (!(minutes > 0)) throw new Error('--minutes must be a number above 0');
  const seed = options.seed === undefined ? Date.now() % 1_000_000_007 : Number(options.seed);
  if (options.target !== undefined) {
    const failures = await fuzz(options.target, minutes * 60_000, seed);
    return failures === 0 ? 0 : 1;
  }
  console.log(`fuzzing ${targetNames.join(', ')} for ${minutes} min in all, seed ${seed}`);
  // Each in a process of its own: modules that were loaded for another target would count by function only.
  const failed = targetNames.filter((name) => {
    const args = [import.meta.filename, '--target', name, '--minutes', String(minutes / targetNames.length)];
    if (options.seed !== undefined) args.push('--seed', options.seed);
    return spawnSync(process.execPath, args, { stdio: 'inherit' }).status !== 0;
  });
  console.log(
    `\n${targetNames.length - failed.length} targets passed, ${failed.length} failed${failed.length === 0 ? '' : `: ${failed.join(', ')}`}`,
  );
  return failed.length === 0 ? 0 : 1;
}

async function fuzz(name: string, budgetMs: number, seed: number): Promise<number> {
  // Every module of the product: a target says which ones count only once it is loaded, and it must not be loaded before.
  const coverage = Coverage.start(/\/(src|targets)\//);
  const target = await loadTarget(name);
  coverage.narrow(target.covers);
  const file = hangFile(name);
  const watchdog = new Watchdog(target.maxBytes, endlessMs, file, replayCommand(name, relative('', file)));
  const engine = new Engine(target, new SeededRandom(seed), coverage, (input) => watchdog.show(input));
  console.log(`\n${name}, seed ${seed}`);
  for (const property of target.properties) console.log(`  - ${property}`);
  const remembered = options.seed === undefined ? rememberedInputs(name) : [];
  await engine.load([...target.seeds, ...readAll(corpusFiles(name)), ...remembered]);
  const loaded = engine.corpus.length;

  const start = performance.now();
  let reported = start;
  let saved = 0;
  for (let now = start; now - start < budgetMs; now = performance.now()) {
    await engine.step();
    for (; saved < engine.crashes.length; saved++) report(name, engine, saved);
    if (now - reported > reportMs) {
      reported = now;
      console.log(`  ${progress(engine, coverage, now - start)}`);
    }
  }
  for (; saved < engine.crashes.length; saved++) report(name, engine, saved);
  console.log(`  ${progress(engine, coverage, performance.now() - start)}`);
  if (options.seed === undefined) rememberInputs(name, engine.corpus.slice(loaded));
  await watchdog.stop();
  coverage.stop();
  return engine.crashes.length;
}

function report(name: string, engine: Engine, number: number): void {
  const crash = engine.crashes[number]!;
  const path = saveCrash(name, crash);
  console.log(`  ✖ ${crash.failure.key}\n    ${path} (${crash.input.length} bytes)\n    ${replayCommand(name, path)}`);
}

function progress(engine: Engine, coverage: Coverage, ms: number): string {
  const { functions, gaps } = coverage.counts;
  const parts = [
    `${(ms / 1000).toFixed(0)} s`,
    `${engine.runs} runs (${Math.round(engine.runs / (ms / 1000))}/s)`,
    `${engine.corpus.length} inputs kept`,
    `${functions} functions reached, ${gaps} gaps in them`,
    `${engine.crashes.length} failures`,
  ];
  return parts.join(', ');
}
