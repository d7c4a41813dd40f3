// The fixtures of the registry's schema, one for each version that was ever released (tools/registry-fixture.ts).

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Entry, Kind } from '../../../src/registry/entries.ts';
import { kinds, systemScope } from '../../../src/registry/entries.ts';
import type { Registry } from '../../../src/registry/registry.ts';
import { certificate, fingerprint, good } from './place.ts';

const fixtures = join(import.meta.dirname, '..', '..', 'fixtures');

export function fixtureSql(version: number, store: 'sqlite' | 'postgres'): string {
  return fs.readFileSync(join(fixtures, `registry-schema-${version}`, `${store}.sql`), 'utf8');
}

const newerFields: { readonly [K in Kind]?: Partial<Entry<K>> } = { tenant: { quotas: {}, principalQuotas: {} }, role: { quotas: {} } };

/** Everything that the fixture holds is there, is found by what it has, and the registry goes on. */
export async function holdsFixture(registry: Registry, version: number): Promise<void> {
  const holds = JSON.parse(fs.readFileSync(join(fixtures, `registry-schema-${version}`, 'holds.json'), 'utf8')) as Entry<Kind>[];
  const found: { readonly kind: Kind; readonly entry: Entry<Kind> }[] = [];
  for (const kind of kinds) {
    for (const tenant of [systemScope, 'acme', 'main']) {
      for (const entry of good(await registry.list(kind, tenant, {})).entries as Entry<Kind>[]) found.push({ kind, entry });
    }
  }
  // What the version did not know yet is as if it had not been given.
  const expected = holds.map((entry, i) => ({ ...newerFields[found[i]?.kind ?? 'device'], ...entry }));
  assert.deepEqual(JSON.parse(JSON.stringify(found.map(({ entry }) => entry))), expected);
  const ids = (page: { readonly entries: readonly Entry<'device'>[] }): string[] => page.entries.map(({ id }) => id);
  assert.deepEqual(ids(good(await registry.list('device', 'acme', { labels: { site: 'Zürich' }, groups: ['north'] }))), ['pump-ä']);
  assert.deepEqual(ids(good(await registry.list('device', 'main', { status: 'disabled' }))), ['pump-ä']);
  const owner = { kind: 'device', id: 'pump-ä' } as const;
  assert.equal(good(await registry.credentials('acme', owner)).length, 2);
  const made = good(await registry.create('certificate', 'acme', fingerprint(9), certificate(9, { owner })));
  assert.ok(made.version > Math.max(...holds.map((entry) => entry.version)));
  good(await registry.remove('device', 'acme', 'pump-ä'));
  assert.equal(good(await registry.certificate(fingerprint(9)))?.status, 'revoked');
}
