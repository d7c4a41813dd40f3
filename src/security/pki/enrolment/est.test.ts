import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import fc from 'fast-check';
import { SeededRandom } from '../../../base/random.ts';
import { contentOf, inside, oidOf, readDer, tags, wholeOf } from '../der/der-reader.ts';
import { must } from '../testing/opened-registry.ts';
import { madeRoot, TestSigner } from '../testing/made-certificates.ts';
import type { Shown } from './certificate-holder.ts';
import { done, fault } from './enrolment.ts';
import type { EnrolmentResult } from './enrolment.ts';
import type { Holder } from './enrolment-desk.ts';
import { encodeBody } from './est-body.ts';
import { Est } from './est.ts';
import type { EstAnswer, EstOptions, EstRequest } from './est.ts';
import { openedDesk, value } from './testing/desk.ts';
import type { DeskLimits } from './enrolment-desk.ts';
import { madeRequest, requestPem } from './testing/made-request.ts';

const certificate = { commonName: 'pump-1', uris: ['heliograph:main/pump-1'], fingerprint: 'ab' };

async function bench(t: TestContext, limits: Partial<DeskLimits> = {}) {
  const opened = await openedDesk(t, limits);
  const options: { -readonly [K in keyof EstOptions]: EstOptions[K] } = { serverKeyGeneration: true, keyAlgorithm: 'ecdsa-p256' };
  let holder: EnrolmentResult<Holder> = done({
    tenant: 'main',
    owner: { kind: 'device', id: 'pump-1' },
    method: 'certificate',
    renews: certificate,
  });
  const shown: Shown[] = [];
  const holderOf = (each: Shown): Promise<EnrolmentResult<Holder>> => {
    shown.push(each);
    return Promise.resolve(holder);
  };
  const est = new Est({ desk: opened.desk, pki: opened.pki, holderOf, random: new SeededRandom(1) }, options);
  const ask = (operation: string, changes: Partial<EstRequest> = {}): Promise<EstAnswer> => {
    const isPost = !['cacerts', 'csrattrs'].includes(operation);
    return est.answer({
      method: isPost ? 'POST' : 'GET',
      url: `/.well-known/est/${operation}`,
      contentType: isPost ? 'application/pkcs10' : undefined,
      authorization: undefined,
      body: Buffer.from(encodeBody(madeRequest('pump-1'))),
      listener: 'est',
      remoteAddress: '192.0.2.7',
      certificate: undefined,
      ...changes,
    });
  };
  return { ...opened, options, ask, shown, setHolder: (next: typeof holder) => (holder = next) };
}

const basic = (user: string, password: string): string => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

/** The certificates of a certs-only answer. */
function certificatesOf(body: string): X509Certificate[] {
  const found = readDer(Buffer.from(body, 'base64'), (reader) => {
    const info = reader.enter(tags.sequence);
    assert.equal(oidOf(info.take(tags.oid)), '1.2.840.113549.1.7.2');
    const signed = inside(info.take(0xa0)).enter(tags.sequence);
    signed.take(tags.integer);
    assert.equal(contentOf(signed.take(tags.set)).length, 0);
    signed.take(tags.sequence);
    const certificates = signed.enter(0xa0);
    const all: X509Certificate[] = [];
    while (!certificates.atEnd) all.push(new X509Certificate(wholeOf(certificates.take(tags.sequence))));
    assert.equal(contentOf(signed.take(tags.set)).length, 0);
    signed.end();
    return all;
  });
  assert.ok(found !== undefined, 'it is DER');
  return found;
}

test('cacerts shows the authorities that are trusted, roots first, to everybody', async (t) => {
  const { ask, pki } = await bench(t);
  const issuing = pki.root.issue('Issuing', { authority: true });
  pki.add(issuing);
  pki.add(madeRoot('Old'), { role: 'root', status: 'retired' });
  pki.add(madeRoot('Next'), { role: 'root', status: 'pending' });
  pki.add(madeRoot('Factory'), { role: 'foreign', tenant: 'main' });
  const answer = await ask('cacerts');
  assert.deepEqual(
    [answer.status, answer.headers],
    [200, { 'Content-Type': 'application/pkcs7-mime', 'Content-Transfer-Encoding': 'base64' }],
  );
  assert.deepEqual(
    certificatesOf(answer.body).map(({ subject }) => subject),
    ['CN=Test root', 'CN=Issuing'],
  );
  assert.equal((await ask('cacerts', { method: 'HEAD' })).status, 200);
  assert.equal((await ask('cacerts', { url: '/.well-known/est/main/cacerts?x=1' })).status, 200);
});

test('csrattrs names the kind of key that is wanted', async (t) => {
  const { ask, options } = await bench(t);
  const p256 = await ask('csrattrs');
  assert.deepEqual([p256.status, p256.headers['Content-Type']], [200, 'application/csrattrs']);
  // SEQUENCE { SEQUENCE { id-ecPublicKey, SET { prime256v1 } }, ecdsa-with-SHA256 }
  const hex = (body: string): string => Buffer.from(body, 'base64').toString('hex');
  assert.equal(hex(p256.body), '3021301506072a8648ce3d0201310a06082a8648ce3d03010706082a8648ce3d040302');
  options.keyAlgorithm = 'ecdsa-p384';
  assert.match(hex((await ask('csrattrs')).body), /2b81040022.*2a8648ce3d040303$/);
  options.keyAlgorithm = 'ed25519';
  assert.equal(hex((await ask('csrattrs')).body), '300506032b6570');
});

test('a device enrols by a token as password, or as bearer', async (t) => {
  const { ask, token, pki } = await bench(t);
  const several = await token({ maxUses: 3 });
  const signer = new TestSigner();
  const body = Buffer.from(encodeBody(madeRequest('pump-7', { signer })));
  const answer = await ask('simpleenroll', { authorization: basic('pump-7', several), body });
  assert.deepEqual([answer.status, answer.headers['Content-Type']], [200, 'application/pkcs7-mime; smime-type=certs-only'], answer.body);
  const certificates = certificatesOf(answer.body);
  assert.equal(certificates.length, 1, 'only the certificate itself');
  assert.deepEqual(certificates[0]!.publicKey.export({ type: 'spki', format: 'der' }), signer.publicKey);
  const bearer = await ask('simpleenroll', { authorization: `Bearer ${several}`, body: Buffer.from(encodeBody(madeRequest('pump-8'))) });
  assert.equal(bearer.status, 200);
  // Without a user name the request says who it is.
  const nameless = await ask('simpleenroll', { authorization: basic('', several), body: Buffer.from(encodeBody(madeRequest('pump-9'))) });
  assert.equal(nameless.status, 200);
  assert.deepEqual(
    pki.requests.map(({ owner }) => owner.id),
    ['pump-7', 'pump-8', 'pump-9'],
  );
});

test('each wrong request has its status and says why in words', async (t) => {
  const { ask, token, pki, tokens } = await bench(t, { maxRequestBytes: 2000 });
  const good = await token({ maxUses: 10 });
  const other = await token({ devicePattern: 'valve-*' });
  const authorization = basic('pump-7', good);
  const body = Buffer.from(encodeBody(madeRequest('pump-7')));
  const base64 = (bytes: Uint8Array): Uint8Array => Buffer.from(Buffer.from(bytes).toString('base64'));
  const cases: [status: number, words: RegExp, operation: string, changes: Partial<EstRequest>][] = [
    [404, /There are/, 'nothing', { authorization }],
    [404, /There are/, 'a/b/simpleenroll', { authorization }],
    [404, /There are/, 'cacerts/simpleenroll', { authorization }],
    [404, /There are/, '%/simpleenroll', { authorization }],
    [404, /There are/, '', { url: '/.well-known/estimate' }],
    [405, /by POST/, 'simpleenroll', { method: 'GET' }],
    [405, /by GET/, 'cacerts', { method: 'POST' }],
    [501, /CMC/, 'fullcmc', { authorization }],
    [401, /token or a certificate/, 'simpleenroll', { body }],
    [401, /not known/, 'simpleenroll', { body, authorization: basic('pump-7', 'wrong') }],
    [401, /not known/, 'simpleenroll', { body, authorization: 'Basic ====' }],
    [401, /not known/, 'simpleenroll', { body, authorization: `Digest ${good}` }],
    [401, /not known/, 'simpleenroll', { body, authorization: good }],
    [401, /not known/, 'simpleenroll', { body, authorization: `Bearer ${good}${'x'.repeat(5000)}` }],
    [403, /not good for a device/, 'simpleenroll', { body, authorization: basic('pump-7', other) }],
    [403, /another tenant/, 'two/simpleenroll', { body, authorization }],
    [415, /application\/pkcs10/, 'simpleenroll', { body, authorization, contentType: undefined }],
    [415, /application\/pkcs10/, 'simpleenroll', { body, authorization, contentType: 'application/pkcs7-mime' }],
    [400, /empty/, 'simpleenroll', { body: Buffer.from(' \r\n'), authorization }],
    [400, /not base64/, 'simpleenroll', { body: Buffer.from('abc'), authorization }],
    [400, /PEM/, 'simpleenroll', { body: Buffer.from(requestPem(madeRequest('pump-7'))), authorization }],
    [400, /PKCS #10/, 'simpleenroll', { body: base64(Buffer.from('nonsense')), authorization }],
    [400, /subject\.CN/, 'simpleenroll', { body: Buffer.from(encodeBody(madeRequest('pump-8'))), authorization }],
    [400, /names no device/, 'simpleenroll', { body: Buffer.from(encodeBody(madeRequest([]))), authorization: `Bearer ${good}` }],
    [413, /larger than 2000/, 'simpleenroll', { body: base64(Buffer.alloc(2001)), authorization }],
    [403, /wants the certificate/, 'simplereenroll', { body, authorization }],
  ];
  for (const [status, words, operation, changes] of cases) {
    const answer = await ask(operation, changes);
    assert.equal(answer.status, status, `${operation} ${JSON.stringify(changes).slice(0, 100)}: ${answer.body}`);
    assert.match(answer.body, words);
    assert.match(answer.headers['Content-Type']!, /^text\/plain/);
    if (status === 401) assert.match(answer.headers['WWW-Authenticate']!, /^Basic realm=/);
    // Between the cases the address is forgiven.
    if (status === 401 || status === 400)
      assert.equal(
        (await ask('simpleenroll', { body: body, authorization: basic('pump-7', await token({ devicePattern: 'pump-7' })) })).status,
        200,
      );
  }
  assert.ok(pki.requests.every(({ owner }) => owner.id === 'pump-7'));
  const { entries } = value(await tokens.list('main', {}));
  assert.ok(
    entries.filter(({ devicePattern }) => devicePattern !== 'pump-7').every(({ uses }) => uses === 0),
    'nothing was used up',
  );
});

test('faults of the authority become statuses, with a time to come back where there is one', async (t) => {
  const { ask, token, pki } = await bench(t);
  const authorization = basic('pump-1', await token());
  for (const [code, status] of [
    ['bad-signature', 400],
    ['weak-key', 400],
    ['not-allowed', 400],
    ['disabled', 403],
    ['unavailable', 503],
  ] as const) {
    pki.fault = code;
    const answer = await ask('simpleenroll', { authorization });
    assert.deepEqual([answer.status, 'Retry-After' in answer.headers], [status, status === 503], code);
  }
  assert.equal((await ask('simpleenroll', { authorization })).status, 200);
});

test('who guesses is told to come later, and even a good token waits', async (t) => {
  const { ask, token } = await bench(t);
  const authorization = basic('pump-1', await token());
  for (let i = 0; i <= 10; i++) assert.equal((await ask('simpleenroll', { authorization: basic('pump-1', `hgt_${i}`) })).status, 401);
  const answer = await ask('simpleenroll', { authorization });
  assert.deepEqual([answer.status, answer.headers['Retry-After']], [429, '30']);
  assert.equal((await ask('cacerts')).status, 200);
  assert.equal((await ask('simpleenroll', { authorization, remoteAddress: '192.0.2.8' })).status, 200);
});

test('a certificate renews itself, and nobody else', async (t) => {
  const { ask, registry, shown, setHolder, pki } = await bench(t);
  must(await registry.create('device', 'main', 'pump-1', {}));
  const renewed = await ask('simplereenroll', { certificate });
  assert.equal(renewed.status, 200, renewed.body);
  assert.equal(certificatesOf(renewed.body).length, 1);
  assert.deepEqual(shown, [{ certificate, listener: 'est', remoteAddress: '192.0.2.7' }]);
  const wrong = { body: Buffer.from(encodeBody(madeRequest('pump-1', { uris: ['heliograph:main/pump-2'] }))) };
  assert.equal((await ask('simplereenroll', { certificate, ...wrong })).status, 400);
  // By a factory's certificate, whose names are its own.
  setHolder(
    done({
      tenant: 'main',
      owner: { kind: 'device', id: 'pump-1' },
      method: 'certificate',
      renews: { ...certificate, commonName: 'SN-4711' },
    }),
  );
  assert.equal((await ask('simpleenroll', { certificate })).status, 200);
  assert.equal((await ask('simplereenroll', { certificate })).status, 400);
  assert.equal((await ask('two/simpleenroll', { certificate })).status, 403);
  for (const [code, status] of [
    ['wrong-certificate', 403],
    ['rate-limited', 429],
    ['busy', 503],
    ['unavailable', 503],
  ] as const) {
    setHolder(fault(code, 'the test wants it', { retryAfterMs: 1 }));
    assert.equal((await ask('simplereenroll', { certificate })).status, status);
  }
  assert.equal(pki.requests.length, 2);
});

test('serverkeygen sends a key with its certificate, if that is switched on', async (t) => {
  const { ask, token, registry, options } = await bench(t);
  const authorization = basic('pump-1', await token());
  options.serverKeyGeneration = false;
  assert.equal((await ask('serverkeygen', { authorization })).status, 501);
  options.serverKeyGeneration = true;
  for (const attribute of ['1.2.840.113549.1.9.16.2.37', '1.2.840.113549.1.9.16.2.54']) {
    const body = Buffer.from(encodeBody(madeRequest('pump-1', { attributes: [attribute] })));
    assert.match((await ask('serverkeygen', { authorization, body })).body, /DecryptKeyIdentifier/);
  }
  const parts = ({ headers, body }: EstAnswer): string[][] => {
    const boundary = /^multipart\/mixed; boundary=([0-9a-f]{36})$/.exec(headers['Content-Type']!)![1]!;
    assert.ok(body.endsWith(`\r\n--${boundary}--\r\n`));
    assert.equal(body.split(`\r\n--${boundary}`).length, 3);
    return body
      .split(`--${boundary}`)
      .slice(1, -1)
      .map((each) => each.trim().split('\r\n\r\n'));
  };
  const check = (answer: EstAnswer): void => {
    assert.equal(answer.status, 200, answer.body);
    const [[keyHead, key], [certificateHead, certificates]] = parts(answer) as [[string, string], [string, string]];
    assert.match(keyHead, /Content-Type: application\/pkcs8\r\n/);
    assert.match(certificateHead, /Content-Type: application\/pkcs7-mime; smime-type=certs-only\r\n/);
    const made = createPrivateKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'pkcs8' });
    assert.ok(certificatesOf(certificates)[0]!.checkPrivateKey(made));
  };
  check(await ask('serverkeygen', { authorization }));
  assert.ok(must(await registry.get('device', 'main', 'pump-1')) !== undefined);
  check(await ask('serverkeygen', { certificate }));
  assert.equal((await ask('serverkeygen', { authorization })).status, 403, 'the token is used up');
});

test('whatever is asked, there is an answer that HTTP can carry, and no certificate', async (t) => {
  const { ask, pki, token } = await bench(t, { lockout: { failures: 1e9, forgiveMs: 1, banMs: 1, maxBanMs: 1, entries: 10 } });
  const good = await token();
  const text = fc.string({ unit: 'binary', maxLength: 40 });
  const operation = fc.constantFrom('cacerts', 'csrattrs', 'simpleenroll', 'simplereenroll', 'serverkeygen', 'fullcmc');
  const url = fc.oneof(
    text,
    operation.map((each) => `/.well-known/est/${each}`),
    fc.tuple(text, operation).map(([label, each]) => `/.well-known/est/${label}/${each}`),
  );
  const authorization = fc.oneof(
    fc.constant(undefined),
    text,
    text.map((each) => basic(each, good)),
    text.map((each) => `Basic ${each}`),
    fc.constant(`Bearer ${good}`),
  );
  const request = fc.record({
    method: fc.constantFrom('GET', 'POST', 'HEAD', 'PUT', ''),
    url,
    authorization,
    contentType: fc.constantFrom(undefined, 'application/pkcs10', ' APPLICATION/pkcs10 ; x=y'),
    body: fc.uint8Array({ maxLength: 100 }),
  });
  await fc.assert(
    fc.asyncProperty(request, async (changes) => {
      const { status, headers, body } = await ask('', changes);
      assert.ok(status === 200 || (status >= 400 && status <= 503), String(status));
      assert.ok(Object.entries(headers).every(([name, each]) => /^[\w-]+$/.test(name) && /^[\x20-\x7e]+$/.test(each)));
      assert.ok(body.length > 0);
    }),
    { numRuns: 500 },
  );
  assert.equal(pki.requests.length, 0);
});
