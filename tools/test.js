// npm test: the static checks, then every *.test.ts in one process.
//
//   npm test -- --only PATTERN    only the test files whose path contains PATTERN, without the static checks
//
// The slower suites have their own commands: fuzz, sim, crash, interop, process, bench.

import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { requireNode } from './node-version.js';
import { root, runSteps, secondsSince, staticChecks } from './steps.js';

requireNode();

/** All tests run in one process, so one that never ends would hold up everything: this is far beyond what they take. */
const limitMs = 10 * 60 * 1000;

const only = patternOf(process.argv.slice(2));
const failed = only === undefined ? runSteps(staticChecks) : [];
const files = testFiles().filter((file) => only === undefined || file.includes(only));
if (files.length === 0) {
  console.error('No test file has ' + JSON.stringify(only) + ' in its path.');
  process.exit(1);
}
console.log('\n' + files.length + ' test files');
runTests(files);

function patternOf(args) {
  if (args.length === 0) return undefined;
  if (args.length === 2 && args[0] === '--only') return args[1];
  console.error('Usage: npm test [-- --only PATTERN]');
  process.exit(1);
}

function testFiles() {
  const found = [];
  for (const folder of ['src', 'sim', 'test', 'tools', 'bench']) {
    for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith('.test.ts')) continue;
      const path = relative(root, join(entry.parentPath, entry.name));
      if (!path.includes('node_modules')) found.push(path.split(sep).join('/'));
    }
  }
  return found.sort((a, b) => (a < b ? -1 : 1));
}

function runTests(paths) {
  const start = process.hrtime();
  const args = ['--test', '--test-isolation=none', '--test-timeout=60000'].concat(paths);
  const colors = process.stdout.isTTY ? { FORCE_COLOR: '1' } : {};
  const run = spawn(process.execPath, args, {
    cwd: root,
    env: Object.assign({}, process.env, colors),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let tail = '';
  run.stdout.on('data', (data) => {
    process.stdout.write(data);
    tail = (tail + data).slice(-2000);
  });
  const guard = setTimeout(() => {
    console.error('\n✖ the tests did not end within ' + limitMs / 1000 + ' s: one of them waits for ever, or left a handle open');
    run.kill('SIGKILL');
  }, limitMs);
  run.on('close', (code) => {
    clearTimeout(guard);
    if (code !== 0) failed.push('tests');
    summarize(tail, secondsSince(start));
  });
}

/** The last lines: what failed, and the counts of all runners in one. */
function summarize(tail, took) {
  const count = (word) => Number((new RegExp('\\b' + word + ' (\\d+)\\b').exec(tail) || [])[1] || 0);
  const checks = only === undefined ? staticChecks.length : 0;
  const failedChecks = failed.filter((name) => name !== 'tests').length;
  const failedTests = count('fail') + count('cancelled') || (failed.includes('tests') ? 1 : 0);
  console.log('\ntests took ' + took + (failed.length > 0 ? '; failed: ' + failed.join(', ') : ''));
  const skipped = count('skipped') + count('todo');
  const passed = checks - failedChecks + count('pass');
  console.log(passed + ' passed, ' + (failedChecks + failedTests) + ' failed' + (skipped > 0 ? ', ' + skipped + ' skipped' : ''));
  process.exitCode = failed.length === 0 ? 0 : 1;
}
