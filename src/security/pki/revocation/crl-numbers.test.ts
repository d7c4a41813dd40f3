import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { CrlNumbersFile } from './crl-numbers.ts';

test('numbers are found again, also when they were written at once; a damaged file is as none', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'heliograph-crl-numbers-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'numbers.json');
  const first = await CrlNumbersFile.open(path);
  await Promise.all([first.set('a', { number: 1, regularMs: 2 }), first.set('b', { number: 3, regularMs: 4 })]);
  const again = await CrlNumbersFile.open(path);
  assert.deepEqual(
    [again.get('a'), again.get('b')],
    [
      { number: 1, regularMs: 2 },
      { number: 3, regularMs: 4 },
    ],
  );
  for (const text of ['', '{', 'null', '{"a": 7}', '{"a": {"number": "x", "regularMs": 0}}']) {
    writeFileSync(path, text);
    assert.equal((await CrlNumbersFile.open(path)).get('a'), undefined, text);
  }
  const mended = await CrlNumbersFile.open(path);
  await mended.set('a', { number: 9, regularMs: 9 });
  assert.ok(readFileSync(path, 'utf8').includes('9'));
});
