import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import { decode } from 'cbor2';
import { silentLog } from '../../../base/log.ts';
import { done, fault, type EnrolmentResult } from '../../../security/pki/enrolment/enrolment.ts';
import type { DeskLimits, Holder } from '../../../security/pki/enrolment/enrolment-desk.ts';
import { EstDesk } from '../../../security/pki/enrolment/est-desk.ts';
import type { EstOptions } from '../../../security/pki/enrolment/est.ts';
import { openedDesk } from '../../../security/pki/enrolment/testing/desk.ts';
import { madeRequest } from '../../../security/pki/enrolment/testing/made-request.ts';
import { must } from '../../../security/pki/testing/opened-registry.ts';
import { codeNumber, Code, noBytes, OptionNumber, optionValue, textOption, uintOption, uintValue } from '../codec/index.ts';
import type { CoapPeer, CoapRequest, CoapResponse } from '../exchange.ts';
import { EstResource } from './est-resource.ts';

const certificate = { commonName: 'pump-1', uris: ['heliograph:main/pump-1'], fingerprint: 'ab' };
const pkcs10 = 286;

type Asked = {
  readonly code?: number;
  readonly payload?: Uint8Array;
  readonly accept?: number;
  readonly format?: number;
  readonly facts?: object;
  readonly oscore?: CoapRequest['oscore'];
};

async function bench(t: TestContext, limits: Partial<DeskLimits> = {}) {
  const opened = await openedDesk(t, limits);
  must(await opened.registry.create('device', 'main', 'pump-1', {}));
  const options: { -readonly [K in keyof EstOptions]: EstOptions[K] } = { serverKeyGeneration: true, keyAlgorithm: 'ecdsa-p256' };
  const owner = { kind: 'device', id: 'pump-1' } as const;
  let holder: EnrolmentResult<Holder> = done({ tenant: 'main', owner, method: 'certificate', renews: certificate });
  const door = new EstDesk({ desk: opened.desk, pki: opened.pki, holderOf: () => Promise.resolve(holder) }, options);
  const resource = new EstResource(door, silentLog);
  const ask = async (path: string, given: Asked = {}): Promise<CoapResponse> => {
    const { accept, oscore, facts } = given;
    const isPost = !/crts|att/.test(path);
    const format = given.format ?? (isPost ? pkcs10 : -1);
    const message = {
      code: given.code ?? (isPost ? Code.post : Code.get),
      token: noBytes,
      options: [
        ...['.well-known', 'est', ...path.split('/')].map((each) => textOption(OptionNumber.uriPath, each)),
        ...(format < 0 ? [] : [uintOption(OptionNumber.contentFormat, format)]),
        ...(accept === undefined ? [] : [uintOption(OptionNumber.accept, accept)]),
      ],
      payload: given.payload ?? (isPost ? madeRequest('pump-1') : noBytes),
    };
    const wire = { listener: 'coaps', remoteAddress: '192.0.2.7', remotePort: 1, secure: true, peerCertificate: certificate, ...facts };
    const peer = { facts: wire } as unknown as CoapPeer;
    const { promise, resolve } = Promise.withResolvers<CoapResponse>();
    const reply = { send: resolve, sendConfirmed() {}, notify() {}, onGone: undefined };
    resource.handle({ message, peer, confirmable: true, isMulticast: false, ...(oscore && { oscore }) }, reply);
    return promise;
  };
  return { ...opened, options, ask, setHolder: (next: typeof holder) => (holder = next) };
}

function shown({ code, options }: CoapResponse): string {
  const format = optionValue(options, OptionNumber.contentFormat);
  const maxAge = optionValue(options, OptionNumber.maxAge);
  const facts = [format && `as ${uintValue(format)}`, maxAge && `for ${uintValue(maxAge)}`].filter(Boolean);
  return [codeNumber(code), ...facts].join(' ');
}

test('crts gives the authorities, att what is asked of requests', async (t) => {
  const { ask, pki } = await bench(t);
  const crts = await ask('crts');
  assert.equal(shown(crts), '2.05 as 281');
  assert.equal(crts.payload[0], 0x30, 'DER');
  const single = await ask('crts', { accept: 287 });
  assert.equal(shown(single), '2.05 as 287');
  assert.equal(new X509Certificate(single.payload).subject, new X509Certificate(pki.authorities[0]!.certificate).subject);
  assert.equal(shown(await ask('crts', { accept: 50 })), '4.06');
  const att = await ask('att');
  assert.equal(shown(att), '2.05 as 285');
  assert.equal(att.payload[0], 0x30);
  pki.add(pki.root.issue('Issuing', { authority: true }));
  assert.equal(shown(await ask('crts', { accept: 287 })), '4.06', 'several do not go as one');
});

test('sen and sren give a certificate, as PKCS #7 or by itself', async (t) => {
  const { ask } = await bench(t);
  assert.equal(shown(await ask('sen')), '2.04 as 281');
  for (const operation of ['sen', 'sren', 'main/sen']) {
    const answer = await ask(operation, { accept: 287 });
    assert.equal(shown(answer), '2.04 as 287', operation);
    assert.match(new X509Certificate(answer.payload).subject, /CN=pump-1/);
  }
});

test('skg and skc bring a key that is made here, where that is switched on', async (t) => {
  const { ask, options } = await bench(t);
  for (const [operation, format] of [
    ['skg', 281],
    ['skc', 287],
  ] as const) {
    const answer = await ask(operation);
    assert.equal(shown(answer), '2.04 as 62');
    const [keyFormat, key, certificateFormat, bytes] = decode(answer.payload) as [number, Uint8Array, number, Uint8Array];
    assert.deepEqual([keyFormat, certificateFormat], [284, format]);
    const made = createPrivateKey({ key: Buffer.from(key), format: 'der', type: 'pkcs8' });
    if (format === 287) assert.ok(new X509Certificate(bytes).checkPrivateKey(made));
  }
  options.serverKeyGeneration = false;
  assert.equal(shown(await ask('skg')), '5.01');
});

test('what is asked in another way is refused by its code, and nothing is spent', async (t) => {
  const { ask } = await bench(t);
  assert.equal(shown(await ask('simpleenroll')), '4.04');
  assert.equal(shown(await ask('a/b/sen')), '4.04');
  assert.equal(shown(await ask('sen/sen')), '4.04');
  assert.equal(shown(await ask('sen', { code: Code.get })), '4.05');
  assert.equal(shown(await ask('crts', { code: Code.post })), '4.05');
  assert.equal(shown(await ask('sen', { format: 50 })), '4.15');
  assert.equal(shown(await ask('sen', { format: -1 })), '4.15');
  assert.equal(shown(await ask('sen', { accept: 62 })), '4.06');
  assert.equal(shown(await ask('skg', { accept: 281 })), '4.06');
  assert.equal(shown(await ask('sen', { payload: Buffer.from('no request') })), '4.00');
  assert.equal(shown(await ask('other/sen')), '4.03');
});

test('only who shows a certificate on coaps is given one', async (t) => {
  const { ask, setHolder } = await bench(t);
  assert.equal(shown(await ask('sen', { facts: { secure: false } })), '4.03');
  assert.equal(shown(await ask('crts', { facts: { secure: false } })), '4.03');
  assert.equal(shown(await ask('sen', { oscore: { tenant: 'main', principal: 'pump-1', contextId: 'c' } })), '4.03');
  assert.equal(shown(await ask('sen', { facts: { peerCertificate: undefined, pskIdentity: 'pump-1' } })), '4.03');
  assert.equal(shown(await ask('sen', { payload: madeRequest('somebody-else') })), '4.00');
  setHolder(fault('wrong-certificate', 'revoked'));
  assert.equal(shown(await ask('sen')), '4.03');
  setHolder(fault('unavailable', 'later', { retryAfterMs: 4200 }));
  assert.equal(shown(await ask('sen')), '5.03 for 5');
});

test('who is given too many is told when to come again, and mistakes are counted as over HTTPS', async (t) => {
  const { ask } = await bench(t, { certificatesPerHour: 1 });
  assert.equal(shown(await ask('sen')), '2.04 as 281');
  assert.match(shown(await ask('sen')), /^4\.29 for \d+$/);
  for (let i = 0; i < 200; i++) await ask('sen', { payload: Buffer.from('x') });
  assert.match(shown(await ask('sen')), /^4\.29 for 30$/);
});
