import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { SeededRandom } from '../../src/base/random.ts';
import { gapsOf, intersection } from './coverage.ts';
import { failureOf } from './failure.ts';
import { minimize } from './minimize.ts';
import { framesOf, mutateFrames } from './mqtt-frames.ts';
import { mutate } from './mutators.ts';

test('coverage leads the fuzzer to a mistake that chance does not find, and the input is made small', () => {
  const run = spawnSync(process.execPath, [join(import.meta.dirname, 'find-planted.ts')], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  const found = JSON.parse(run.stdout) as { runs: number; crashes: { key: string; input: number[] }[] };
  assert.equal(found.crashes.length, 1, `not found in ${found.runs} runs`);
  assert.match(found.crashes[0]!.key, /^Error at test\/fuzz\/toy\.ts.*planted/);
  // The header, two empty fields, and one that holds 0xee.
  assert.deepEqual(found.crashes[0]!.input, [0x48, 0x47, 3, 0, 0, 0, 0, 0, 1, 0xee]);
  assert.ok(found.runs < 1_000_000);
});

test('an input that never ends is written down, and the run is ended', () => {
  const folder = mkdtempSync(join(tmpdir(), 'heliograph-fuzz-'));
  try {
    const file = join(folder, 'sub', 'endless.bin');
    const watchdog = join(import.meta.dirname, 'watchdog.ts');
    const script = `
      import { Watchdog } from ${JSON.stringify(watchdog)};
      const dog = new Watchdog(16, 50, ${JSON.stringify(file)}, 'replay it');
      dog.show(Uint8Array.of(1, 2, 3));
      for (;;);`;
    writeFileSync(join(folder, 'main.mjs'), script);
    const run = spawnSync(process.execPath, [join(folder, 'main.mjs')], { encoding: 'utf8', timeout: 30_000 });
    assert.equal(run.signal, 'SIGKILL', run.stderr);
    assert.match(run.stderr, /has not ended .*replay it/s);
    assert.deepEqual([...readFileSync(file)], [1, 2, 3]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a failing input is made as small as its failure allows', async () => {
  const input = Uint8Array.from({ length: 200 }, (_, i) => i);
  const fails = (bytes: Uint8Array): boolean => bytes.includes(17) && bytes.includes(150);
  assert.deepEqual([...(await minimize(input, fails))], [17, 150]);
  let runs = 0;
  await minimize(input, () => runs++ < 0, 50);
  assert.equal(runs, 50);
});

test('the same failure is recognised whatever its numbers are', () => {
  const fail = (n: number): unknown => failureOf(new Error(`byte ${n}`)).key;
  assert.equal(fail(1), fail(22));
  assert.notEqual(failureOf(new TypeError('byte 1')).key, fail(1));
  assert.match(failureOf('text').key, /string/);
});

test('mutations keep within the size, leave the input alone, and are told by the seed', () => {
  const pieces = { word: () => Uint8Array.of(1, 2), other: () => Uint8Array.of(0, 2, 9, 9, 9) };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(), (input, seed) => {
      const before = [...input];
      const one = mutate(input, new SeededRandom(seed), pieces, 30);
      assert.ok(one.length <= 30);
      assert.deepEqual([...input], before);
      assert.deepEqual(mutate(input, new SeededRandom(seed), pieces, 30), one);
      const framed = mutateFrames(input, 2, new SeededRandom(seed), pieces.other, [pieces.word()]);
      assert.deepEqual([...input], before);
      assert.deepEqual(mutateFrames(input, 2, new SeededRandom(seed), pieces.other, [pieces.word()]), framed);
    }),
  );
});

test('a stream is cut into packets, the last as far as it goes', () => {
  const stream = Uint8Array.of(0xc0, 0, 0x30, 3, 1, 2, 3, 0x10, 0x81, 0x01, 5);
  assert.deepEqual(
    framesOf(stream).map(({ firstByte, body }) => [firstByte, ...body]),
    [[0xc0], [0x30, 1, 2, 3], [0x10, 5]],
  );
});

test('gaps in coverage are what only ranges without a count hold', () => {
  const range = (startOffset: number, endOffset: number, count: number) => ({ startOffset, endOffset, count });
  assert.deepEqual(gapsOf([range(0, 100, 1)]), []);
  assert.deepEqual(gapsOf([range(0, 100, 1), range(10, 20, 0), range(30, 60, 0), range(40, 50, 2)]), [10, 20, 30, 40, 50, 60]);
  assert.deepEqual(gapsOf([range(0, 100, 1), range(10, 20, 0), range(20, 30, 0)]), [10, 30]);
  assert.deepEqual(intersection([0, 10, 20, 30], [5, 25]), [5, 10, 20, 25]);
  assert.deepEqual(intersection([0, 10], [10, 20]), []);
});
