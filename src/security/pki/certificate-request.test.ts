import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import * as build from './certificate-builder.ts';
import { readCertificateRequest } from './certificate-request.ts';
import { context, tags } from './der/der-reader.ts';
import { bits, element, extension, integer, nothing, oid, sequence } from './der/der-writer.ts';
import { requestFault } from './request-check.ts';
import { attribute, ecdsaSha256, requestFor, usualKey, type RequestParts } from './testing/request.ts';
import { publicKeyOf } from './software-signer.ts';

const maxBytes = 16_384;
const settings = { validityDays: 30, maxValidityDays: 825, allowRsa: true };
const owner = { kind: 'device', id: 'pump-7' } as const;

/** `ok`, or the code and the field of the fault, after both passes. */
function judged(request: Uint8Array | string, more: Partial<typeof settings> = {}): string {
  const read = readCertificateRequest(request, maxBytes);
  const allowed = { ...settings, ...more };
  const error = read.ok ? requestFault({ tenant: 'main', owner, settings: allowed, request: read.value }) : read.error;
  return error === undefined ? 'ok' : [error.code, error.field].filter((part) => part !== undefined).join(' ');
}

const asked = (...extensions: Uint8Array[]): RequestParts => ({ extensions });
const named = (...pairs: [string, string][]): RequestParts => ({
  subject: sequence(...pairs.map(([type, text]) => element(tags.set, sequence(oid(type), element(0x0c, Buffer.from(text)))))),
});
const spki = (type: 'ec' | 'rsa' | 'ed448', options: object): RequestParts => {
  const { privateKey } = generateKeyPairSync(type as 'rsa', options as { modulusLength: number });
  return {
    key: privateKey,
    ...(type === 'rsa' && { algorithm: sequence(oid('1.2.840.113549.1.1.11'), nothing) }),
    ...(type === 'ed448' && { digest: null }),
  };
};

test('a request for its owner is good, however much of the owner it names', () => {
  const good: RequestParts[] = [
    {},
    { subject: sequence() },
    named(['2.5.4.10', 'main'], ['2.5.4.3', 'pump-7'], ['2.5.4.5', 'pump-7']),
    named(['2.5.4.3', 'main/pump-7']),
    { names: [{ uri: 'heliograph:main/pump-7' }, { dns: 'pump-7' }] },
    asked(build.basicConstraints(undefined), build.keyUsage(['digitalSignature']), build.extendedKeyUsage(['1.3.6.1.5.5.7.3.2'])),
    { attributes: element(context(0), attribute('1.2.840.113549.1.9.7', element(0x0c, Buffer.from('challenge')))) },
    spki('ec', { namedCurve: 'P-384' }),
    { ...spki('rsa', { modulusLength: 2048 }) },
    { ...spki('rsa', { modulusLength: 2048 }), ...asked(build.keyUsage(['digitalSignature', 'keyEncipherment'])) },
    { key: generateKeyPairSync('ed25519').privateKey, algorithm: sequence(oid('1.3.101.112')), digest: null },
  ];
  for (const [i, parts] of good.entries()) assert.equal(judged(requestFor('pump-7', parts).der), 'ok', `request ${i}`);
});

test('each field wrong in turn is refused by its name', () => {
  const p256 = publicKeyOf(usualKey());
  const offCurve = Buffer.from(p256);
  offCurve[offCurve.length - 1]! ^= 1;
  const compressed = Buffer.concat([p256.subarray(0, 26), Buffer.of(2), p256.subarray(27, 59)]);
  const bad: [string, RequestParts][] = [
    ['malformed version', { version: 1 }],
    ['malformed subject', { subject: sequence(element(tags.set)) }],
    ['malformed subject', { subject: sequence(element(tags.set, sequence(oid('2.5.4.3'), element(0x0c, Buffer.of(0xff))))) }],
    ['malformed subject', { subject: sequence(element(tags.set, sequence(oid('2.5.4.3'), integer(7)))) }],
    ['foreign-name subject.CN', named(['2.5.4.3', 'pump-8'])],
    ['foreign-name subject.CN', named(['2.5.4.3', 'pump-7'], ['2.5.4.3', 'admin'])],
    ['foreign-name subject.O', named(['2.5.4.10', 'acme'])],
    ['foreign-name subject.2.5.4.11', named(['2.5.4.11', 'main'])],
    ['malformed publicKey', { publicKey: sequence() }],
    ['malformed publicKey', { publicKey: offCurve }],
    ['malformed publicKey', { publicKey: sequence(compressed.subarray(2, 23), bits(p256.subarray(26, 59))) }],
    ['weak-key publicKey', spki('ec', { namedCurve: 'secp224r1' })],
    ['weak-key publicKey', spki('ec', { namedCurve: 'secp256k1' })],
    ['weak-key publicKey', spki('ec', { namedCurve: 'P-256', paramEncoding: 'explicit' })],
    ['weak-key publicKey', spki('rsa', { modulusLength: 1024 })],
    ['weak-key publicKey', spki('rsa', { modulusLength: 2048, publicExponent: 3 })],
    ['weak-key publicKey', spki('ed448', {})],
    ['malformed attributes', { attributes: sequence() }],
    ['not-allowed attributes', { attributes: element(context(0), attribute('1.2.3.4', nothing)) }],
    ['malformed attributes', { attributes: element(context(0), attribute('1.2.840.113549.1.9.14', sequence(), sequence())) }],
    ['not-allowed extensions.basicConstraints', asked(build.basicConstraints({ pathLength: 0 }))],
    ['not-allowed extensions.keyUsage', asked(build.keyUsage(['digitalSignature', 'keyCertSign']))],
    ['not-allowed extensions.keyUsage', asked(build.keyUsage(['keyEncipherment']))],
    ['malformed extensions.keyUsage', asked(extension('2.5.29.15', integer(1)))],
    ['not-allowed extensions.extendedKeyUsage', asked(build.extendedKeyUsage(['1.3.6.1.5.5.7.3.1']))],
    ['not-allowed extensions.2.5.29.30', asked(extension('2.5.29.30', sequence()))],
    ['malformed attributes', asked(build.basicConstraints(undefined), build.basicConstraints(undefined))],
    ['foreign-name extensions.subjectAltName', { names: [{ uri: 'heliograph:main/pump-8' }] }],
    ['foreign-name extensions.subjectAltName', { names: [{ uri: 'heliograph:main/pump-7' }, { dns: 'broker.example' }] }],
    ['foreign-name extensions.subjectAltName', { names: [{ ip: '192.0.2.7' }] }],
    ['bad-signature signature', { signature: Buffer.alloc(64, 1) }],
    ['bad-signature signature', { digest: 'sha384' }],
    ['bad-signature signatureAlgorithm', { algorithm: sequence(oid('1.2.840.113549.1.1.11'), nothing) }],
    ['weak-key signatureAlgorithm', { algorithm: sequence(oid('1.2.840.10045.4.1')) }],
    ['malformed signatureAlgorithm', { algorithm: sequence() }],
    ['bad-signature signature', { publicKey: publicKeyOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey) }],
  ];
  for (const [i, [fault, parts]] of bad.entries()) assert.equal(judged(requestFor('pump-7', parts).der), fault, `request ${i}`);
  assert.equal(judged(requestFor('pump-7', spki('rsa', { modulusLength: 2048 })).der, { allowRsa: false }), 'weak-key publicKey');
});

test('trailing bytes, other forms of DER, other PEM, and what is too large are refused', () => {
  const { der } = requestFor('pump-7');
  assert.equal(judged(Buffer.concat([der, Buffer.of(0)])), 'malformed request');
  assert.equal(judged(der.subarray(0, -1)), 'malformed request');
  assert.equal(judged(Buffer.concat([Buffer.of(0x30, 0x83, 0), der.subarray(2)])), 'malformed request');
  assert.equal(judged(Buffer.alloc(0)), 'malformed request');
  assert.equal(judged(Buffer.alloc(maxBytes + 1)), 'too-large');
  const pem = (what: string, body: Uint8Array): string =>
    `-----BEGIN ${what}-----\n${Buffer.from(body).toString('base64')}\n-----END ${what}-----\n`;
  assert.equal(judged(pem('CERTIFICATE REQUEST', der)), 'ok');
  assert.equal(judged(pem('NEW CERTIFICATE REQUEST', der)), 'ok');
  assert.equal(judged(pem('CERTIFICATE', der)), 'malformed request');
  assert.equal(judged(pem('CERTIFICATE REQUEST', der) + pem('CERTIFICATE REQUEST', der)), 'malformed request');
  assert.equal(judged(pem('CERTIFICATE REQUEST', Buffer.alloc(maxBytes + 1))), 'too-large');
  assert.equal(judged('x'.repeat(1e6)), 'too-large');
  assert.equal(judged('nonsense'), 'malformed request');
});

test('a request of OpenSSL is read, whatever its key', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'heliograph-'));
  t.after(() => rm(directory, { recursive: true }));
  const [key, out] = [join(directory, 'key.pem'), join(directory, 'request.pem')];
  for (const kind of [['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], ['ed25519'], ['rsa:2048']]) {
    const how = ['req', '-new', '-newkey', ...kind, '-nodes', '-keyout', key, '-out', out, '-subj', '/O=main/CN=pump-7'];
    await promisify(execFile)('openssl', [...how, '-addext', 'subjectAltName=URI:heliograph:main/pump-7']);
    assert.equal(judged(await readFile(out, 'utf8')), 'ok', kind[0]);
  }
});

test('no bit of a request can be turned without it being refused', () => {
  const { der } = requestFor('pump-7', { names: [{ uri: 'heliograph:main/pump-7' }], algorithm: ecdsaSha256 });
  fc.assert(
    fc.property(fc.nat(der.length * 8 - 1), (bit) => {
      const turned = Buffer.from(der);
      turned[bit >> 3]! ^= 1 << (bit & 7);
      return judged(turned) !== 'ok';
    }),
    { numRuns: 300 },
  );
});
