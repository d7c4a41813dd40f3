import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { madeRoot, TestSigner, type Made } from '../testing/made-certificates.ts';
import { TrustPaths, trustedAuthority, type TrustedAuthority } from './trust-path.ts';

const root = madeRoot('Root');
const issuing = root.issue('Issuing', { authority: 0 });
const device = issuing.issue('device');

const trusted = (made: Made, more: Partial<Pick<TrustedAuthority, 'role' | 'status' | 'tenant'>> = {}): TrustedAuthority =>
  trustedAuthority(made.x509, { tenant: '$system', role: 'issuing', status: 'active', ...more })!;

const idsOf = (paths: TrustPaths, made: Made): unknown => {
  const found = paths.of(made.x509, made.fingerprint);
  return typeof found === 'string' ? found : found.issuers;
};

test('the path goes as far up as authorities are known', () => {
  const paths = new TrustPaths(10);
  paths.use([trusted(issuing)]);
  assert.deepEqual(idsOf(paths, device), [issuing.facts.keyId]);
  paths.use([trusted(issuing), trusted(root)]);
  assert.deepEqual(idsOf(paths, device), [issuing.facts.keyId, root.facts.keyId]);
  paths.use([trusted(root)]);
  // What it has sent along is not to be had from a certificate alone.
  assert.equal(idsOf(paths, device), 'unknown');
  assert.deepEqual(idsOf(paths, root.issue('direct')), [root.facts.keyId]);
});

test('a name is not enough: the signature tells authorities of one name apart', () => {
  const twin = madeRoot('Root');
  const paths = new TrustPaths(0);
  paths.use([trusted(twin), trusted(root)]);
  assert.deepEqual(idsOf(paths, root.issue('x')), [root.facts.keyId]);
  assert.deepEqual(idsOf(paths, twin.issue('x')), [twin.facts.keyId]);
  assert.equal(idsOf(paths, madeRoot('Root').issue('x')), 'unknown');
  // Whoever is no authority cannot have issued it, even if the names fit.
  const end = root.issue('End');
  paths.use([trusted(end), trusted(root)]);
  assert.equal(idsOf(paths, end.issue('x')), 'unknown');
});

test('of several that say something of one authority the first counts', () => {
  const paths = new TrustPaths(10);
  paths.use([trusted(root, { role: 'operator' }), trusted(root, { role: 'foreign', status: 'pending', tenant: 'other' })]);
  const found = paths.of(root.issue('x').x509, 'x');
  assert.ok(typeof found !== 'string' && found.links[0]!.authority!.role === 'operator');
  assert.equal(paths.authority(root.facts.keyId)!.role, 'operator');
});

test('a certificate that cannot be read is malformed, and paths are forgotten with the authorities', () => {
  const paths = new TrustPaths(10);
  paths.use([trusted(root)]);
  const odd = root.issue('odd', { serial: '1'.repeat(42) });
  assert.equal(paths.of(new X509Certificate(odd.der), odd.fingerprint), 'malformed');
  const made = root.issue('x', {}, new TestSigner('ed25519'));
  assert.deepEqual(idsOf(paths, made), [root.facts.keyId]);
  assert.ok(paths.remembered(made.fingerprint));
  paths.use([]);
  assert.equal(paths.remembered(made.fingerprint), undefined);
  assert.equal(idsOf(paths, made), 'unknown');
});
