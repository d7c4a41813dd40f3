import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { keyAlgorithms } from '../pki.ts';
import { madeRoot, TestSigner } from '../testing/made-certificates.ts';
import { context, primitiveContext, tags } from '../der/der-reader.ts';
import { bits, element, extension, integer, sequence, time, yes } from '../der/der-writer.ts';
import { crlEntry, readCrl, reasonNumbers, signCrl } from './crl-format.ts';
import { signatureAlgorithms, verifySignature } from './signatures.ts';

const pause = () => Promise.resolve();
const nowMs = Date.parse('2026-11-23T01:00:00Z');
const root = madeRoot('Root');
const fields = {
  issuerName: root.facts.subjectName,
  authorityKeyId: root.facts.subjectKeyId!,
  thisUpdateMs: nowMs,
  nextUpdateMs: nowMs + 3_600_000,
  number: 1_800_000_000_123,
  baseNumber: undefined,
  freshestUrl: undefined,
  entries: [crlEntry('1a2b', nowMs - 1000, reasonNumbers.keyCompromise), crlEntry('ff00', nowMs, 0)],
};

test('a list is read as it was written, and its signature holds', async () => {
  for (const algorithm of keyAlgorithms) {
    const signer = new TestSigner(algorithm);
    const crl = (await readCrl(await signCrl(fields, signer), pause))!;
    assert.deepEqual(
      [...crl.revoked],
      [
        ['1a2b', 1],
        ['ff00', 0],
      ],
    );
    assert.deepEqual([crl.thisUpdateMs, crl.nextUpdateMs, crl.baseNumber], [fields.thisUpdateMs, fields.nextUpdateMs, undefined]);
    assert.equal(Number.parseInt(crl.number!, 16), fields.number);
    assert.deepEqual(Buffer.from(crl.issuerName), Buffer.from(fields.issuerName));
    assert.equal(await verifySignature(crl.algorithm, signer.publicKey, crl.signed, crl.signature), true);
    assert.equal(await verifySignature(crl.algorithm, new TestSigner(algorithm).publicKey, crl.signed, crl.signature), false);
    assert.equal(await verifySignature(crl.algorithm, signer.publicKey, crl.signed.subarray(1), crl.signature), false);
  }
  const delta = (await readCrl(await signCrl({ ...fields, entries: [], baseNumber: 77 }, root.signer), pause))!;
  assert.deepEqual([delta.baseNumber, delta.revoked.size], ['4d', 0]);
});

test('openssl reads it and verifies it', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'heliograph-crl-'));
  try {
    writeFileSync(join(directory, 'root.pem'), root.pem);
    writeFileSync(join(directory, 'list.crl'), await signCrl({ ...fields, freshestUrl: 'http://ca.example/delta.crl' }, root.signer));
    const args = ['crl', '-inform', 'DER', '-in', 'list.crl', '-CAfile', 'root.pem', '-noout', '-text'];
    const text = execFileSync('openssl', args, { cwd: directory, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    for (const part of ['1A2B', 'FF00', 'Key Compromise', 'X509v3 CRL Number', 'ca.example/delta.crl', 'Nov 23 01:00:00 2026 GMT']) {
      assert.ok(text.includes(part), `${part} in ${text}`);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('a list that says something else is refused', async () => {
  const list = (extensions: readonly Uint8Array[], entryExtensions: readonly Uint8Array[] = [], nextUpdate = [time(nowMs)]): Uint8Array => {
    const algorithm = signatureAlgorithms['ecdsa-p256'];
    const entry = sequence(integer('5'), time(nowMs), ...(entryExtensions.length === 0 ? [] : [sequence(...entryExtensions)]));
    const tail = extensions.length === 0 ? [] : [element(context(0), sequence(...extensions))];
    const tbs = sequence(integer(1), algorithm, fields.issuerName, time(nowMs), ...nextUpdate, sequence(entry), ...tail);
    return sequence(tbs, algorithm, bits(Buffer.alloc(8)));
  };
  const point = (n: number, content: Uint8Array): Uint8Array =>
    extension('2.5.29.28', sequence(element(primitiveContext(n), content)), true);
  const good = { plain: list([]), 'for users only': list([point(1, Buffer.of(0xff))]) };
  for (const [what, der] of Object.entries(good)) assert.ok(await readCrl(der, pause), what);
  const bad = {
    'for authorities only': list([point(2, Buffer.of(0xff))]),
    'for some reasons': list([point(3, Buffer.of(1, 0x40))]),
    'of several issuers': list([point(4, Buffer.of(0xff))]),
    'an unknown critical extension': list([extension('1.2.3.4', Buffer.of(5, 0), true)]),
    'an entry of another issuer': list([], [extension('2.5.29.29', sequence(), true)]),
    'an entry with an unknown critical extension': list([], [extension('1.2.3.4', Buffer.of(5, 0), true)]),
    'without an end': list([], [], []),
    'cut short': list([]).subarray(0, 60),
    nothing: new Uint8Array(),
  };
  for (const [what, der] of Object.entries(bad)) assert.equal(await readCrl(der, pause), undefined, what);
  assert.equal(await readCrl(await signCrl(fields, root.signer), pause, 1), undefined, 'too many entries');
  assert.equal(await readCrl(element(tags.sequence, yes), pause), undefined);
});

test('any change to a list is refused, or seen in its signature', async () => {
  const good = await signCrl(fields, root.signer);
  await fc.assert(
    fc.asyncProperty(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
      const changed = Buffer.from(good);
      changed[at] = changed[at]! ^ flip;
      const crl = await readCrl(changed, pause);
      if (crl === undefined) return;
      assert.equal(await verifySignature(crl.algorithm, root.signer.publicKey, crl.signed, crl.signature), false);
    }),
    { numRuns: 200 },
  );
});
