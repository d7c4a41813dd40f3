import assert from 'node:assert/strict';
import { ownerKinds, systemScope } from '../../../src/registry/entries.ts';
import type { Write } from '../../../src/registry/registry.ts';
import { good, refused, type RegistryTests } from './place.ts';

export const namesTests: RegistryTests = {
  'a name is found with its kind, in its tenant alone': async ({ open }) => {
    const registry = await open();
    good(await registry.create('tenant', systemScope, 'other', {}));
    for (const kind of ownerKinds) {
      const entry = good(await registry.create(kind, 'main', `a ${kind}`, { labels: { a: 'b' }, groups: ['g'], status: 'disabled' }));
      assert.deepEqual(good(await registry.principal('main', `a ${kind}`)), { kind, entry });
      assert.equal(good(await registry.principal('other', `a ${kind}`)), undefined);
    }
    const ann = good(await registry.create('user', systemScope, 'ann', { title: 'Ann' }));
    assert.deepEqual(good(await registry.principal(systemScope, 'ann')), { kind: 'user', entry: ann });
    for (const id of ['nobody', '', 'a/b', "' OR 1=1 --", 'a\0']) assert.equal(good(await registry.principal('main', id)), undefined);
    assert.equal(good(await registry.principal('ma\0in', 'ann')), undefined);
  },

  'a name is written in one way': async ({ open }) => {
    const registry = await open();
    good(await registry.create('user', 'main', 'Ren\u00e9', {}));
    for (const kind of [...ownerKinds, 'role'] as const) refused(await registry.create(kind, 'main', 'Rene\u0301', {}), 'invalid');
    refused(await registry.create('tenant', systemScope, '\u1112\u1161', {}), 'invalid');
    assert.equal(good(await registry.principal('main', 'Rene\u0301')), undefined);
  },

  'one name stands for one device, application or user of its tenant': async ({ open }) => {
    const registry = await open();
    good(await registry.create('tenant', systemScope, 'other', {}));
    for (const kind of ownerKinds) {
      const id = `the ${kind}`;
      good(await registry.create(kind, 'main', id, {}));
      for (const rival of ownerKinds) {
        if (rival === kind) continue;
        const write = { kind: rival, tenant: 'main', id, fields: {} } as const;
        const refusedOne = await registry.create(rival, 'main', id, {});
        refused(refusedOne, 'exists');
        assert.match(refusedOne.ok ? '' : refusedOne.error.message, new RegExp(`a ${kind} main/${id}`));
        refused(good(await registry.apply([{ ...write, do: 'put' } as Write], { atomic: false }))[0]!, 'exists');
        refused(await registry.apply([{ ...write, do: 'create' } as Write], { atomic: true }), 'exists');
        good(await registry.create(rival, 'other', `${rival} ${id}`, {}));
      }
      refused(await registry.create(kind, 'main', id, {}), 'exists');
    }
    const write = (what: 'create' | 'remove', kind: 'device' | 'user'): Write =>
      ({ do: what, kind, tenant: 'main', id: 'new', fields: {} }) as Write;
    refused(await registry.apply([write('create', 'device'), write('create', 'user')], { atomic: true }), 'exists');
    const moved = [write('create', 'device'), write('remove', 'device'), write('create', 'user')];
    good(await registry.apply(moved, { atomic: true }));
    assert.equal(good(await registry.principal('main', 'new'))?.kind, 'user');
  },

  'of several processes that create the same name one succeeds, whatever the kinds': async ({ open }) => {
    const registries = [await open(), await open(), await open()];
    for (let i = 0; i < 10; i++) {
      const results = await Promise.all(ownerKinds.map((kind, r) => registries[(r + i) % 3]!.create(kind, 'main', `n${i}`, {})));
      assert.equal(results.filter(({ ok }) => ok).length, 1);
      for (const result of results) if (!result.ok) refused(result, 'exists');
      const winner = ownerKinds[results.findIndex(({ ok }) => ok)];
      assert.equal(good(await registries[0]!.principal('main', `n${i}`))?.kind, winner);
    }
  },
};
