import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testRegistry } from '../../../test/contracts/registry.ts';
import type { RegistryPlace } from '../../../test/contracts/registry/place.ts';
import { SqliteRegistry } from './sqlite-registry.ts';

async function place(thread: boolean): Promise<RegistryPlace> {
  const directory = await fs.promises.mkdtemp(join(tmpdir(), 'heliograph-registry-'));
  return {
    open(clock) {
      const opened = SqliteRegistry.open({ path: join(directory, 'registry.db'), clock, thread, pollMs: 1 });
      assert.ok(opened.ok, opened.ok ? '' : opened.error.message);
      return Promise.resolve(opened.value);
    },
    remove: () => fs.promises.rm(directory, { recursive: true }),
  };
}

testRegistry('the registry in SQLite, with a thread', () => place(true), 5);
testRegistry('the registry in SQLite, without a thread', () => place(false), 50);
