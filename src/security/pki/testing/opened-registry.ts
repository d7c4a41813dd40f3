// A registry for one test, on a clock that the test moves.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ManualClock } from '../../../base/clock.ts';
import { systemScope, type NewFields } from '../../../registry/entries.ts';
import type { Registry, Result } from '../../../registry/registry.ts';
import { SqliteRegistry } from '../../../registry/sqlite/sqlite-registry.ts';
import type { Made } from './made-certificates.ts';

export async function openedRegistry(t: TestContext, clock = new ManualClock(Date.now())) {
  const directory = mkdtempSync(join(tmpdir(), 'heliograph-registry-'));
  const registry: Registry = must(SqliteRegistry.open({ path: join(directory, 'registry.db'), clock, thread: false }));
  t.after(async () => {
    await registry.close();
    rmSync(directory, { recursive: true });
  });
  const main = must(await registry.get('tenant', systemScope, 'main'));
  if (main === undefined) must(await registry.create('tenant', systemScope, 'main', {}));
  return { registry, clock, directory };
}

export function must<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(`${result.error.code}: ${result.error.message}`);
  return result.value;
}

/** What the registry keeps of a certificate. */
export function fieldsOf(made: Made): NewFields<'certificate'> {
  const { serial, notBeforeMs, notAfterMs } = made.facts;
  return { serial, issuer: made.issuer!.facts.keyId, subject: made.commonName, notBeforeMs, notAfterMs };
}
