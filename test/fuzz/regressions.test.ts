// What made a target fail once, and what it should start from, must hold its properties for ever.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { corpusFiles, readAll } from './files.ts';
import { loadTarget, targetNames } from './targets.ts';

for (const name of targetNames) {
  test(`${name}: every stored input holds the properties`, async () => {
    const target = await loadTarget(name);
    assert.equal(target.name, name);
    const files = corpusFiles(name);
    const inputs = [...target.seeds, ...readAll(files)];
    assert.ok(target.seeds.length > 0);
    for (const [i, input] of inputs.entries()) {
      try {
        await target.run(new Uint8Array(input));
      } catch (error) {
        throw new Error(i < target.seeds.length ? `seed ${i} fails` : `${files[i - target.seeds.length]} fails`, { cause: error });
      }
    }
  });
}

test('every folder of stored inputs belongs to a target', () => {
  for (const folder of readdirSync(join(import.meta.dirname, 'corpus'))) {
    assert.ok(folder === 'README.md' || targetNames.includes(folder), `test/fuzz/corpus/${folder}`);
  }
});
