// Runs commands one after the other, each with a line that says how it went and how long it took.

import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The static checks, in the order in which their answers are most useful. */
export const staticChecks = [
  { name: 'format', file: 'oxfmt/bin/oxfmt', args: ['--check', '.'], fix: 'npm run format' },
  { name: 'lint', file: 'oxlint/bin/oxlint', args: ['--type-aware', '--deny-warnings', '--report-unused-disable-directives'] },
  { name: 'types', file: 'typescript/bin/tsc', args: ['--noEmit'] },
  { name: 'unused code', file: 'knip/bin/knip.js', args: ['--no-progress', '--no-config-hints'] },
];

/** Runs all steps, also after a failure, and returns the names of those that failed. What they print is shown only then. */
export function runSteps(steps) {
  const failed = [];
  for (const step of steps) {
    const start = process.hrtime();
    const script = join(root, 'node_modules', step.file);
    const run = spawnSync(process.execPath, [script].concat(step.args), { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 });
    const took = secondsSince(start);
    if (run.status === 0) {
      console.log('✔ ' + step.name + ' (' + took + ')');
      continue;
    }
    failed.push(step.name);
    console.log('✖ ' + step.name + ' (' + took + ')');
    console.log((run.stdout || '') + (run.stderr || '') + (run.error ? run.error.message : ''));
    if (step.fix) console.log('  To fix it: ' + step.fix + '\n');
  }
  return failed;
}

export function secondsSince(start) {
  const [seconds, nanoseconds] = process.hrtime(start);
  return (seconds + nanoseconds / 1e9).toFixed(1) + ' s';
}
