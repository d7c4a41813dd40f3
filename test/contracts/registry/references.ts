import assert from 'node:assert/strict';
import type { NewFields, Owner } from '../../../src/registry/entries.ts';
import { systemScope } from '../../../src/registry/entries.ts';
import { entryLimits } from '../../../src/registry/entry-checks.ts';
import { certificate, fingerprint, good, refused, type RegistryTests } from './place.ts';

const pump: Owner = { kind: 'device', id: 'pump' };

function token(owner: Owner): NewFields<'credential'> {
  return { owner, type: 'token', secret: 'hash' };
}

export const referencesTests: RegistryTests = {
  'a role names policies that are there, and keeps them there': async ({ open }) => {
    const registry = await open();
    refused(await registry.create('role', 'main', 'r', { policies: ['p'] }), 'unknown-reference', 'policies');
    good(await registry.create('policy', 'main', 'p', { document: '{}' }));
    good(await registry.create('tenant', systemScope, 'other', {}));
    refused(await registry.create('role', 'other', 'r', { policies: ['p'] }), 'unknown-reference', 'policies');
    good(await registry.create('role', 'main', 'r', { policies: ['p'] }));
    refused(await registry.remove('policy', 'main', 'p'), 'in-use');
    refused(await registry.update('role', 'main', 'r', { policies: ['p', 'q'] }), 'unknown-reference', 'policies');
    assert.deepEqual(
      good(await registry.list('role', 'main', { policy: 'p' })).entries.map(({ id }) => id),
      ['r'],
    );
    good(await registry.update('role', 'main', 'r', { policies: [] }));
    assert.deepEqual(good(await registry.list('role', 'main', { policy: 'p' })).entries, []);
    good(await registry.remove('policy', 'main', 'p'));
  },

  'credentials have an owner that is there, and not too many': async ({ open }) => {
    const registry = await open();
    refused(await registry.create('credential', 'main', 'c', token(pump)), 'unknown-reference', 'owner');
    good(await registry.create('application', 'main', 'billing', {}));
    refused(await registry.create('credential', 'main', 'c', token({ kind: 'device', id: 'billing' })), 'unknown-reference', 'owner');
    refused(await registry.create('credential', 'main', 'c', token(pump)), 'unknown-reference', 'owner');
    good(await registry.create('device', 'main', 'pump', {}));
    const ids = Array.from({ length: entryLimits.credentialsOfOwner }, (_, i) => `c${10 + i}`);
    for (const id of ids) good(await registry.create('credential', 'main', id, token(pump)));
    refused(await registry.create('credential', 'main', 'more', token(pump)), 'limit');
    good(await registry.create('credential', 'main', 'app', token({ kind: 'application', id: 'billing' })));
    assert.deepEqual(
      good(await registry.credentials('main', pump)).map(({ id }) => id),
      ids,
    );
    assert.deepEqual(
      good(await registry.list('credential', 'main', { owner: { kind: 'application', id: 'billing' } })).entries.map(({ id }) => id),
      ['app'],
    );
    refused(await registry.update('credential', 'main', 'app', { owner: pump }), 'invalid', 'owner');
    good(await registry.update('credential', 'main', 'app', { owner: { kind: 'application', id: 'billing' }, secret: 'new' }));
  },

  'a handle belongs to one credential, whatever its tenant, and is found from its beginning': async ({ open }) => {
    const registry = await open();
    good(await registry.create('tenant', systemScope, 'other', {}));
    for (const tenant of ['main', 'other']) good(await registry.create('device', tenant, 'pump', {}));
    const handled = (handle: string): NewFields<'credential'> => ({ owner: pump, type: 'oscore', secret: 's', handle });
    good(await registry.create('credential', 'main', 'c1', handled('o/01/-')));
    good(await registry.create('credential', 'other', 'c2', handled('o/01/02')));
    good(await registry.create('credential', 'main', 'c3', handled('o/011/-')));
    good(await registry.create('credential', 'main', 'c4', token(pump)));
    good(await registry.create('credential', 'main', 'c5', token(pump)));
    refused(await registry.create('credential', 'other', 'c6', handled('o/01/-')), 'exists');
    refused(await registry.update('credential', 'main', 'c1', { handle: 'o/03/-' }), 'invalid', 'handle');
    for (const bad of ['', '/a', 'a//b', 'a b', 'é', 'a'.repeat(257)])
      refused(await registry.create('credential', 'main', 'c7', handled(bad)), 'invalid', 'handle');
    const idsOf = async (handle: string): Promise<string[]> => good(await registry.credentialsByHandle(handle)).map(({ id }) => id);
    assert.deepEqual(await idsOf('o/01'), ['c1', 'c2']);
    assert.deepEqual(await idsOf('o/01/02'), ['c2']);
    assert.deepEqual(await idsOf('o/0'), []);
    assert.deepEqual(await idsOf("o' OR 1=1"), []);
    good(await registry.remove('device', 'main', 'pump'));
    assert.deepEqual(await idsOf('o/01'), ['c2']);
    good(await registry.create('credential', 'other', 'c6', handled('o/01/-')));
    for (let n = 3; n < 12; n++) good(await registry.create('credential', 'other', `m${n}`, handled(`o/01/${n}`)));
    assert.equal((await idsOf('o/01')).length, 8);
  },

  'who is removed leaves no credential and no valid certificate, also when the name comes again': async ({ open, clock }) => {
    const registry = await open();
    for (const id of ['pump', 'other']) good(await registry.create('device', 'main', id, { groups: ['g'], labels: { a: 'b' } }));
    good(await registry.create('credential', 'main', 'c1', token(pump)));
    good(await registry.create('credential', 'main', 'c2', token({ kind: 'device', id: 'other' })));
    good(await registry.create('certificate', 'main', fingerprint(1), certificate(1, { owner: pump })));
    good(
      await registry.create(
        'certificate',
        'main',
        fingerprint(2),
        certificate(2, { owner: pump, status: 'revoked', reason: 'certificateHold', revokedAtMs: 7 }),
      ),
    );
    good(
      await registry.create(
        'certificate',
        'main',
        fingerprint(3),
        certificate(3, { owner: pump, status: 'revoked', reason: 'keyCompromise', revokedAtMs: 8 }),
      ),
    );
    good(await registry.create('certificate', 'main', fingerprint(4), certificate(4, { owner: { kind: 'device', id: 'other' } })));
    good(await registry.remove('device', 'main', 'pump'));
    good(await registry.create('device', 'main', 'pump', {}));
    assert.deepEqual(good(await registry.credentials('main', pump)), []);
    assert.equal(good(await registry.get('credential', 'main', 'c1')), undefined);
    assert.ok(good(await registry.get('credential', 'main', 'c2')));
    const states = await Promise.all(
      [1, 2, 3, 4].map(async (n) => {
        const found = good(await registry.certificate(fingerprint(n)))!;
        return [found.status, found.reason, found.revokedAtMs];
      }),
    );
    assert.deepEqual(states, [
      ['revoked', 'cessationOfOperation', clock.wallMs()],
      ['revoked', 'cessationOfOperation', 7],
      ['revoked', 'keyCompromise', 8],
      ['valid', undefined, undefined],
    ]);
    const groups = good(await registry.list('device', 'main', { groups: ['g'], labels: { a: 'b' } }));
    assert.deepEqual(
      groups.entries.map(({ id }) => id),
      ['other'],
      'what it was found by is gone as well',
    );
  },

  'a tenant that holds something stays': async ({ open }) => {
    const registry = await open();
    good(await registry.create('tenant', systemScope, 'acme', {}));
    good(await registry.create('user', 'acme', 'ann', {}));
    refused(await registry.remove('tenant', systemScope, 'acme'), 'in-use');
    good(await registry.remove('user', 'acme', 'ann'));
    good(await registry.remove('tenant', systemScope, 'acme'));
    refused(await registry.create('user', 'acme', 'ann', {}), 'unknown-tenant');
    const results = good(
      await registry.apply(
        [
          { do: 'create', kind: 'tenant', tenant: systemScope, id: 'b', fields: {} },
          { do: 'create', kind: 'user', tenant: 'b', id: 'ann', fields: {} },
          { do: 'remove', kind: 'user', tenant: 'b', id: 'ann' },
          { do: 'remove', kind: 'tenant', tenant: systemScope, id: 'b' },
          { do: 'create', kind: 'user', tenant: 'b', id: 'ann', fields: {} },
        ],
        { atomic: false },
      ),
    );
    assert.deepEqual(
      results.map((result) => result.ok),
      [true, true, true, true, false],
    );
    good(await registry.create('user', systemScope, 'root', {}));
  },
};
