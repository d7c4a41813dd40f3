// Files stay under 500 lines and functions under 70 (tools/size.oxlintrc.json). What is over is listed in
// tools/known-excesses.json with its size. That list is a ratchet: it may only shrink.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');

type Excesses = Record<string, number>;

/** What oxlint finds too long: the file, or file and function, with the number of lines. */
function excessesOf(report: string): Excesses {
  const found: Excesses = {};
  const { diagnostics } = JSON.parse(report) as { diagnostics: { message: string; code?: string; filename: string }[] };
  for (const { message, code, filename } of diagnostics) {
    if (code === undefined) continue; // does not parse: the linter says so
    const name = /`(.+?)`/.exec(message)?.[1];
    const lines = Number(/\((\d+)\)/.exec(message)?.[1]);
    assert.ok(lines > 0, `an answer of oxlint that this test does not understand: ${message}`);
    // The callback of `describe` is a list, not a function.
    if (name === undefined && code.includes('per-function') && filename.endsWith('.test.ts')) continue;
    const key = code.includes('per-function') ? `${filename}: ${name ?? 'a function without a name'}` : filename;
    found[key] = Math.max(found[key] ?? 0, lines);
  }
  return found;
}

/** What is wrong with the list or the code, a line each. */
function ratchet(known: Excesses, found: Excesses): string[] {
  const problems: string[] = [];
  for (const [key, lines] of Object.entries(found)) {
    const allowed = known[key];
    if (allowed === undefined)
      problems.push(`${key} has ${lines} lines: split it by what it holds (files up to 500 lines, functions up to 70)`);
    else if (lines > allowed) problems.push(`${key} has grown from ${allowed} to ${lines} lines: it may only shrink`);
    else if (lines < allowed) problems.push(`${key} has shrunk to ${lines} lines: write that into tools/known-excesses.json`);
  }
  for (const key of Object.keys(known)) {
    if (found[key] === undefined) problems.push(`${key} is no longer too long: take it out of tools/known-excesses.json`);
  }
  return problems;
}

test('files and functions are short, and those that are not only shrink', () => {
  const oxlint = join(root, 'node_modules', 'oxlint', 'bin', 'oxlint');
  const args = [oxlint, '-c', 'tools/size.oxlintrc.json', '--disable-nested-config', '-f', 'json', 'src', 'sim', 'test', 'bench', 'tools'];
  const run = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 });
  const known = JSON.parse(readFileSync(join(root, 'tools', 'known-excesses.json'), 'utf8')) as Excesses;
  assert.deepEqual(ratchet(known, excessesOf(run.stdout)), []);
});

test('the ratchet holds in every direction', () => {
  assert.deepEqual(ratchet({ a: 80 }, { a: 80 }), []);
  assert.match(ratchet({}, { a: 80 })[0]!, /split it/);
  assert.match(ratchet({ a: 80 }, { a: 81 })[0]!, /only shrink/);
  assert.match(ratchet({ a: 80 }, { a: 79 })[0]!, /shrunk to 79/);
  assert.match(ratchet({ a: 80 }, {})[0]!, /take it out/);
});
