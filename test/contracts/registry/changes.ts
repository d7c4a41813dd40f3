import assert from 'node:assert/strict';
import { systemScope } from '../../../src/registry/entries.ts';
import type { Change, Registry, Write } from '../../../src/registry/registry.ts';
import { certificate, fingerprint, good, type RegistryTests } from './place.ts';

function brief({ kind, tenant, id, what }: Change): string {
  return `${what} ${kind} ${tenant}/${id}`;
}

/** Notes what it is told of, after a version. */
function heard(registry: Registry, after: number): { changes: Change[]; stop: () => void } {
  const changes: Change[] = [];
  return { changes, stop: registry.subscribe((more) => void changes.push(...more.filter(({ version }) => version > after))) };
}

/** Looks again and again, a turn of the event loop apart. The runner's time-out ends a test that waits in vain. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

export const changesTests: RegistryTests = {
  'own changes are told before the write answers, in order, with what went along': async ({ open }) => {
    const registry = await open();
    const before = good(await registry.create('device', 'main', 'before', {}));
    const { changes, stop } = heard(registry, before.version);
    const owner = { kind: 'device', id: 'a' } as const;
    const made = good(await registry.create('device', 'main', 'a', {}));
    assert.deepEqual(changes, [{ version: made.version, kind: 'device', tenant: 'main', id: 'a', what: 'created' }]);
    good(await registry.create('credential', 'main', 'c', { owner, type: 'token', secret: 'x' }));
    good(await registry.create('certificate', 'main', fingerprint(1), certificate(1, { owner })));
    good(await registry.update('device', 'main', 'a', {}));
    good(await registry.update('device', 'main', 'a', { status: 'disabled' }));
    await registry.update('device', 'main', 'nobody', { status: 'disabled' });
    good(await registry.remove('device', 'main', 'a'));
    assert.deepEqual(changes.map(brief).slice(1), [
      'created credential main/c',
      `created certificate main/${fingerprint(1)}`,
      'updated device main/a',
      'removed credential main/c',
      `updated certificate main/${fingerprint(1)}`,
      'removed device main/a',
    ]);
    const versions = changes.map(({ version }) => version);
    assert.deepEqual(
      versions,
      [...versions].sort((x, y) => x - y),
    );
    stop();
    stop();
    good(await registry.create('device', 'main', 'b', {}));
    assert.equal(changes.length, 7);
  },

  'changes by other processes are told too, each once': async ({ open }) => {
    const [one, other] = [await open(), await open()];
    const before = good(await one.create('device', 'main', 'before', {}));
    const { changes } = heard(one, before.version);
    const second = heard(one, before.version);
    for (let i = 0; i < 5; i++) {
      good(await other.create('device', 'main', `other-${i}`, {}));
      good(await one.create('device', 'main', `own-${i}`, {}));
    }
    await until(() => changes.length >= 10);
    const expected = Array.from({ length: 5 }, (_, i) => [`created device main/other-${i}`, `created device main/own-${i}`]).flat();
    assert.deepEqual(changes.map(brief), expected);
    assert.deepEqual(second.changes, changes);
  },

  'very many changes at once are told as one, the few beside them one by one': async ({ open }) => {
    const registry = await open();
    const before = good(await registry.create('tenant', systemScope, 'other', {}));
    const { changes } = heard(registry, before.version);
    const create = (tenant: string, id: string): Write => ({ do: 'create', kind: 'device', tenant, id, fields: {} });
    const writes = Array.from({ length: 300 }, (_, i) => create('main', `d-${i}`));
    good(await registry.apply([create('other', 'x'), ...writes, create('other', 'y')], { atomic: true }));
    assert.deepEqual(changes.map(brief), ['created device other/x', 'created device other/y', 'many device main/undefined']);
    assert.ok(changes.every(({ version }) => version === changes[0]!.version));
  },
};
