import assert from 'node:assert/strict';
import { systemScope } from '../../../src/registry/entries.ts';
import { allPages, certificate, fingerprint, good, issuer, refused, type RegistryTests } from './place.ts';

export const certificatesTests: RegistryTests = {
  'a certificate is found by fingerprint and by serial number, whichever tenant has it, and only once': async ({ open }) => {
    const registry = await open();
    good(await registry.create('tenant', systemScope, 'other', {}));
    const made = good(await registry.create('certificate', 'other', fingerprint(1), certificate(1)));
    assert.deepEqual(good(await registry.certificate(fingerprint(1))), made);
    assert.deepEqual(good(await registry.certificateBySerial(issuer, '2')), made);
    assert.equal(good(await registry.certificateBySerial(fingerprint(5), '2')), undefined);
    assert.equal(good(await registry.certificateBySerial('x', '2')), undefined);
    assert.equal(good(await registry.certificateBySerial(issuer, `2' --`)), undefined);
    assert.equal(good(await registry.certificate('nonsense')), undefined);
    assert.equal(good(await registry.get('certificate', 'main', fingerprint(1))), undefined);
    refused(await registry.create('certificate', 'main', fingerprint(1), certificate(7)), 'exists');
    refused(await registry.create('certificate', 'main', fingerprint(2), certificate(1)), 'exists');
    refused(await registry.remove('certificate', 'main', fingerprint(1)), 'not-found');
    refused(
      await registry.create('certificate', 'main', fingerprint(3), certificate(3, { owner: { kind: 'user', id: 'x' } })),
      'unknown-reference',
      'owner',
    );
  },

  'a revocation is final, except a hold; a certificate is known until it expires': async ({ open, clock }) => {
    const registry = await open();
    good(await registry.create('certificate', 'main', fingerprint(1), certificate(1)));
    const held = good(await registry.update('certificate', 'main', fingerprint(1), { status: 'revoked', reason: 'certificateHold' }));
    assert.deepEqual([held.revokedAtMs, held.reason], [clock.wallMs(), 'certificateHold']);
    const lifted = good(await registry.update('certificate', 'main', fingerprint(1), { status: 'valid' }));
    assert.deepEqual([lifted.revokedAtMs, lifted.reason], [undefined, undefined]);
    const gone = good(await registry.update('certificate', 'main', fingerprint(1), { status: 'revoked' }));
    assert.equal(gone.reason, 'unspecified');
    refused(await registry.update('certificate', 'main', fingerprint(1), { status: 'valid' }), 'invalid', 'status');
    refused(await registry.update('certificate', 'main', fingerprint(1), { notAfterMs: 3e12 }), 'invalid', 'notAfterMs');
    good(await registry.update('certificate', 'main', fingerprint(1), { reason: 'keyCompromise' }));
    refused(await registry.remove('certificate', 'main', fingerprint(1)), 'in-use');
    clock.advance(2e12);
    good(await registry.remove('certificate', 'main', fingerprint(1)));
    assert.equal(good(await registry.certificate(fingerprint(1))), undefined);
  },

  'the revoked ones of an authority come page by page, over all tenants': async ({ open }) => {
    const registry = await open();
    good(await registry.create('tenant', systemScope, 'other', {}));
    for (let n = 0; n < 30; n++) {
      const more = { ...(n % 3 > 0 && { status: 'revoked' as const }), ...(n === 29 && { issuer: fingerprint(1) }) };
      good(await registry.create('certificate', n % 2 === 0 ? 'main' : 'other', fingerprint(n), certificate(n, more)));
    }
    const { entries, pages } = await allPages((after) => registry.revoked(issuer, { after, limit: 4 }));
    assert.deepEqual(
      entries.map(({ id }) => Number.parseInt(id, 16)),
      Array.from({ length: 29 }, (_, n) => n).filter((n) => n % 3 > 0),
    );
    assert.equal(pages, 5);
    assert.deepEqual(good(await registry.revoked('nonsense', {})).entries, []);
    refused(await registry.revoked(issuer, { after: 'nonsense' }), 'invalid', 'after');
  },

  'those that end soon come earliest first': async ({ open }) => {
    const registry = await open();
    for (let n = 0; n < 20; n++) {
      const more = { notAfterMs: 1000 + 10 * ((n * 7) % 10), ...(n === 3 && { status: 'revoked' as const }) };
      good(await registry.create('certificate', 'main', fingerprint(n), certificate(n, more)));
    }
    const { entries } = await allPages((after) => registry.expiring(1010, 1050, { after, limit: 3 }));
    const expected = Array.from({ length: 20 }, (_, n) => ({ n, atMs: 1000 + 10 * ((n * 7) % 10) }))
      .filter(({ n, atMs }) => atMs >= 1010 && atMs < 1050 && n !== 3)
      .sort((a, b) => a.atMs - b.atMs || a.n - b.n);
    assert.deepEqual(
      entries.map(({ id }) => Number.parseInt(id, 16)),
      expected.map(({ n }) => n),
    );
    assert.deepEqual(good(await registry.expiring(0, Infinity, { limit: 1000 })).entries.length, 19);
    refused(await registry.expiring(0, 1, { after: Buffer.from('["x","y"]').toString('base64url') }), 'invalid', 'after');
  },
};
