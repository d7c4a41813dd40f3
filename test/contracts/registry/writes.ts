import assert from 'node:assert/strict';
import type { Entry, Kind } from '../../../src/registry/entries.ts';
import { systemScope } from '../../../src/registry/entries.ts';
import { entryLimits } from '../../../src/registry/entry-checks.ts';
import { maxWrites, type Registry, type Write } from '../../../src/registry/registry.ts';
import { approval, authority, certificate, enrolment, fingerprint, good, pem, refused, type RegistryTests } from './place.ts';

export const writesTests: RegistryTests = {
  'a new registry has the tenant main and nothing else': async ({ open }) => {
    const registry = await open();
    assert.equal(good(await registry.get('tenant', systemScope, 'main'))?.status, 'active');
    assert.equal(good(await registry.get('device', 'main', 'pump-7')), undefined);
    assert.equal(good(await registry.certificate(fingerprint(1))), undefined);
    assert.deepEqual(good(await registry.credentials('main', { kind: 'device', id: 'pump-7' })), []);
    assert.deepEqual(good(await registry.list('device', 'main', {})), { entries: [], next: undefined });
    assert.equal(good(await registry.certificateBySerial(fingerprint(1), '1')), undefined);
  },

  'every kind is created, read, changed, removed, and still so after opening again': async ({ open, clock }) => {
    const first = await open();
    const startMs = clock.wallMs();
    const fields = await oneOfEach(first);
    for (const [kind, tenant, id, , change] of fields) {
      const created = good(await first.get(kind, tenant, id))!;
      assert.deepEqual([created.tenant, created.id, created.createdMs], [tenant, id, startMs]);
      clock.advance(1000);
      const changed = good(await first.update(kind, tenant, id, change, created.version));
      assert.deepEqual(changed, {
        ...created,
        ...change,
        ...revoked(kind, clock.wallMs()),
        version: changed.version,
        updatedMs: clock.wallMs(),
      });
      assert.ok(changed.version > created.version);
    }
    const before = await Promise.all(fields.map(async ([kind, tenant, id]) => good(await first.get(kind, tenant, id))));
    await first.close();
    const second = await open();
    for (const [i, [kind, tenant, id]] of fields.entries()) assert.deepEqual(good(await second.get(kind, tenant, id)), before[i]);
    clock.advance(2e12);
    for (const [i, [kind, tenant, id]] of [...fields.entries()].reverse()) {
      if (kind !== 'credential') assert.deepEqual(withoutVersion(good(await second.remove(kind, tenant, id))), withoutVersion(before[i]!));
      else good(await second.remove(kind, tenant, id));
      assert.equal(good(await second.get(kind, tenant, id)), undefined);
      refused(await second.remove(kind, tenant, id), 'not-found');
    }
  },

  'what is not given has its default; names and labels have one order': async ({ open }) => {
    const registry = await open();
    const plain = good(await registry.create('device', 'main', 'a', {}));
    assert.deepEqual([plain.status, plain.labels, plain.groups, plain.roles], ['active', {}, [], []]);
    const given = { labels: { z: '1', a: '2' }, groups: ['y', 'x', 'y'], roles: ['r'] };
    const made = good(await registry.create('device', 'main', 'b', given));
    assert.equal(JSON.stringify(made.labels), '{"a":"2","z":"1"}');
    assert.deepEqual(made.groups, ['x', 'y']);
    assert.deepEqual(good(await registry.get('device', 'main', 'b')), made);
    const same = good(await registry.update('device', 'main', 'b', { groups: ['x', 'y', 'x'], labels: { a: '2', z: '1' } }));
    assert.equal(same.version, made.version, 'nothing has changed');
  },

  'a write with an old version is refused, and told the new one': async ({ open }) => {
    const [one, other] = [await open(), await open()];
    const made = good(await one.create('device', 'main', 'a', {}));
    const changed = good(await other.update('device', 'main', 'a', { groups: ['g'] }, made.version));
    for (const late of [
      await one.update('device', 'main', 'a', { groups: ['h'] }, made.version),
      await one.remove('device', 'main', 'a', made.version),
    ]) {
      refused(late, 'conflict');
      assert.equal(!late.ok && late.error.version, changed.version);
    }
    assert.deepEqual(good(await one.get('device', 'main', 'a')), changed);
    good(await one.remove('device', 'main', 'a', changed.version));
    const again = good(await one.create('device', 'main', 'a', {}));
    assert.ok(again.version > changed.version, 'a version never comes again');
    refused(await one.update('device', 'main', 'a', { groups: ['h'] }, made.version), 'conflict');
  },

  'writers of several processes wait for each other, and none is lost': async ({ open }) => {
    const registries = [await open(), await open(), await open()];
    const each = 20;
    const results = await Promise.all(
      registries.flatMap((registry, r) => Array.from({ length: each }, (_, i) => registry.create('device', 'main', `d-${r}-${i}`, {}))),
    );
    const versions = results.map((result) => good(result).version);
    assert.equal(new Set(versions).size, versions.length, 'each is a revision of its own');
    assert.equal(good(await registries[0]!.list('device', 'main', {})).entries.length, 3 * each);
  },

  'of several writes each is refused for itself, or all are': async ({ open }) => {
    const registry = await open();
    good(await registry.create('device', 'main', 'there', {}));
    const create = (id: string): Write => ({ do: 'create', kind: 'device', tenant: 'main', id, fields: { groups: ['g'] } });
    const writes = [create('a'), create('there'), create('b/c'), create('d')];
    const atomic = await registry.apply(writes, { atomic: true });
    refused(atomic, 'exists');
    assert.equal(!atomic.ok && atomic.error.index, 1);
    assert.equal(good(await registry.get('device', 'main', 'a')), undefined);
    const results = good(await registry.apply(writes, { atomic: false }));
    assert.deepEqual(
      results.map((result) => (result.ok ? 'done' : result.error.code)),
      ['done', 'exists', 'invalid', 'done'],
    );
    assert.deepEqual(
      good(await registry.list('device', 'main', { groups: ['g'] })).entries.map(({ id }) => id),
      ['a', 'd'],
    );
    assert.equal(good(results[0]!).version, good(results[3]!).version, 'one revision');
    const put = (fields: object): Write => ({ do: 'put', kind: 'device', tenant: 'main', id: 'e', fields });
    good(good(await registry.apply([put({ groups: ['x'] }), put({ roles: ['r'] })], { atomic: true }))[1]!);
    const both = good(await registry.get('device', 'main', 'e'))!;
    assert.deepEqual([both.groups, both.roles], [['x'], ['r']]);
    assert.deepEqual(good(await registry.apply([], { atomic: true })), []);
    refused(
      await registry.apply(
        Array.from({ length: maxWrites + 1 }, (_, i) => create(`x${i}`)),
        { atomic: false },
      ),
      'limit',
    );
  },

  'what does not fit is refused, with the field, and leaves nothing': async ({ open }) => {
    const registry = await open();
    for (const [kind, id, fields, field] of misfits) {
      const scope = kind === 'tenant' || kind === 'approval' ? systemScope : 'main';
      refused(await registry.create(kind, scope, id, fields as never), 'invalid', field);
    }
    refused(await registry.create('device', 'a/b', 'x', {}), 'invalid', 'tenant');
    refused(await registry.create('tenant', 'main', 'x', {}), 'invalid', 'tenant');
    refused(await registry.create('approval', 'main', 'x', approval()), 'invalid', 'tenant');
    refused(await registry.create('device', 'nowhere', 'x', {}), 'unknown-tenant');
    for (const kind of ['device', 'policy', 'user', 'certificate', 'authority', 'enrolment'] as const) {
      assert.deepEqual(good(await registry.list(kind, 'main', {})).entries, []);
    }
    good(await registry.create('device', 'main', 'x', {}));
    refused(await registry.create('device', 'main', 'x', {}), 'exists');
    refused(await registry.update('device', 'main', 'x', { status: 'sleeping' as never }), 'invalid', 'status');
    refused(await registry.update('device', 'main', 'x', { color: 'red' } as never), 'invalid', 'color');
    refused(await registry.update('device', 'main', 'y', {}), 'not-found');
    for (const id of ['a\0b', '\ud800', '', 'a/b']) assert.equal(good(await registry.get('device', 'main', id)), undefined);
    assert.equal(good(await registry.get('device', 'ma\0in', 'x')), undefined);
  },

  'a closed registry answers that it is': async ({ open }) => {
    const registry = await open();
    await registry.close();
    refused(await registry.get('device', 'main', 'a'), 'unavailable');
    refused(await registry.create('device', 'main', 'a', {}), 'unavailable');
    refused(await registry.list('device', 'main', {}), 'unavailable');
    await registry.close();
  },
};

type Sample = readonly [kind: Kind, tenant: string, id: string, fields: object, change: object];

/** Creates one entry of each kind, what is referred to first. */
async function oneOfEach(registry: Registry): Promise<readonly Sample[]> {
  const owner = { kind: 'device', id: 'ä-1' };
  const principal = { status: 'active', labels: { site: 'Zürich', 'floor.no': '3' }, groups: ['büro'], roles: ['reader'] };
  const samples: Sample[] = [
    [
      'tenant',
      systemScope,
      'acme',
      { title: 'Acme', quotas: { connections: 5 }, principalQuotas: { bytesPerSecond: 0, retainedBytes: 7 } },
      { status: 'disabled', quotas: {}, principalQuotas: { connections: 1 } },
    ],
    ['policy', 'acme', 'read', { document: '{"version": 1}' }, { document: '{ }' }],
    ['role', 'acme', 'reader', { title: 'reads', policies: ['read'], quotas: { subscriptions: 3 } }, { policies: [], quotas: {} }],
    ['device', 'acme', 'ä-1', principal, { labels: { site: 'Wien' }, groups: ['a', 'b'] }],
    ['application', 'acme', 'app', principal, { status: 'disabled' }],
    ['user', 'acme', 'ann', { ...principal, title: 'Ann' }, { title: 'Anna', labels: {} }],
    ['credential', 'acme', 'c1', { owner, type: 'password', secret: '$argon2id$x' }, { secret: 'y', expiresAtMs: 5 }],
    [
      'certificate',
      'acme',
      fingerprint(1),
      certificate(1, { owner: { kind: 'device', id: 'ä-1' } }),
      { status: 'revoked', reason: 'keyCompromise' },
    ],
    ['authority', systemScope, fingerprint(50), authority('root', { status: 'active' }), { status: 'retiring' }],
    [
      'authority',
      'acme',
      fingerprint(51),
      authority('foreign', {
        registration: 'just-in-time',
        groups: ['g'],
        roles: ['r'],
        crlUrls: ['http://b.example/crl', 'http://a.example/crl'],
        ocspUrls: ['https://a.example/ocsp?x=1'],
        revocationCheck: 'soft',
        issuer: fingerprint(50),
      }),
      { status: 'active', crlUrls: [], revocationCheck: 'hard', issuer: undefined },
    ],
    [
      'enrolment',
      'acme',
      'e1',
      enrolment(60, { maxUses: 3, newDevices: { groups: ['g'], roles: [] } }),
      { uses: 1, newDevices: undefined },
    ],
    ['approval', systemScope, 'a1', approval(), { status: 'approved', decidedBy: 'main/bob' }],
  ];
  for (const [kind, tenant, id, fields] of samples) {
    const created = good(await registry.create(kind, tenant, id, fields as never));
    assert.deepEqual({ ...created, ...fields }, created);
    assert.deepEqual(good(await registry.get(kind, tenant, id)), created);
  }
  return samples;
}

function revoked(kind: Kind, nowMs: number): object {
  return kind === 'certificate' ? { revokedAtMs: nowMs } : {};
}

function withoutVersion(entry: Entry<Kind>): object {
  return { ...entry, version: 0 };
}

const long = 'x'.repeat(70_000);
const misfits: readonly [kind: Kind, id: string, fields: object, field: string][] = [
  ...['', 'a/b', 'a+', '#', '$x', ' a', 'a\0', 'a\n', '\ud800', 'x'.repeat(129)].map((id): [Kind, string, object, string] => [
    'device',
    id,
    {},
    'id',
  ]),
  ['tenant', '$system', {}, 'id'],
  ['device', 'a', { status: 'gone' }, 'status'],
  ['device', 'a', { labels: { '': 'x' } }, 'labels'],
  ['device', 'a', { labels: { 'a=b': 'x' } }, 'labels'],
  ['device', 'a', { labels: JSON.parse('{"__proto__": "x"}') as object }, 'labels'],
  ['device', 'a', { labels: { a: '' } }, 'labels'],
  ['device', 'a', { labels: { a: 1 } }, 'labels'],
  ['device', 'a', { labels: { a: 'x\0y' } }, 'labels'],
  ['device', 'a', { labels: { a: '\udc00' } }, 'labels'],
  ['device', 'a', { labels: { a: long } }, 'labels'],
  ['device', 'a', { labels: ['a'] }, 'labels'],
  ['device', 'a', { labels: Object.fromEntries(Array.from({ length: entryLimits.labels + 1 }, (_, i) => [`k${i}`, 'v'])) }, 'labels'],
  ['device', 'a', { groups: 'g' }, 'groups'],
  ['device', 'a', { groups: ['a/b'] }, 'groups'],
  ['device', 'a', { groups: [1] }, 'groups'],
  ['device', 'a', { roles: Array.from({ length: entryLimits.names + 1 }, (_, i) => `r${i}`) }, 'roles'],
  ['device', 'a', { title: 'x' }, 'title'],
  ['device', 'a', JSON.parse('{"__proto__": {}}') as object, '__proto__'],
  ['user', 'a', { title: 'a\0' }, 'title'],
  ['policy', 'a', {}, 'document'],
  ['policy', 'a', { document: '{' }, 'document'],
  ['policy', 'a', { document: '[]' }, 'document'],
  ['policy', 'a', { document: '{"a":"\0"}' }, 'document'],
  ['policy', 'a', { document: JSON.stringify({ long }) }, 'document'],
  ['credential', 'a', { owner: { kind: 'tenant', id: 'main' }, type: 'token', secret: 'x' }, 'owner'],
  ['credential', 'a', { owner: null, type: 'token', secret: 'x' }, 'owner'],
  ['credential', 'a', { owner: { kind: 'device', id: 'x' }, type: 'plain', secret: 'x' }, 'type'],
  ['credential', 'a', { owner: { kind: 'device', id: 'x' }, type: 'token', secret: 'a b' }, 'secret'],
  ['credential', 'a', { owner: { kind: 'device', id: 'x' }, type: 'token', secret: 'x', expiresAtMs: 1.5 }, 'expiresAtMs'],
  ['certificate', 'AB'.repeat(32), certificate(1), 'id'],
  ['certificate', fingerprint(1), certificate(1, { serial: '01' }), 'serial'],
  ['certificate', fingerprint(1), certificate(1, { issuer: 'x' }), 'issuer'],
  ['certificate', fingerprint(1), certificate(1, { notBeforeMs: 10, notAfterMs: 9 }), 'notAfterMs'],
  ['certificate', fingerprint(1), certificate(1, { notAfterMs: Number.NaN }), 'notAfterMs'],
  ['certificate', fingerprint(1), certificate(1, { status: 'revoked', reason: 'tired' as never }), 'reason'],
  ['tenant', 'a', { quotas: { connection: 1 } }, 'quotas'],
  ['tenant', 'a', { quotas: { connections: -1 } }, 'quotas'],
  ['tenant', 'a', { principalQuotas: { bytesPerSecond: 0.5 } }, 'principalQuotas'],
  ['tenant', 'a', { principalQuotas: [] }, 'principalQuotas'],
  ['role', 'a', { quotas: null }, 'quotas'],
  ['authority', 'AB'.repeat(32), authority('foreign'), 'id'],
  ['authority', fingerprint(1), authority('root'), 'tenant'],
  ['authority', fingerprint(1), authority('issuing'), 'tenant'],
  ['authority', fingerprint(1), authority('other' as never), 'role'],
  ['authority', fingerprint(1), authority('foreign', { status: 'valid' as never }), 'status'],
  ['authority', fingerprint(1), authority('foreign', { certificate: 'MIIB' }), 'certificate'],
  ['authority', fingerprint(1), authority('foreign', { certificate: pem + pem }), 'certificate'],
  ['authority', fingerprint(1), authority('foreign', { certificate: pem.replace('MIIB', long) }), 'certificate'],
  ['authority', fingerprint(1), authority('foreign', { notAfterMs: -1 }), 'notAfterMs'],
  ['authority', fingerprint(1), authority('foreign', { notBeforeMs: 10, notAfterMs: 9 }), 'notAfterMs'],
  ['authority', fingerprint(1), authority('foreign', { issuer: 'x' }), 'issuer'],
  ['authority', fingerprint(1), authority('foreign', { registration: 'always' as never }), 'registration'],
  ['authority', fingerprint(1), authority('foreign', { groups: ['a/b'] }), 'groups'],
  ['authority', fingerprint(1), authority('foreign', { crlUrls: ['ldap://x'] }), 'crlUrls'],
  ['authority', fingerprint(1), authority('foreign', { crlUrls: ['http://a b'] }), 'crlUrls'],
  ['authority', fingerprint(1), authority('foreign', { crlUrls: ['http://user:word@x/'] }), 'crlUrls'],
  ['authority', fingerprint(1), authority('foreign', { ocspUrls: Array.from({ length: 9 }, (_, i) => `http://x/${i}`) }), 'ocspUrls'],
  ['authority', fingerprint(1), authority('foreign', { revocationCheck: 'maybe' as never }), 'revocationCheck'],
  ['enrolment', 'a', enrolment(1, { tokenHash: 'secret' }), 'tokenHash'],
  ['enrolment', 'a', enrolment(1, { maxUses: 0 }), 'maxUses'],
  ['enrolment', 'a', enrolment(1, { maxUses: 1_000_001 }), 'maxUses'],
  ['enrolment', 'a', enrolment(1, { uses: 2 }), 'uses'],
  ['enrolment', 'a', enrolment(1, { devicePattern: '' }), 'devicePattern'],
  ['enrolment', 'a', enrolment(1, { devicePattern: 'a/*' }), 'devicePattern'],
  ['enrolment', 'a', enrolment(1, { devicePattern: '*'.repeat(9) }), 'devicePattern'],
  ['enrolment', 'a', enrolment(1, { newDevices: { groups: ['#'], roles: [] } }), 'newDevices'],
  ['enrolment', 'a', enrolment(1, { newDevices: { groups: [], roles: [], labels: {} } as never }), 'newDevices'],
  ['enrolment', 'a', { tokenHash: fingerprint(1), devicePattern: '*' }, 'expiresAtMs'],
  ['approval', 'a', approval({ requestedBy: 'ann' }), 'requestedBy'],
  ['approval', 'a', approval({ requestedBy: 'main/a/b' }), 'requestedBy'],
  ['approval', 'a', approval({ status: 'done' as never }), 'status'],
  ['approval', 'a', approval({ status: 'approved' }), 'decidedBy'],
  ['approval', 'a', approval({ decidedBy: 'main/bob' }), 'decidedBy'],
  ['approval', 'a', approval({ status: 'approved', decidedBy: 'main/ann' }), 'decidedBy'],
  ['approval', 'a', approval({ request: '[]' }), 'request'],
  ['approval', 'a', approval({ summary: 'a\0' }), 'summary'],
];
