import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import fc from 'fast-check';
import { silentLog } from '../../../base/log.ts';
import { keyAlgorithms } from '../pki.ts';
import { madeRoot, TestSigner, type Made } from '../testing/made-certificates.ts';
import { fieldsOf, must, openedRegistry } from '../testing/opened-registry.ts';
import { TestPki } from '../testing/test-pki.ts';
import { ocspRequest, readOcspAnswer, readOcspRequest, signOcspAnswer } from './ocsp-format.ts';
import { OcspResponder } from './ocsp-responder.ts';
import { OwnAuthorities } from './own-authorities.ts';
import { verifySignature } from './signatures.ts';

const root = madeRoot('Root');
const stranger = madeRoot('Stranger');

async function stand(t: TestContext, more: { readonly signing?: number; readonly cacheEntries?: number } = {}, authority = root) {
  const { registry, clock, directory } = await openedRegistry(t);
  const pki = new TestPki().add(authority);
  const settings = { validityMs: 60_000, cacheEntries: 2, signing: 8, ...more };
  const responder = new OcspResponder({ authorities: new OwnAuthorities(pki), registry, clock, log: silentLog, settings });
  t.after(() => responder.close());
  const add = async (name: string): Promise<Made> => {
    const made = authority.issue(name);
    must(await registry.create('certificate', 'main', made.fingerprint, fieldsOf(made)));
    return made;
  };
  const revoke = async (made: Made) =>
    must(await registry.update('certificate', 'main', made.fingerprint, { status: 'revoked', reason: 'superseded' }));
  const ask = async (serial: string, nonce?: Uint8Array, issuer = authority) => {
    const { der } = await responder.answer(ocspRequest(issuer.facts, serial, nonce));
    const answer = readOcspAnswer(der);
    if (answer === undefined) return der.at(-1);
    assert.equal(await verifySignature(answer.algorithm, authority.signer.publicKey, answer.signed, answer.signature), true);
    assert.deepEqual([answer.nonce && Buffer.from(answer.nonce)], [nonce && Buffer.from(nonce)]);
    const { status } = answer.answers[0]!;
    return status.kind === 'revoked' ? `revoked ${status.reason}` : status.kind;
  };
  return { registry, clock, directory, pki, responder, add, revoke, ask };
}

test('good, revoked at once, unknown; with and without a nonce', async (t) => {
  for (const algorithm of keyAlgorithms) {
    const authority = madeRoot('Root', {}, new TestSigner(algorithm));
    const { add, revoke, ask } = await stand(t, {}, authority);
    const device = await add('device');
    const { serial } = device.facts;
    assert.deepEqual([await ask(serial), await ask(serial, Buffer.alloc(32, 1)), await ask('1')], ['good', 'good', 'unknown']);
    await revoke(device);
    assert.deepEqual([await ask(serial), await ask(serial, Buffer.alloc(16, 1))], ['revoked 4', 'revoked 4']);
  }
});

test('what cannot be answered is told by its status', async (t) => {
  const { ask, pki, responder } = await stand(t);
  assert.equal(await ask('1', undefined, stranger), 6);
  pki.change(root, { hasKey: false });
  assert.equal(await ask('1'), 6);
  pki.change(root, { hasKey: true });
  t.after(() => {
    root.signer.fault = undefined;
  });
  root.signer.fault = new Error('locked');
  assert.equal(await ask('1'), 2);
  root.signer.fault = undefined;
  assert.equal(await ask('1'), 'unknown');
  assert.equal((await responder.answer(Buffer.from('3003020105', 'hex'))).der.at(-1), 1);
  assert.equal((await responder.answer(ocspRequest(root.facts, '1', Buffer.alloc(129)))).der.at(-1), 1);
  assert.equal((await responder.answer(ocspRequest(root.facts, '1', Buffer.alloc(0)))).der.at(-1), 1);
  const busy = await stand(t, { signing: 1 });
  assert.deepEqual(await Promise.all([busy.ask('1'), busy.ask('2')]), ['unknown', 3]);
});

test('answers are kept while they are fresh, bounded, and dropped with a change', async (t) => {
  const { clock, add, revoke, ask, responder } = await stand(t);
  const devices = [await add('a'), await add('b'), await add('c')];
  const [a, b, c] = devices.map(({ facts }) => facts.serial) as [string, string, string];
  const signed = async (serial: string): Promise<boolean> => {
    const before = root.signer.signatures;
    await ask(serial);
    return root.signer.signatures > before;
  };
  assert.deepEqual([await signed(a), await signed(a), await signed(b), await signed(a)], [true, false, true, false]);
  // Room for two: b was asked for longest ago.
  assert.deepEqual([await signed(c), await signed(a), await signed(b)], [true, false, true]);
  clock.advance(31_000);
  assert.deepEqual([await signed(b), await signed(b)], [true, false]);
  await revoke(devices[1]!);
  assert.equal(await ask(b), 'revoked 4');
  await ask('99');
  const size = [...responder.metrics()].find(({ name }) => name === 'heliograph_pki_ocsp_cache_entries');
  assert.equal(size?.value, 2, 'the unknown is not kept');
});

test('openssl asks and believes the answer, with SHA-1 and with SHA-256', async (t) => {
  const { add, revoke, responder, directory } = await stand(t);
  const [good, bad] = [await add('good'), await add('bad')];
  await revoke(bad);
  const openssl = (...args: string[]): string =>
    execFileSync('openssl', ['ocsp', ...args], { cwd: directory, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  writeFileSync(join(directory, 'root.pem'), root.pem);
  for (const [made, said] of [
    [good, 'good'],
    [bad, 'revoked'],
  ] as const) {
    writeFileSync(join(directory, 'device.pem'), made.pem);
    for (const digest of ['-sha1', '-sha256']) {
      const about = [digest, '-issuer', 'root.pem', '-cert', 'device.pem'];
      openssl(...about, '-no_nonce', '-reqout', 'request');
      const { der } = await responder.answer(readFileSync(join(directory, 'request')));
      writeFileSync(join(directory, 'answer'), der);
      const out = openssl(...about, '-no_nonce', '-respin', 'answer', '-CAfile', 'root.pem');
      assert.ok(out.includes(`device.pem: ${said}`), out);
      if (said === 'revoked') assert.ok(out.includes('superseded'), out);
    }
  }
});

test('any bytes are a question or malformed, and any answer is read or refused', async () => {
  const request = ocspRequest(root.facts, '1234', Buffer.alloc(32, 7));
  const answers = [
    { id: Buffer.from(readOcspRequest(request)!.asked[0]!.der), status: { kind: 'revoked', atMs: 1e12, reason: 1 } as const },
  ];
  const answer = await signOcspAnswer({ answers, producedMs: 1e12, nextUpdateMs: 2e12, nonce: undefined, issuer: root.facts }, root.signer);
  fc.assert(
    fc.property(fc.boolean(), fc.nat(), fc.nat(255), (first, at, value) => {
      const changed = Buffer.from(first ? request : answer);
      changed[at % changed.length] = value;
      const read = first ? readOcspRequest(changed) : readOcspAnswer(changed);
      if (first && read !== undefined) assert.ok(readOcspRequest(changed)!.asked.length > 0);
    }),
  );
});
