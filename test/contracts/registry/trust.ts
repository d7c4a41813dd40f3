import assert from 'node:assert/strict';
import { systemScope } from '../../../src/registry/entries.ts';
import type { Registry } from '../../../src/registry/registry.ts';
import { countUse } from './count-use.ts';
import { allPages, approval, authority, certificate, enrolment, fingerprint, good, refused, type RegistryTests } from './place.ts';

export const trustTests: RegistryTests = {
  'an authority is known once, whichever tenant has it, and all of them are found together': async ({ open }) => {
    const registry = await open();
    good(await registry.create('tenant', systemScope, 'other', {}));
    const root = good(await registry.create('authority', systemScope, fingerprint(1), authority('root')));
    assert.deepEqual([root.status, root.revocationCheck], ['pending', 'none']);
    refused(await registry.create('authority', 'main', fingerprint(2), authority('issuing')), 'invalid', 'tenant');
    const made = authority('issuing', { issuer: root.id, status: 'active' });
    const issuing = good(await registry.create('authority', systemScope, fingerprint(2), made));
    const foreign = good(await registry.create('authority', 'main', fingerprint(3), authority('foreign')));
    assert.equal(foreign.revocationCheck, 'hard', 'not known to be good is not good');
    refused(await registry.create('authority', 'other', fingerprint(3), authority('foreign')), 'exists');
    const below = good(await registry.create('authority', 'main', fingerprint(4), authority('foreign', { issuer: foreign.id })));
    for (const issuer of [fingerprint(9), foreign.id]) {
      const child = authority('foreign', { issuer });
      refused(await registry.create('authority', 'other', fingerprint(5), child), 'unknown-reference', 'issuer');
    }
    refused(await registry.update('authority', systemScope, root.id, { role: 'issuing' }), 'invalid', 'role');
    refused(await registry.update('authority', systemScope, root.id, { registration: 'just-in-time' }), 'invalid', 'registration');
    refused(await registry.update('authority', systemScope, root.id, { groups: ['g'] }), 'invalid', 'groups');
    refused(await registry.update('authority', systemScope, root.id, { revocationCheck: 'hard' }), 'invalid', 'revocationCheck');
    const all = await allPages((after) => registry.authorities({ after, limit: 3 }));
    assert.deepEqual([all.entries, all.pages], [[root, issuing, foreign, below], 2]);
    assert.deepEqual(good(await registry.authorities({ status: 'pending', role: 'foreign' })).entries, [foreign, below]);
    assert.deepEqual(good(await registry.authorities({ status: 'active' })).entries, [issuing]);
    refused(await registry.authorities({ status: 'valid' as never }), 'invalid', 'status');
    refused(await registry.authorities({ after: 'nonsense' }), 'invalid', 'after');
    refused(await registry.authorities({ limit: 0 }), 'invalid', 'limit');
    assert.deepEqual(good(await registry.list('authority', 'main', { status: 'pending' })).entries, [foreign, below]);
    refused(await registry.list('authority', 'main', { prefix: '0' }), 'invalid', 'prefix');
  },

  'an authority stays known while something depends on it': async ({ open, clock }) => {
    const registry = await open();
    good(await registry.create('authority', systemScope, fingerprint(1), authority('root')));
    good(await registry.create('authority', systemScope, fingerprint(2), authority('issuing', { issuer: fingerprint(1) })));
    good(await registry.create('certificate', 'main', fingerprint(7), certificate(7, { issuer: fingerprint(2) })));
    refused(await registry.remove('authority', systemScope, fingerprint(1)), 'in-use');
    refused(await registry.remove('authority', systemScope, fingerprint(2)), 'in-use');
    clock.advance(2e12);
    good(await registry.remove('authority', systemScope, fingerprint(2)));
    good(await registry.remove('authority', systemScope, fingerprint(1)));
  },

  'an enrolment is found by the hash of its token, whichever tenant has it': async ({ open }) => {
    const registry = await open();
    good(await registry.create('tenant', systemScope, 'other', {}));
    const made = good(await registry.create('enrolment', 'other', 'e', enrolment(1, { newDevices: { groups: ['b', 'a'], roles: [] } })));
    assert.deepEqual([made.uses, made.maxUses, made.newDevices], [0, 1, { groups: ['a', 'b'], roles: [] }]);
    assert.deepEqual(good(await registry.enrolmentByTokenHash(fingerprint(1))), made);
    for (const hash of [fingerprint(2), 'nonsense', '']) assert.equal(good(await registry.enrolmentByTokenHash(hash)), undefined);
    refused(await registry.create('enrolment', 'main', 'e', enrolment(1)), 'exists');
    refused(await registry.update('enrolment', 'other', 'e', { tokenHash: fingerprint(2) }), 'invalid', 'tokenHash');
    good(await registry.create('enrolment', 'other', 'off', enrolment(3, { status: 'disabled' })));
    const off = good(await registry.list('enrolment', 'other', { status: 'disabled' })).entries;
    assert.deepEqual(
      off.map(({ id }) => id),
      ['off'],
    );
  },

  'uses are counted one by one, never started over and never too many, also by several processes at once': async ({ open }) => {
    const registries = [await open(), await open()];
    const maxUses = 8;
    const made = good(await registries[0]!.create('enrolment', 'main', 'e', enrolment(1, { maxUses })));
    const use = async (registry: Registry): Promise<boolean> => {
      const counted = await countUse(registry, made.tokenHash, 1);
      if (!counted.ok) refused(counted, 'limit');
      return counted.ok;
    };
    const used = await Promise.all(Array.from({ length: 3 * maxUses }, (_, i) => use(registries[i % 2]!)));
    assert.equal(used.filter(Boolean).length, maxUses);
    assert.equal(good(await registries[0]!.get('enrolment', 'main', 'e'))?.uses, maxUses);
    refused(await registries[0]!.update('enrolment', 'main', 'e', { uses: 0 }), 'invalid', 'uses');
    refused(await registries[0]!.update('enrolment', 'main', 'e', { uses: maxUses + 1 }), 'invalid', 'uses');
    refused(await registries[0]!.update('enrolment', 'main', 'e', { maxUses: 1 }), 'invalid', 'uses');
    good(await registries[0]!.update('enrolment', 'main', 'e', { uses: maxUses - 1 }));
    assert.deepEqual([await use(registries[1]!), await use(registries[0]!)], [true, false], 'one that came to nothing is given back');
    refused(await countUse(registries[0]!, fingerprint(9), 1), 'not-found');
    good(await registries[0]!.update('enrolment', 'main', 'e', { maxUses: 100 }));
    refused(await countUse(registries[0]!, made.tokenHash, 2e12), 'limit');
    good(await registries[0]!.update('enrolment', 'main', 'e', { status: 'disabled' }));
    refused(await countUse(registries[0]!, made.tokenHash, 1), 'limit');
  },

  'what is decided stays decided, and nobody agrees to what they asked for': async ({ open }) => {
    const registry = await open();
    const made = good(await registry.create('approval', systemScope, 'a', approval()));
    good(await registry.create('approval', systemScope, 'b', approval()));
    refused(await registry.update('approval', systemScope, 'a', { status: 'approved' }), 'invalid', 'decidedBy');
    refused(await registry.update('approval', systemScope, 'a', { status: 'approved', decidedBy: 'main/ann' }), 'invalid', 'decidedBy');
    refused(await registry.update('approval', systemScope, 'a', { requestedBy: 'main/eve' }), 'invalid', 'requestedBy');
    refused(await registry.update('approval', systemScope, 'a', { request: '{}' }), 'invalid', 'request');
    good(await registry.update('approval', systemScope, 'a', { status: 'approved', decidedBy: '$system/$local' }, made.version));
    refused(await registry.update('approval', systemScope, 'a', { status: 'refused' }), 'invalid', 'status');
    refused(await registry.update('approval', systemScope, 'a', { status: 'pending', decidedBy: undefined }), 'invalid', 'status');
    refused(await registry.update('approval', systemScope, 'a', { decidedBy: 'main/eve' }), 'invalid', 'decidedBy');
    const ids = async (status: 'pending' | 'approved' | 'refused'): Promise<string[]> =>
      good(await registry.list('approval', systemScope, { status })).entries.map(({ id }) => id);
    assert.deepEqual([await ids('pending'), await ids('approved'), await ids('refused')], [['b'], ['a'], []]);
    good(await registry.update('approval', systemScope, 'b', { status: 'refused', decidedBy: 'main/ann' }));
    assert.deepEqual(await ids('refused'), ['b']);
    refused(await registry.list('approval', systemScope, { status: 'active' }), 'invalid', 'status');
  },
};
