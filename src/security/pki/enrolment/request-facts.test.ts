import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { TestSigner } from '../testing/made-certificates.ts';
import { derOfRequest, readRequestFacts } from './request-facts.ts';
import { madeRequest, requestPem } from './testing/made-request.ts';

test('what a request asks for is read', () => {
  const signer = new TestSigner();
  const plain = readRequestFacts(madeRequest('pump-7', { signer }))!;
  assert.deepEqual([plain.commonNames, plain.uris, plain.hasOtherNames, plain.wantsSealedKey], [['pump-7'], undefined, false, false]);
  assert.equal(plain.keyHash, createHash('sha256').update(signer.publicKey).digest('hex'));
  const full = readRequestFacts(madeRequest(['a', 'ü'], { uris: ['x:y', 'heliograph:main/a'], dnsNames: ['b'], attributes: ['1.2.3'] }))!;
  assert.deepEqual([full.commonNames, full.uris, full.hasOtherNames], [['a', 'ü'], ['x:y', 'heliograph:main/a'], true]);
  assert.equal(readRequestFacts(madeRequest('a', { attributes: ['1.2.840.113549.1.9.16.2.37'] }))!.wantsSealedKey, true);
});

test('requests of openssl are read, in both forms', () => {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '/dev/null'];
  const options = { stdio: ['ignore', 'pipe', 'ignore'] as ['ignore', 'pipe', 'ignore'] };
  const names = ['-subj', '/O=main/CN=pump-7', '-addext', 'subjectAltName=URI:heliograph:main/pump-7'];
  for (const form of ['DER', 'PEM']) {
    const made = execFileSync('openssl', ['req', '-new', ...key, ...names, '-outform', form], options);
    const facts = readRequestFacts(derOfRequest(made)!)!;
    assert.deepEqual([facts.commonNames, facts.uris, facts.hasOtherNames], [['pump-7'], ['heliograph:main/pump-7'], false], form);
  }
});

test('PEM is taken with any line ends, and nothing else for PEM', () => {
  const der = madeRequest('a');
  const pem = requestPem(der);
  for (const text of [pem, pem.replaceAll('\n', '\r\n'), `\n${pem}\n`, pem.replaceAll('CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST')]) {
    assert.deepEqual(derOfRequest(text), der);
    assert.deepEqual(derOfRequest(Buffer.from(text)), der);
  }
  for (const wrong of [
    '',
    '-----BEGIN',
    pem.replace('-----END', '-----'),
    pem.replaceAll('REQUEST', 'X'),
    pem.replace('\n', '\n!'),
    pem + pem,
  ]) {
    assert.equal(derOfRequest(wrong), undefined, wrong);
  }
});

test('nothing that is cut, changed or made up is taken for a request without being one, and nothing throws', () => {
  const der = madeRequest('pump-7', { uris: ['a:b'] });
  for (let end = 0; end < der.length; end++) assert.equal(readRequestFacts(der.subarray(0, end)), undefined);
  assert.equal(readRequestFacts(Buffer.concat([der, Buffer.of(0)])), undefined);
  const flips = fc.array(fc.tuple(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(flips, (changes) => {
      const copy = Buffer.from(der);
      for (const [at, by] of changes) copy[at]! ^= by;
      const facts = readRequestFacts(copy);
      assert.ok(facts === undefined || Array.isArray(facts.commonNames));
    }),
    { numRuns: 2000 },
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => readRequestFacts(bytes) === undefined));
});
