import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { getFips } from 'node:crypto';
import { test } from 'node:test';
import { fipsFault } from './fips.ts';
import { usualCost } from './password-hash.ts';

test('a process without the provider is told so, also when FIPS mode was only asked for', () => {
  assert.equal(getFips(), 0, 'the suites run without');
  assert.match(fipsFault()!, /does not run in FIPS mode/);
  assert.equal('memoryKib' in usualCost(), true);
  const script = `require('node:crypto').setFips(1);
    import(${JSON.stringify(new URL('fips.ts', import.meta.url).href)}).then(({ fipsFault }) => console.log(fipsFault()));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
  // Where setFips itself refuses, there is nothing to be misled by.
  assert.match(stdout + stderr, /provider is not loaded|fips/i);
});
