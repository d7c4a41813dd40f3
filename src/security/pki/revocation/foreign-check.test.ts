import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { ManualClock } from '../../../base/clock.ts';
import { silentLog } from '../../../base/log.ts';
import { SeededRandom } from '../../../base/random.ts';
import type { AuditEvent } from '../../audit/audit.ts';
import { extendedUsage } from '../certificate-facts.ts';
import { context, primitiveContext } from '../der/der-reader.ts';
import { bits, element, extension, integer, sequence, time } from '../der/der-writer.ts';
import { madeRoot, type Made } from '../testing/made-certificates.ts';
import { crlEntry, signCrl } from './crl-format.ts';
import { ForeignCheck } from './foreign-check.ts';
import type { RevocationTerms } from './handshake-admission.ts';
import { readOcspRequest, signOcspAnswer, type CertificateStatus } from './ocsp-format.ts';
import { signatureAlgorithms } from './signatures.ts';
import { fetchPublic, isPrivateAddress, type Fetch } from './public-fetch.ts';

const hourMs = 3_600_000;
const url = 'http://ca.example/list.crl';
const ocspUrl = 'http://ca.example/ocsp';
const root = madeRoot('Foreign root');
const other = madeRoot('Other root');
const device = root.issue('device', { crlUrl: url, ocspUrl });

function stand() {
  const clock = new ManualClock(Date.now());
  const events: AuditEvent[] = [];
  const asked: string[] = [];
  const pages = new Map<string, Buffer | Error | ((body: Uint8Array) => Promise<Buffer>)>();
  const fetch: Fetch = async ({ url: from, post }) => {
    asked.push(from);
    const page = pages.get(from) ?? new Error('status-404');
    if (page instanceof Error) throw page;
    return typeof page === 'function' ? page(post!.body) : page;
  };
  const settings = {
    timeoutMs: 100,
    maxBytes: 1e6,
    privateAddresses: false,
    certificateUrls: true,
    maxEntries: 1000,
    maxLists: 2,
    maxAnswers: 2,
    maxRequests: 4,
    maxAgeMs: 24 * hourMs,
    retryMs: 30_000,
  };
  const audit = { record: (event: AuditEvent) => events.push(event) };
  const check = new ForeignCheck({ fetch, clock, random: new SeededRandom(1), log: silentLog, audit, settings });
  const list = (revoked: readonly Made[], more: { readonly number?: number; readonly by?: Made; readonly ageMs?: number } = {}) => {
    const { number = 1, by = root, ageMs = 0 } = more;
    const thisUpdateMs = clock.wallMs() - ageMs;
    const { subjectName: issuerName, subjectKeyId } = root.facts;
    const entries = revoked.map(({ facts }) => crlEntry(facts.serial, thisUpdateMs, 1));
    const times = { thisUpdateMs, nextUpdateMs: thisUpdateMs + hourMs };
    const fields = { issuerName, authorityKeyId: subjectKeyId!, ...times, number, baseNumber: undefined, freshestUrl: undefined, entries };
    return signCrl(fields, by.signer);
  };
  const ask = (terms: Partial<RevocationTerms> = {}, made = device) =>
    Promise.resolve(check.check(made.facts, root.facts, { revocationCheck: 'hard', crlUrls: [], ocspUrls: [], ...terms }));
  return { clock, events, asked, pages, check, list, ask };
}

test('a list is fetched once, kept, and fetched again before it ends', async () => {
  const { clock, asked, pages, check, list, ask } = stand();
  pages.set(url, await list([]));
  assert.equal(await ask(), 'good');
  assert.equal(check.check(device.facts, root.facts, { revocationCheck: 'hard', crlUrls: [], ocspUrls: [] }), 'good', 'at once now');
  assert.deepEqual(asked, [url]);
  clock.advance(0.85 * hourMs);
  pages.set(url, await list([device], { number: 2 }));
  check.tick();
  await check.idle();
  assert.equal(await ask(), 'revoked');
  assert.deepEqual(asked, [url, url]);
});

test('a list that is not right is not used', async () => {
  const wrong = {
    'of another authority': (s: ReturnType<typeof stand>) => s.list([], { by: other }),
    'out of time': (s: ReturnType<typeof stand>) => s.list([], { ageMs: 2 * hourMs }),
    'of tomorrow': (s: ReturnType<typeof stand>) => s.list([], { ageMs: -24 * hourMs }),
    'no list': () => Promise.resolve(Buffer.from('<html>')),
  };
  for (const [what, make] of Object.entries(wrong)) {
    const s = stand();
    s.pages.set(url, await make(s));
    assert.equal(await s.ask({ ocspUrls: [] }), 'undetermined', what);
    assert.equal(await s.ask({ revocationCheck: 'soft' }), 'good', what);
  }
  const s = stand();
  s.pages.set(url, await s.list([device], { number: 7 }));
  assert.equal(await s.ask(), 'revoked');
  s.clock.advance(0.85 * hourMs);
  s.pages.set(url, await s.list([], { number: 6 }));
  s.check.tick();
  await s.check.idle();
  assert.equal(await s.ask(), 'revoked', 'an older list does not bring it back');
});

test('who cannot be asked: the policy decides, it is told once, and asked again later', async () => {
  const { clock, events, asked, pages, list, ask } = stand();
  assert.equal(await ask({ revocationCheck: 'none' }), 'good');
  assert.deepEqual(asked, []);
  assert.equal(await ask(), 'undetermined');
  assert.equal(await ask({ revocationCheck: 'soft' }), 'good');
  assert.deepEqual(asked, [url, ocspUrl], 'left alone for a while');
  assert.deepEqual(
    events.map(({ action, details }) => [action, details!['reason']]),
    [['revocation.check', 'unreachable']],
  );
  clock.advance(31_000);
  pages.set(url, await list([]));
  assert.equal(await ask(), 'good');
  const without = root.issue('without addresses');
  assert.equal(await ask({}, without), 'undetermined');
  assert.equal(await ask({ crlUrls: [url] }, without), 'good');
});

test('a responder is asked when there is no list: the issuer’s own, or one it has certified', async () => {
  const answering = (by: Made, status: CertificateStatus, clock: ManualClock, more: { nonce?: Uint8Array; certificate?: Made } = {}) => {
    return async (body: Uint8Array): Promise<Buffer> => {
      const { asked, nonce } = readOcspRequest(body)!;
      const producedMs = Math.floor(clock.wallMs() / 1000) * 1000;
      const answers = [{ id: asked[0]!.der, status }];
      return signOcspAnswer(
        { answers, producedMs, nextUpdateMs: producedMs + 60_000, nonce: more.nonce ?? nonce, issuer: by.facts },
        by.signer,
      );
    };
  };
  for (const [said, expected] of [
    [{ kind: 'good' }, 'good'],
    [{ kind: 'revoked', atMs: 1e12, reason: 1 }, 'revoked'],
    [{ kind: 'unknown' }, 'undetermined'],
  ] as const) {
    const { pages, asked, ask, clock } = stand();
    pages.set(ocspUrl, answering(root, said, clock));
    assert.equal(await ask(), expected);
    if (expected === 'undetermined') continue;
    clock.advance(31_000);
    assert.equal(await ask(), expected);
    assert.equal(asked.filter((each) => each === ocspUrl).length, 1, 'kept');
    clock.advance(31_000);
    assert.equal(await ask(), expected);
    assert.equal(asked.filter((each) => each === ocspUrl).length, 2, 'not for ever');
  }
  const bad = {
    'a stranger': answering(other, { kind: 'good' }, new ManualClock(Date.now())),
    'another nonce': answering(root, { kind: 'good' }, new ManualClock(Date.now()), { nonce: Buffer.alloc(32) }),
    'an old answer': answering(root, { kind: 'good' }, new ManualClock(Date.now() - hourMs)),
    // Certified for it, but the answer does not show that.
    'a responder without its certificate': answering(
      root.issue('responder', { usages: [extendedUsage.ocspSigning] }),
      { kind: 'good' },
      new ManualClock(Date.now()),
    ),
  };
  for (const [what, page] of Object.entries(bad)) {
    const { pages, ask } = stand();
    pages.set(ocspUrl, page);
    assert.equal(await ask(), 'undetermined', what);
  }
});

test('a list of other certificates of the same authority says nothing', async () => {
  const listOf = (part: readonly Uint8Array[]): Buffer => {
    const now = Date.now();
    const algorithm = signatureAlgorithms['ecdsa-p256'];
    const times = [time(now), time(now + hourMs)];
    const extensions = element(context(0), sequence(extension('2.5.29.28', sequence(...part), true)));
    const tbs = sequence(integer(1), algorithm, root.facts.subjectName, ...times, extensions);
    return sequence(tbs, algorithm, bits(root.signer.signNow(tbs)));
  };
  const at = (place: string) => element(context(0), element(context(0), element(primitiveContext(6), Buffer.from(place))));
  const onlyPeers = element(primitiveContext(1), Buffer.of(0xff));
  const said = async (list: Buffer, made = device, from = url) => {
    const { pages, ask } = stand();
    pages.set(from, list);
    return ask({ crlUrls: [from] }, made);
  };
  assert.equal(await said(listOf([at(url), onlyPeers])), 'good');
  assert.equal(await said(listOf([at(url)]), device, 'http://mirror.example/list.crl'), 'good', 'a copy that the operator has named');
  assert.equal(await said(listOf([at('http://ca.example/2.crl')])), 'undetermined', 'of another part');
  assert.equal(await said(listOf([onlyPeers]), root.issue('below', { authority: 0, crlUrl: url })), 'undetermined', 'of peers');
});

test('nobody can have a responder left alone that others need', async () => {
  const { pages, clock, ask, check } = stand();
  const terms = { revocationCheck: 'soft', crlUrls: [], ocspUrls: [ocspUrl] } as const;
  const unknown = root.issue('unknown', { ocspUrl });
  pages.set(ocspUrl, async (body) => {
    const { asked, nonce } = readOcspRequest(body)!;
    const isKnown = asked[0]!.serial === device.facts.serial;
    const status: CertificateStatus = isKnown ? { kind: 'revoked', atMs: 1e12, reason: 1 } : { kind: 'unknown' };
    const producedMs = Math.floor(clock.wallMs() / 1000) * 1000;
    const answers = [{ id: asked[0]!.der, status }];
    return signOcspAnswer({ answers, producedMs, nextUpdateMs: producedMs + 60_000, nonce, issuer: root.facts }, root.signer);
  });
  assert.equal(await ask(terms, unknown), 'good', 'soft');
  // Another authority names the responder of this one in its own certificates.
  const foreign = other.issue('foreign', { ocspUrl });
  assert.equal(await check.check(foreign.facts, other.facts, terms), 'good', 'soft');
  assert.equal(await ask(terms), 'revoked');
});

test('fetching is bounded in size and time, follows nothing, and stays out of private networks', async (t: TestContext) => {
  const server = createServer((request, response) => {
    if (request.url === '/moved') return void response.writeHead(302, { Location: '/fine' }).end();
    if (request.url === '/endless') return void response.write('x');
    if (request.url === '/large') return void response.end(Buffer.alloc(2000));
    response.end('fine');
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const get = (path: string, more: object = {}) =>
    fetchPublic({ url: `http://127.0.0.1:${port}${path}`, timeoutMs: 5000, maxBytes: 1000, privateAddresses: true, ...more });
  assert.equal((await get('/fine')).toString(), 'fine');
  await assert.rejects(get('/moved'), /status-302/);
  await assert.rejects(get('/large'), /too-large/);
  await assert.rejects(get('/endless', { timeoutMs: 50 }), /timeout/);
  await assert.rejects(get('/fine', { privateAddresses: false }), /private-address/);
  await assert.rejects(get('/fine', { url: `http://localhost:${port}/`, privateAddresses: false }), /private-address/);
  for (const wrong of ['file:///etc/passwd', 'ftp://ca.example/x', 'http://user:password@ca.example/', 'nonsense']) {
    await assert.rejects(get('/', { url: wrong }), /address/, wrong);
  }
  for (const address of [
    '10.1.2.3',
    '169.254.169.254',
    '::1',
    'fe80::1',
    'fd00::1',
    '::ffff:192.168.0.1',
    '::ffff:7f00:1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '0.0.0.0',
  ]) {
    assert.equal(isPrivateAddress(address), true, address);
  }
  for (const address of ['8.8.8.8', '2606:4700::1111', '172.32.0.1']) assert.equal(isPrivateAddress(address), false, address);
});
