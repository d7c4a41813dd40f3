// Results as they are kept: bench/results.json, and bench/README.md made of it.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Failure, Measurement } from './measurement.ts';
import { markdown, verdict, withResults, type WorkResult } from './report.ts';
import { works } from './works.ts';

type Kept = {
  readonly title: string;
  readonly setting: string;
  readonly demands: readonly string[];
  readonly verdict: string;
  readonly outcomes: Readonly<Record<string, Measurement | Failure>>;
};

const resultsPath = join(import.meta.dirname, 'results.json');
const readmePath = join(import.meta.dirname, 'README.md');

/** By the works' names. */
function kept(results: readonly WorkResult[]): Record<string, Kept> {
  const entries = results.map((result): [string, Kept] => {
    const { work, setting, outcomes } = result;
    const demands = work.demands.map(({ text }) => text);
    return [work.name, { title: work.title, setting, demands, verdict: verdict(result).text, outcomes: Object.fromEntries(outcomes) }];
  });
  return Object.fromEntries(entries);
}

export function resultsAsJson(results: readonly WorkResult[]): string {
  return `${JSON.stringify(kept(results), null, 2)}\n`;
}

/** Replaces the kept results of these works, and writes the page anew. */
export function publishResults(results: readonly WorkResult[]): void {
  const before = existsSync(resultsPath) ? (JSON.parse(readFileSync(resultsPath, 'utf8')) as Record<string, Kept>) : {};
  const all = { ...before, ...kept(results) };
  const inOrder = works.flatMap((work): WorkResult[] => {
    const found = all[work.name];
    return found === undefined ? [] : [{ work, setting: found.setting, outcomes: new Map(Object.entries(found.outcomes)) }];
  });
  writeFileSync(resultsPath, resultsAsJson(inOrder));
  writeFileSync(readmePath, withResults(readFileSync(readmePath, 'utf8'), markdown(inOrder)));
}
