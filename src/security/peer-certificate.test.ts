import assert from 'node:assert/strict';
import type { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { describeCertificate, identityOf, principalUri } from './peer-certificate.ts';
import type { PeerCertificate } from './security.ts';

const certificate = (uris: string[], commonName?: string): PeerCertificate => ({ uris, commonName, fingerprint: '' });
const both = ['san', 'cn'] as const;

/** Only the fields that are read, in the forms that Node gives them. */
function parsed(subjectAltName: string | undefined, commonName?: string | string[]): PeerCertificate {
  const facts = { subjectAltName, fingerprint256: 'AB:CD', toLegacyObject: () => ({ subject: { CN: commonName } }) };
  return describeCertificate(facts as unknown as X509Certificate);
}

test('the URIs are read as Node writes them, quoted ones included', () => {
  assert.deepEqual(parsed('DNS:a.example, URI:heliograph:main/p, IP Address:127.0.0.1, URI:urn:x').uris, ['heliograph:main/p', 'urn:x']);
  assert.deepEqual(parsed('URI:"heliograph:main/a, URI:heliograph:main/b"').uris, ['heliograph:main/a, URI:heliograph:main/b']);
  assert.deepEqual(parsed('DNS:"a\\", URI:heliograph:main/b"').uris, []);
  assert.deepEqual(parsed('URI:x, what is this').uris, [], 'an unknown form is not trusted at all');
  assert.deepEqual(parsed(undefined).uris, []);
  assert.equal(parsed(undefined).fingerprint, 'abcd');
});

test('it tells when it ends', () => {
  const until = (validTo: string): unknown =>
    describeCertificate({ validTo, fingerprint256: '', toLegacyObject: () => ({}) } as unknown as X509Certificate).notAfterMs;
  assert.equal(until('Jan  2 03:04:05 2031 GMT'), Date.UTC(2031, 0, 2, 3, 4, 5));
  assert.equal(until('Dec 31 23:59:59 9999 GMT'), Date.UTC(9999, 11, 31, 23, 59, 59));
  assert.equal(until('Bad time value'), 0);
});

test('a certificate with two common names has none', () => {
  assert.equal(parsed(undefined, 'pump').commonName, 'pump');
  assert.equal(parsed(undefined, ['pump', 'admin']).commonName, undefined);
  assert.equal(parsed(undefined).commonName, undefined);
});

test('the URI names tenant and principal; what is unclear names nobody', () => {
  assert.deepEqual(identityOf(certificate(['heliograph:acme/pump-7']), both, 'main'), { tenant: 'acme', id: 'pump-7' });
  assert.deepEqual(identityOf(certificate(['urn:x', 'HELIOGRAPH:acme/p']), both, 'main'), { tenant: 'acme', id: 'p' });
  for (const uris of [
    ['heliograph:acme/a', 'heliograph:acme/b'],
    ['heliograph:acme'],
    ['heliograph:acme/a/b'],
    ['heliograph:/a'],
    ['heliograph:acme/'],
    ['heliograph:acme/%2B'],
    ['heliograph:acme/a%2Fb'],
    ['heliograph:acme/%zz'],
  ]) {
    assert.equal(identityOf(certificate(uris, 'fallback'), both, 'main'), 'unclear', uris.join());
  }
});

test('the common name counts only where a rule says so', () => {
  assert.deepEqual(identityOf(certificate([], 'pump'), both, 'acme'), { tenant: 'acme', id: 'pump' });
  assert.deepEqual(identityOf(certificate(['heliograph:x/y'], 'pump'), ['cn'], 'acme'), { tenant: 'acme', id: 'pump' });
  assert.equal(identityOf(certificate([], 'pump'), ['san'], 'acme'), undefined);
  assert.equal(identityOf(certificate([], 'a/b'), both, 'acme'), 'unclear');
  assert.equal(identityOf(certificate(['heliograph:x/y'], 'pump'), [], 'acme'), undefined);
});

test('a principal comes back from its URI', () => {
  for (const id of ['pump-7', 'ann@example.com', 'Größe 3', '100%']) {
    assert.deepEqual(identityOf(certificate([principalUri('main', id)]), both, 'x'), { tenant: 'main', id });
  }
});
