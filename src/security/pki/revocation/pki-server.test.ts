import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { connect } from 'node:net';
import { until } from '../../../../test/harness/net/stand.ts';
import { silentLog } from '../../../base/log.ts';
import { noAudit } from '../../audit/audit.ts';
import { madeRoot } from '../testing/made-certificates.ts';
import { fieldsOf, must, openedRegistry } from '../testing/opened-registry.ts';
import { TestPki } from '../testing/test-pki.ts';
import { readCrl } from './crl-format.ts';
import { CrlPublisher } from './crl-publisher.ts';
import { ocspRequest, readOcspAnswer } from './ocsp-format.ts';
import { OcspResponder } from './ocsp-responder.ts';
import { OwnAuthorities } from './own-authorities.ts';
import { PkiServer } from './pki-server.ts';

const root = madeRoot('Root');
const issuing = root.issue('Issuing', { authority: 0 });
const id = issuing.facts.keyId;

async function stand(t: TestContext, requestsPerSecond = 1000, idleMs?: number) {
  const { registry, clock } = await openedRegistry(t);
  const authorities = new OwnAuthorities(new TestPki().add(issuing).add(root, { role: 'root', hasKey: false }));
  const common = { authorities, registry, clock, log: silentLog };
  const numbers = { get: () => undefined, set: () => Promise.resolve() };
  const crlSettings = { intervalMs: 1e6, validityMs: 2e6, maxEntries: 100, publicUrl: undefined };
  const crls = new CrlPublisher({ ...common, numbers, audit: noAudit, settings: crlSettings });
  const ocsp = new OcspResponder({ ...common, settings: { validityMs: 60_000, cacheEntries: 10, signing: 4 } });
  const rates = { requestsPerSecond, requestsPerSecondPerAddress: requestsPerSecond };
  const settings = { connections: 10, ...rates, ocspRequestBytes: 512, ...(idleMs !== undefined && { idleMs }) };
  const server = new PkiServer({ authorities, crls, ocsp, clock, log: silentLog, settings });
  const port = await server.listen({ name: 'pki', host: '127.0.0.1', port: 0 });
  t.after(async () => {
    await server.close();
    await crls.close();
    ocsp.close();
  });
  await crls.tick();
  const device = issuing.issue('device');
  must(await registry.create('certificate', 'main', device.fingerprint, fieldsOf(device)));
  const ask = (path: string, init: RequestInit = {}) => fetch(`http://127.0.0.1:${port}${path}`, init);
  return { registry, crls, ask, device, server, port };
}

const bytes = async (response: Response): Promise<Buffer> => Buffer.from(await response.arrayBuffer());

test('lists and certificates, with what lets others keep them', async (t) => {
  const { ask } = await stand(t);
  const list = await ask(`/crl/${id}.crl`);
  assert.deepEqual([list.status, list.headers.get('content-type')], [200, 'application/pkix-crl']);
  assert.match(list.headers.get('cache-control')!, /^max-age=60, public/);
  assert.ok(await readCrl(await bytes(list), async () => {}));
  const again = await ask(`/crl/${id}.crl`, { headers: { 'If-None-Match': list.headers.get('etag')! } });
  assert.equal(again.status, 304);
  assert.ok(await readCrl(await bytes(await ask(`/crl/${id}-delta.crl`)), async () => {}));
  assert.deepEqual(await bytes(await ask(`/ca/${id}.crt`)), issuing.der);
  assert.equal(await (await ask('/ca.pem')).text(), root.pem + issuing.pem);
  const head = await ask('/ca.pem', { method: 'HEAD' });
  assert.equal(Number(head.headers.get('content-length')), root.pem.length + issuing.pem.length);
  // The root's key is elsewhere, and so are its lists.
  for (const path of [`/crl/${root.facts.keyId}.crl`, '/crl/x.crl', '/', '/ca', '/crl/../ca.pem/x', '/%']) {
    assert.equal((await ask(path)).status, 404, path);
  }
  assert.equal((await ask('/ca.pem', { method: 'DELETE' })).status, 405);
});

test('OCSP by POST and by GET', async (t) => {
  const { ask, device, registry } = await stand(t);
  const post = async (body: Uint8Array, type = 'application/ocsp-request') =>
    ask('/ocsp', { method: 'POST', body: Buffer.from(body), headers: { 'Content-Type': type } });
  const question = ocspRequest(issuing.facts, device.facts.serial, Buffer.alloc(32, 1));
  const posted = await post(question);
  assert.deepEqual([posted.status, posted.headers.get('cache-control')], [200, 'no-store']);
  assert.equal(readOcspAnswer(await bytes(posted))!.answers[0]!.status.kind, 'good');
  const plain = ocspRequest(issuing.facts, device.facts.serial, undefined).toString('base64');
  const got = await ask(`/ocsp/${encodeURIComponent(plain)}`);
  assert.match(got.headers.get('cache-control')!, /max-age=\d+, public/);
  assert.ok(got.headers.get('etag') !== null && got.headers.get('expires') !== null);
  assert.equal(readOcspAnswer(await bytes(got))!.answers[0]!.status.kind, 'good');
  must(await registry.update('certificate', 'main', device.fingerprint, { status: 'revoked' }));
  assert.equal(readOcspAnswer(await bytes(await ask(`/ocsp/${plain}`)))!.answers[0]!.status.kind, 'revoked');
  for (const wrong of ['/ocsp/', '/ocsp/%', '/ocsp/AAAA', `/ocsp/${'A'.repeat(1000)}`]) {
    assert.equal((await bytes(await ask(wrong))).at(-1), 1, wrong);
  }
  assert.equal((await bytes(await post(Buffer.from('nonsense')))).at(-1), 1);
  assert.equal((await post(question, 'text/plain')).status, 415);
  assert.equal((await post(Buffer.alloc(513))).status, 413);
});

test('one address does not hold all connections, and none for ever', async (t) => {
  const opened = (port: number, many: number) => {
    const counts = { closed: 0 };
    const sockets = Array.from({ length: many }, () => connect(port, '127.0.0.1'));
    for (const each of sockets) {
      each
        .on('error', () => {})
        .once('close', () => counts.closed++)
        .resume();
    }
    t.after(() => sockets.forEach((each) => each.destroy()));
    return counts;
  };
  const many = opened((await stand(t)).port, 10);
  await until(() => many.closed === 5);
  const { port, ask } = await stand(t, 1000, 50);
  const idle = opened(port, 3);
  await until(() => idle.closed === 3);
  assert.equal((await ask('/ca.pem')).status, 200);
});

test('whoever asks too often is told so', async (t) => {
  const { ask, server } = await stand(t, 2);
  const statuses: number[] = [];
  for (let n = 0; n < 6; n++) statuses.push((await ask('/ca.pem')).status);
  assert.deepEqual(statuses, [200, 200, 200, 200, 429, 429]);
  const counts = [...server.metrics()].filter(({ name }) => name === 'heliograph_pki_public_requests_total');
  assert.deepEqual(
    counts.map(({ labels, value }) => [labels!['status'], value]),
    [
      ['200', 4],
      ['429', 2],
    ],
  );
});
