import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from './suggest.ts';

test('a slip finds its word, and a stranger finds none', () => {
  const words = ['name', 'dataDir', 'shutdownTimeoutMs', 'host', 'port'];
  assert.equal(nearest('nmae', words), 'name');
  assert.equal(nearest('datadir', words), 'dataDir');
  assert.equal(nearest('data_dir', words), 'dataDir');
  assert.equal(nearest('shutdownTimeout', words), 'shutdownTimeoutMs');
  assert.equal(nearest('prot', words), 'port');
  assert.equal(nearest('zebra', words), undefined);
});
