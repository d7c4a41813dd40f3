// Random writes compared with a model of what they must leave; random questions that must never show another tenant's entries.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Entry, Kind, Owner } from '../../../src/registry/entries.ts';
import { kinds, systemScope } from '../../../src/registry/entries.ts';
import type { Page, Query, Registry, RegistryErrorCode, Result, Write } from '../../../src/registry/registry.ts';
import { allPages, certificate, closing, enrolment, fingerprint, good, type RegistryPlace } from './place.ts';

const tenants = ['main', 'other'];
const id = fc.constantFrom('a', 'b', 'ä', 'a%');
const group = fc.constantFrom('g', 'h');
const scope = { tenant: fc.constantFrom(...tenants), id };

const deviceFields = fc.record(
  {
    status: fc.constantFrom('active' as const, 'disabled' as const),
    labels: fc.dictionary(fc.constantFrom('k', 'l'), fc.constantFrom('1', '2'), { noNullPrototype: true }),
    groups: fc.array(group, { maxLength: 2 }),
  },
  { requiredKeys: [] },
);
const policies = fc.record({ policies: fc.array(id, { maxLength: 2 }) });
const document = fc.record({ document: fc.constantFrom('{}', '{"a":1}') });
const secret = fc.record({ secret: fc.constantFrom('x', 'y') });

function writesOf(kind: Kind, fields: fc.Arbitrary<object>, needed: fc.Arbitrary<object>): fc.Arbitrary<Write> {
  const kindOf = { kind: fc.constant(kind), ...scope };
  const all = fc.tuple(needed, fields).map(([one, other]) => ({ ...one, ...other }));
  return fc.oneof(
    fc.record({ do: fc.constant('create'), ...kindOf, fields: all }),
    fc.record({ do: fc.constant('put'), ...kindOf, fields: all }),
    fc.record({ do: fc.constant('update'), ...kindOf, fields }),
    fc.record({ do: fc.constant('remove'), ...kindOf }),
  ) as unknown as fc.Arbitrary<Write>;
}

const owned = id.map((owner) => ({ owner: { kind: 'device', id: owner }, type: 'token', secret: 'z' }));
const write = fc.oneof(
  { weight: 4, arbitrary: writesOf('device', deviceFields, fc.constant({})) },
  { weight: 2, arbitrary: writesOf('application', deviceFields, fc.constant({})) },
  { weight: 2, arbitrary: writesOf('policy', document, document) },
  { weight: 2, arbitrary: writesOf('role', policies, fc.constant({})) },
  { weight: 2, arbitrary: writesOf('credential', secret, owned) },
);
const batches = fc.array(fc.record({ writes: fc.array(write, { maxLength: 8 }), atomic: fc.boolean() }), { maxLength: 12 });

type Plain = Record<string, unknown>;

/** What must be there, as plain fields; refuses what the registry must refuse. */
class Model {
  entries = new Map<string, Plain>();

  apply(write: Write): RegistryErrorCode | undefined {
    const { kind, tenant, id } = write;
    const key = `${kind} ${tenant} ${id}`;
    const old = this.entries.get(key);
    if (write.do === 'create' && old !== undefined) return this.#unknown(kind, tenant, write.fields as Plain, undefined) ?? 'exists';
    if (old === undefined && (write.do === 'update' || write.do === 'remove')) return 'not-found';
    if (write.do === 'remove') return this.#remove(kind, tenant, id, key);
    const fields = write.fields as Plain;
    if (old !== undefined && kind === 'credential' && 'owner' in fields && (fields['owner'] as Owner).id !== (old['owner'] as Owner).id)
      return 'invalid';
    const next = normal({ ...(old ?? defaults[kind]), ...fields });
    const unknown = this.#unknown(kind, tenant, next, old);
    if (unknown !== undefined) return unknown;
    const rival = { device: 'application', application: 'device' }[kind as string];
    if (old === undefined && rival !== undefined && this.entries.has(`${rival} ${tenant} ${id}`)) return 'exists';
    this.entries.set(key, next);
    return undefined;
  }

  #unknown(kind: Kind, tenant: string, fields: Plain, old: Plain | undefined): RegistryErrorCode | undefined {
    const isThere = (other: Kind, name: string): boolean => this.entries.has(`${other} ${tenant} ${name}`);
    if (kind === 'role') {
      const known = (old?.['policies'] ?? []) as string[];
      const wanted = (fields['policies'] ?? []) as string[];
      if (!wanted.every((name) => known.includes(name) || isThere('policy', name))) return 'unknown-reference';
    }
    if (kind === 'credential' && old === undefined && !isThere('device', (fields['owner'] as Owner).id)) return 'unknown-reference';
    return undefined;
  }

  #remove(kind: Kind, tenant: string, id: string, key: string): RegistryErrorCode | undefined {
    for (const [other, fields] of this.entries) {
      const [otherKind, otherTenant] = other.split(' ');
      if (otherTenant !== tenant) continue;
      if (kind === 'policy' && otherKind === 'role' && (fields['policies'] as string[]).includes(id)) return 'in-use';
      if (kind === 'device' && otherKind === 'credential' && (fields['owner'] as Owner).id === id) this.entries.delete(other);
    }
    this.entries.delete(key);
    return undefined;
  }
}

const principal = { status: 'active', labels: {}, groups: [], roles: [] };
const defaults: Partial<Record<Kind, Plain>> = {
  device: principal,
  application: principal,
  role: { title: '', policies: [], quotas: {} },
  credential: { expiresAtMs: undefined, handle: undefined },
};

function normal(fields: Plain): Plain {
  const sorted = (list: unknown): unknown => (Array.isArray(list) ? [...new Set(list as string[])].sort() : list);
  return Object.fromEntries(Object.entries(fields).map(([name, given]) => [name, sorted(given)]));
}

export async function modelProperty(makePlace: () => Promise<RegistryPlace>, numRuns: number): Promise<void> {
  const property = fc.asyncProperty(batches, async (steps) => {
    const { opened, end } = closing(await makePlace());
    try {
      const registry = await opened.open();
      good(await registry.create('tenant', systemScope, 'other', {}));
      let model = new Model();
      for (const { writes, atomic } of steps) model = await step(registry, model, writes, atomic);
      await compare(registry, model);
      await registry.close();
      await compare(await opened.open(), model);
    } finally {
      await end();
    }
  });
  await fc.assert(property, { numRuns });
}

async function step(registry: Registry, before: Model, writes: readonly Write[], atomic: boolean): Promise<Model> {
  const model = new Model();
  model.entries = new Map(before.entries);
  const expected = writes.map((write) => model.apply(write));
  const result = await registry.apply(writes, { atomic });
  const first = expected.findIndex((code) => code !== undefined);
  if (atomic && first >= 0) {
    assert.ok(!result.ok);
    assert.deepEqual([result.error.code, result.error.index], [expected[first], first]);
    return before;
  }
  assert.deepEqual(
    good(result).map((each) => (each.ok ? undefined : each.error.code)),
    expected,
  );
  return model;
}

async function compare(registry: Registry, model: Model): Promise<void> {
  for (const tenant of tenants) {
    for (const kind of ['device', 'application', 'policy', 'role', 'credential'] as const) {
      const there = [...model.entries]
        .filter(([key]) => key.startsWith(`${kind} ${tenant} `))
        .map(([key, fields]) => ({ id: key.split(' ')[2]!, fields }));
      there.sort((a, b) => Buffer.compare(Buffer.from(a.id), Buffer.from(b.id)));
      const list = async (query: Query): Promise<{ id: string; fields: Plain }[]> => {
        const { entries } = await allPages<Entry<Kind>>((after) => registry.list(kind, tenant, { ...query, after, limit: 2 }));
        return entries.map(fieldsOf);
      };
      assert.deepEqual(await list({}), there);
      for (const { id, fields } of there) assert.deepEqual(fieldsOf(good(await registry.get(kind, tenant, id))!), { id, fields });
      if (kind !== 'device' && kind !== 'application') continue;
      for (const { id, fields } of there) {
        const found = good(await registry.principal(tenant, id))!;
        assert.deepEqual([found.kind, fieldsOf(found.entry)], [kind, { id, fields }]);
      }
      const inGroup = there.filter(({ fields }) => (fields['groups'] as string[]).includes('g'));
      assert.deepEqual(await list({ groups: ['g'] }), inGroup);
      const labelled = there.filter(({ fields }) => (fields['labels'] as Plain)['k'] === '1');
      assert.deepEqual(await list({ labels: { k: '1' } }), labelled);
      assert.deepEqual(
        await list({ status: 'disabled' }),
        there.filter(({ fields }) => fields['status'] === 'disabled'),
      );
    }
  }
}

function fieldsOf(entry: Entry<Kind>): { id: string; fields: Plain } {
  const head = ['tenant', 'id', 'version', 'createdMs', 'updatedMs'];
  return { id: entry.id, fields: Object.fromEntries(Object.entries(entry).filter(([name]) => !head.includes(name))) };
}

/** Names that mean something to a database, or lie next to another name. */
const trickyTenant = fc.constantFrom(
  'main',
  'other',
  'mai',
  'main ',
  'MAIN',
  "main' OR '1'='1",
  'main%',
  '%',
  '_',
  '$system',
  '',
  '\0',
  'main\0',
  '*',
);
const trickyText = fc.oneof(
  fc.constantFrom('a', 'A', 'b', '%', '_', '', "a' OR 1=1 --", '\u{10FFFF}', '\uFFFF', 'k=1', 'g', 'main', 'other'),
  fc.string({ unit: 'binary', maxLength: 4 }),
);
const trickyFilters = {
  limit: fc.constantFrom(1, 2, 1000),
  after: fc.oneof(
    trickyText,
    trickyText.map((text) => Buffer.from(JSON.stringify([text])).toString('base64url')),
  ),
  prefix: trickyText,
  labels: fc.dictionary(fc.oneof(fc.constant('k'), trickyText), fc.oneof(fc.constant('1'), trickyText), { maxKeys: 2 }),
  groups: fc.array(trickyText, { maxLength: 2 }),
  status: fc.constantFrom('active' as const, 'disabled' as const, 'valid' as const, 'revoked' as const),
  owner: fc.record({ kind: fc.constantFrom('device' as const, 'user' as const), id: trickyText }),
  policy: trickyText,
};
/** Two filters at most: more find nothing. */
const trickyQuery: fc.Arbitrary<Query> = fc
  .tuple(fc.record(trickyFilters), fc.subarray(Object.keys(trickyFilters), { maxLength: 2 }))
  .map(([all, chosen]) => Object.fromEntries(Object.entries(all).filter(([name]) => chosen.includes(name))));
const question = fc.record({
  kind: fc.constantFrom(...kinds),
  tenant: trickyTenant,
  id: fc.oneof(trickyText, fc.constantFrom(fingerprint(1), fingerprint(2))),
  query: trickyQuery,
});

/** The same names in every tenant. */
async function fill(registry: Registry, tenant: string, n: number): Promise<void> {
  const owner: Owner = { kind: 'device', id: 'a' };
  const fields = { labels: { k: '1' }, groups: ['g'] };
  const writes = ['a', 'A', 'b', '%', '_'].flatMap((id, i): Write[] => [
    { do: 'create', kind: 'device', tenant, id, fields: { ...fields, status: id === 'b' ? 'disabled' : 'active' } },
    { do: 'create', kind: 'user', tenant, id: `${id}user`, fields },
    { do: 'create', kind: 'application', tenant, id: `${id}app`, fields },
    { do: 'create', kind: 'enrolment', tenant, id, fields: { ...enrolment(n * 100 + i), devicePattern: id } },
    { do: 'create', kind: 'policy', tenant, id, fields: { document: '{}' } },
    { do: 'create', kind: 'role', tenant, id, fields: { policies: [id] } },
    { do: 'create', kind: 'credential', tenant, id, fields: { owner, type: 'token', secret: 'x' } },
  ]);
  writes.push({ do: 'create', kind: 'certificate', tenant, id: fingerprint(n), fields: certificate(n, { owner }) });
  good(await registry.apply(writes, { atomic: true }));
}

export async function isolationProperty(makePlace: () => Promise<RegistryPlace>): Promise<void> {
  const { opened, end } = closing(await makePlace());
  try {
    const registry = await opened.open();
    const names = ['main', 'other', 'mai', 'MAIN', "main' OR '1'='1", 'main%', '%', '_'];
    for (const name of names.slice(1)) good(await registry.create('tenant', systemScope, name, {}));
    for (const [n, name] of [...names, systemScope].entries()) await fill(registry, name, n + 1);
    let shown = 0;
    const property = fc.asyncProperty(question, async ({ kind, tenant, id, query }) => {
      const found: Entry<Kind>[] = [];
      const page: Result<Page<Entry<Kind>>> = await registry.list(kind, tenant, query);
      if (page.ok) found.push(...page.value.entries);
      found.push(...([good(await registry.get(kind, tenant, id)) ?? []].flat() as Entry<Kind>[]));
      const named = good(await registry.principal(tenant, id));
      if (named !== undefined) found.push(named.entry);
      found.push(...good(await registry.credentials(tenant, { kind: 'device', id })));
      for (const entry of found) assert.equal(entry.tenant, tenant);
      shown += found.length;
    });
    await fc.assert(property, { numRuns: 1_500 });
    assert.ok(shown > 1_000, 'the questions must find something');
  } finally {
    await end();
  }
}
