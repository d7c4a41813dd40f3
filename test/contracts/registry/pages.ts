import assert from 'node:assert/strict';
import { systemScope, type Kind } from '../../../src/registry/entries.ts';
import { maxPage, maxWrites, type Query, type Registry, type Write } from '../../../src/registry/registry.ts';
import { allPages, certificate, fingerprint, good, refused, type RegistryTests } from './place.ts';

async function createDevices(registry: Registry, ids: readonly string[], fields: (i: number) => object): Promise<void> {
  const writes = ids.map((id, i): Write => ({ do: 'create', kind: 'device', tenant: 'main', id, fields: fields(i) }));
  for (let i = 0; i < writes.length; i += maxWrites) {
    for (const result of good(await registry.apply(writes.slice(i, i + maxWrites), { atomic: false }))) good(result);
  }
}

async function idsOf(registry: Registry, query: Query): Promise<{ ids: string[]; pages: number }> {
  const { entries, pages } = await allPages((after) => registry.list('device', 'main', { ...query, after }));
  return { ids: entries.map(({ id }) => id), pages };
}

export const pagesTests: RegistryTests = {
  'ids come in the order of their bytes, all of them, whatever the size of the page': async ({ open }) => {
    const registry = await open();
    const ids = ['b', 'a', 'B', 'ä', 'Z', '0', '10', '9', 'a b', 'a-1', 'a.1', 'aa', '\u{1F600}', '\uFF5E', "it's", 'x%', 'x_', 'xy', 'x"'];
    await createDevices(registry, ids, () => ({}));
    const sorted = [...ids].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    for (const limit of [1, 2, 7, ids.length, 1000]) {
      assert.deepEqual((await idsOf(registry, { limit })).ids, sorted);
    }
    assert.equal((await idsOf(registry, { limit: ids.length })).pages, 1, 'no empty page at the end');
    for (const prefix of ['a', 'x', 'x%', 'x_', '1', 'ä', '\u{1F600}', 'nothing', "it'", '']) {
      for (const limit of [1, 100]) {
        assert.deepEqual(
          (await idsOf(registry, { prefix, limit })).ids,
          sorted.filter((id) => id.startsWith(prefix)),
          prefix,
        );
      }
    }
  },

  'a search finds what has all labels, all groups and the status': async ({ open }) => {
    const registry = await open();
    const fields = (i: number): object => ({
      labels: { odd: String(i % 2), third: String(i % 3) },
      groups: i % 5 === 0 ? ['five'] : ['other', 'g'],
      status: i % 7 === 0 ? 'disabled' : 'active',
    });
    const ids = Array.from({ length: 60 }, (_, i) => `d-${100 + i}`);
    await createDevices(registry, ids, fields);
    const expect = async (query: Query, fits: (i: number) => boolean): Promise<void> => {
      const expected = ids.filter((_, i) => fits(i));
      for (const limit of [1, 3, 100]) assert.deepEqual((await idsOf(registry, { ...query, limit })).ids, expected, JSON.stringify(query));
    };
    await expect({ labels: { odd: '1' } }, (i) => i % 2 === 1);
    await expect({ labels: { odd: '1', third: '2' } }, (i) => i % 2 === 1 && i % 3 === 2);
    await expect({ groups: ['five'], labels: { odd: '0' } }, (i) => i % 10 === 0);
    await expect({ groups: ['g', 'other'] }, (i) => i % 5 !== 0);
    await expect({ groups: ['g', 'five'] }, () => false);
    await expect({ status: 'disabled' }, (i) => i % 7 === 0);
    await expect({ status: 'active', groups: ['five'] }, (i) => i % 5 === 0 && i % 7 !== 0);
    await expect({ status: 'disabled', labels: { third: '0' }, prefix: 'd-12' }, (i) => i % 7 === 0 && i % 3 === 0 && i >= 20 && i < 30);
    await expect({ labels: { odd: '2' } }, () => false);
    await expect({ labels: { 'odd=1': '' } }, () => false);
    await expect({ labels: { o: 'dd=1' } }, () => false);
    await expect({ groups: ['\0'] }, () => false);
    good(await registry.update('device', 'main', ids[1]!, { labels: { third: '1' }, groups: [], status: 'disabled' }));
    await expect({ labels: { odd: '1' } }, (i) => i % 2 === 1 && i !== 1);
    await expect({ status: 'disabled' }, (i) => i % 7 === 0 || i === 1);
  },

  'a search that finds few among many looks at a bounded number at a time, and misses none': async ({ open }) => {
    const registry = await open();
    const ids = Array.from({ length: 5_000 }, (_, i) => `d-${10_000 + i}`);
    await createDevices(registry, ids, (i) => ({ groups: ['all'], labels: i % 1_700 === 5 ? { rare: '1' } : {} }));
    const query: Query = { groups: ['all'], labels: { rare: '1' }, limit: 10 };
    const { ids: found, pages } = await idsOf(registry, query);
    assert.deepEqual(
      found,
      ids.filter((_, i) => i % 1_700 === 5),
    );
    assert.ok(pages > 1 && pages < 10, `${pages} pages`);
  },

  'other kinds are searched by what they have; anything else is refused': async ({ open }) => {
    const registry = await open();
    good(await registry.create('user', 'main', 'ann', { labels: { a: 'b' } }));
    good(await registry.create('user', 'main', 'bob', { status: 'disabled' }));
    good(await registry.create('certificate', 'main', fingerprint(1), certificate(1, { owner: { kind: 'user', id: 'ann' } })));
    good(await registry.create('certificate', 'main', fingerprint(2), certificate(2, { status: 'revoked' })));
    const found = async (kind: Kind, query: Query): Promise<string[]> =>
      good(await registry.list(kind, 'main', query)).entries.map(({ id }) => id);
    assert.deepEqual(await found('user', { labels: { a: 'b' } }), ['ann']);
    assert.deepEqual(await found('user', { status: 'disabled' }), ['bob']);
    assert.deepEqual(await found('certificate', { owner: { kind: 'user', id: 'ann' } }), [fingerprint(1)]);
    assert.deepEqual(await found('certificate', { status: 'revoked' }), [fingerprint(2)]);
    assert.deepEqual(await found('certificate', { limit: 1 }), [fingerprint(1)]);
    good(await registry.create('tenant', systemScope, 'acme', { status: 'disabled' }));
    const tenants = good(await registry.list('tenant', systemScope, { status: 'disabled' })).entries;
    assert.deepEqual(
      tenants.map(({ id }) => id),
      ['acme'],
    );
    const bad: readonly [Kind, Query, string][] = [
      ['policy', { labels: {} }, 'labels'],
      ['certificate', { groups: ['g'] }, 'groups'],
      ['certificate', { prefix: 'a' }, 'prefix'],
      ['certificate', { status: 'active' }, 'status'],
      ['device', { status: 'valid' }, 'status'],
      ['device', { owner: { kind: 'user', id: 'ann' } }, 'owner'],
      ['device', { policy: 'p' }, 'policy'],
      ['role', { status: 'active' }, 'status'],
      ['device', { limit: 0 }, 'limit'],
      ['device', { limit: maxPage + 1 }, 'limit'],
      ['device', { limit: 1.5 }, 'limit'],
      ['device', { after: '' }, 'after'],
      ['device', { after: '!!' }, 'after'],
      ['device', { after: Buffer.from('["a\\u0000"]').toString('base64url') }, 'after'],
      ['device', { after: Buffer.from('["\\ud800"]').toString('base64url') }, 'after'],
      ['device', { after: Buffer.from('["a",1]').toString('base64url') }, 'after'],
      ['certificate', { after: Buffer.from('["a"]').toString('base64url') }, 'after'],
    ];
    for (const [kind, query, field] of bad) refused(await registry.list(kind, 'main', query), 'invalid', field);
    const many = Array.from({ length: 40 }, (_, i) => `g${i}`);
    refused(await registry.list('device', 'main', { groups: many }), 'limit');
  },
};
