import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { must } from '../testing/opened-registry.ts';
import { TestSigner } from '../testing/made-certificates.ts';
import { secureRandom } from '../../../base/secure-random.ts';
import { EnrolmentDesk } from './enrolment-desk.ts';
import { EnrolmentTokens } from './enrolment-tokens.ts';
import { codeOf, deskLimits, openedDesk, operator, value } from './testing/desk.ts';
import { madeRequest, requestPem } from './testing/made-request.ts';

const from = '192.0.2.7';
const hourMs = 3_600_000;

test('a token is shown once, kept as a hash, and enrols a device that is added with it', async (t) => {
  const { desk, tokens, registry, events } = await openedDesk(t);
  const made = value(
    await tokens.create({ tenant: 'main', devicePattern: 'pump-*', newDevices: { groups: ['pumps'], roles: ['device'] } }, operator),
  );
  assert.match(made.token, /^hgt_[\w-]{32}$/);
  const entry = must(await registry.get('enrolment', 'main', made.enrolment.id))!;
  assert.ok(!JSON.stringify(entry).includes(made.token.slice(4)));
  assert.deepEqual([made.enrolment.maxUses, made.enrolment.uses, made.enrolment.expiresAtMs - entry.createdMs], [1, 0, 24 * hourMs]);

  const signer = new TestSigner();
  const issued = value(await desk.withToken({ token: made.token, device: 'pump-7', request: madeRequest('pump-7', { signer }), from }));
  const certificate = new X509Certificate(issued.certificate);
  assert.deepEqual(certificate.publicKey.export({ type: 'spki', format: 'der' }), signer.publicKey);
  const device = must(await registry.get('device', 'main', 'pump-7'))!;
  assert.deepEqual([device.groups, device.roles, device.status], [['pumps'], ['device'], 'active']);
  assert.equal(value(await tokens.get('main', made.enrolment.id)).uses, 1);
  assert.deepEqual(
    events.map(({ action, target, outcome, actor }) => [action, target, outcome, actor.kind]),
    [
      ['enrolment.create', `enrolment/main/${made.enrolment.id}`, 'done', 'principal'],
      ['enrolment.use', 'device/main/pump-7', 'done', 'principal'],
    ],
  );
  assert.ok(!JSON.stringify(events).includes(made.token.slice(4, 20)), 'no secret in the audit log');
});

test('each reason why a token is not good has its word, and changes nothing', async (t) => {
  const { desk, tokens, registry, pki, events, clock, token } = await openedDesk(t, { lockout: { ...lenient, failures: 1000 } });
  const use = async (with_: string, device = 'pump-1', request = madeRequest(device)): Promise<string> =>
    codeOf(await desk.withToken({ token: with_, device, request, from }));
  const good = await token({ maxUses: 2, validMs: hourMs });
  assert.equal(await use('hgt_'), 'unknown-token');
  assert.equal(await use(`hgt_${'A'.repeat(32)}`), 'unknown-token');
  assert.equal(await use(`${good}x`), 'unknown-token');
  assert.equal(await use(good.toUpperCase()), 'unknown-token');
  assert.equal(await use(good, 'valve-1'), 'wrong-device');
  assert.equal(await use(good, 'pump-#'), 'wrong-device');
  assert.equal(await use(good, 'pump-1', madeRequest('pump-2')), 'foreign-name');
  assert.equal(await use(good, 'pump-1', Buffer.from('nonsense')), 'malformed');
  assert.equal(await use(good, 'pump-1', Buffer.alloc(20_000)), 'too-large');
  const closed = await token({ newDevices: undefined });
  assert.equal(await use(closed), 'unknown-owner');
  must(await registry.create('device', 'main', 'pump-off', { status: 'disabled' }));
  assert.equal(await use(good, 'pump-off'), 'disabled');
  must(await registry.create('user', 'main', 'pump-anna', {}));
  assert.equal(await use(good, 'pump-anna'), 'wrong-device');
  assert.equal(pki.requests.length, 0);
  const refusals = events.filter(({ action }) => action === 'enrolment.refuse');
  assert.equal(refusals.length, 12);
  assert.ok(refusals.every(({ outcome }) => outcome === 'refused'));

  assert.deepEqual([await use(good), await use(good, 'pump-2'), await use(good, 'pump-3')], ['done', 'done', 'token-used-up']);
  const late = await token({ validMs: hourMs });
  clock.advance(hourMs);
  assert.equal(await use(late), 'token-expired');
  const newDevices = { groups: [], roles: [] };
  const {
    token: disabled,
    enrolment: { id },
  } = value(await tokens.create({ tenant: 'main', devicePattern: 'pump-9', newDevices }, operator));
  value(await tokens.setStatus('main', id, 'disabled', operator));
  assert.equal(await use(disabled, 'pump-9'), 'token-disabled');
  value(await tokens.setStatus('main', id, 'active', operator));
  assert.equal(await use(disabled, 'pump-9'), 'done');
  value(await tokens.remove('main', id, operator));
  assert.equal(await use(disabled, 'pump-9'), 'unknown-token');
});

const lenient = { failures: 10, forgiveMs: 30_000, banMs: 30_000, maxBanMs: 900_000, entries: 1000 };

test('of those who come at once for the last uses, as many win as there are', async (t) => {
  const { desk, registry, token } = await openedDesk(t);
  const one = await token();
  const three = await token({ maxUses: 3, devicePattern: '*' });
  const ask = (with_: string, device: string) => desk.withToken({ token: with_, device, request: madeRequest(device), from });
  const single = await Promise.all(['pump-a', 'pump-b'].map((device) => ask(one, device)));
  assert.deepEqual(single.map(codeOf).toSorted(), ['done', 'token-used-up']);
  const several = await Promise.all(Array.from({ length: 8 }, (_, i) => ask(three, `many-${i}`)));
  assert.equal(several.filter(({ ok }) => ok).length, 3);
  // Nothing was added for those who lost.
  assert.equal(must(await registry.list('device', 'main', { prefix: 'many-' })).entries.length, 3);
});

test('two nodes that use a token at the same moment count it twice', async (t) => {
  const { desk, tokens, registry, pki, clock, audit, token } = await openedDesk(t);
  // Each write of the first is preceded by one of somebody else.
  let isFirst = true;
  const contended = new Proxy(registry, {
    get(target, name) {
      const found = Reflect.get(target, name) as unknown;
      if (typeof found !== 'function') return found;
      if (name !== 'apply') return found.bind(target) as unknown;
      return async (...args: Parameters<typeof registry.apply>) => {
        if (isFirst) {
          isFirst = false;
          assert.equal(codeOf(await desk.withToken({ token: shared, device: 'pump-x', request: madeRequest('pump-x'), from })), 'done');
        }
        return registry.apply(...args);
      };
    },
  });
  const shared = await token({ maxUses: 2 });
  const other = new EnrolmentDesk(
    { tokens: new EnrolmentTokens({ registry: contended, clock, random: secureRandom, audit }), clock, audit, pki },
    deskLimits,
  );
  assert.equal(codeOf(await other.withToken({ token: shared, device: 'pump-y', request: madeRequest('pump-y'), from })), 'done');
  const { entries } = value(await tokens.list('main', {}));
  assert.equal(entries[0]!.uses, 2);
});

test('when the authority cannot issue, the use is given back and the device that was added is gone', async (t) => {
  const { desk, tokens, registry, pki, events, token } = await openedDesk(t);
  const only = await token();
  const ask = () => desk.withToken({ token: only, device: 'pump-7', request: madeRequest('pump-7'), from });
  for (const fault of ['unavailable', 'weak-key'] as const) {
    pki.fault = fault;
    assert.equal(codeOf(await ask()), fault);
    assert.equal(value(await tokens.list('main', {})).entries[0]!.uses, 0);
    assert.equal(must(await registry.get('device', 'main', 'pump-7')), undefined);
  }
  assert.deepEqual(
    events.slice(1).map(({ outcome, details }) => [outcome, details?.['reason']]),
    [
      ['failed', 'unavailable'],
      ['refused', 'weak-key'],
    ],
  );
  assert.equal(codeOf(await ask()), 'done');
  assert.equal(codeOf(await ask()), 'token-used-up');
});

test('what is issued by a broken authority is not issued again for the same use', async (t) => {
  const { desk, tokens, pki, token } = await openedDesk(t);
  const only = await token();
  pki.gate = Promise.reject(new Error('nobody knows what happened'));
  await assert.rejects(desk.withToken({ token: only, device: 'pump-7', request: madeRequest('pump-7'), from }));
  assert.equal(value(await tokens.list('main', {})).entries[0]!.uses, 1);
});

test('a token for many does not replace the certificate of one that has it, but answers the same question again', async (t) => {
  const { desk, clock, token } = await openedDesk(t);
  const many = await token({ maxUses: 10 });
  const signer = new TestSigner();
  const ask = (with_: string, request = madeRequest('pump-7')) => desk.withToken({ token: with_, device: 'pump-7', request, from });
  assert.equal(codeOf(await ask(many, madeRequest('pump-7', { signer }))), 'done');
  assert.equal(codeOf(await ask(many)), 'already-enrolled');
  // The first answer got lost on its way.
  assert.equal(codeOf(await ask(many, madeRequest('pump-7', { signer }))), 'done');
  // A token for it alone means just that.
  assert.equal(codeOf(await ask(await token({ devicePattern: 'pump-7' }))), 'done');
  const later = await token({ maxUses: 10, validMs: 10 * 24 * hourMs });
  clock.advance(2 * 24 * hourMs);
  assert.equal(codeOf(await ask(later)), 'done', 'its certificates have expired');
});

test('who knows the public key of another is given no key in its name', async (t) => {
  const { desk, token } = await openedDesk(t);
  const many = await token({ maxUses: 10 });
  const signer = new TestSigner();
  const request = madeRequest('pump-7', { signer });
  assert.equal(codeOf(await desk.withToken({ token: many, device: 'pump-7', request, from })), 'done');
  // A key is made here for whoever asks: that of the request proves nothing (RFC 7030 §4.4.1).
  assert.equal(codeOf(await desk.withTokenAndNewKey({ token: many, device: 'pump-7', request, from })), 'already-enrolled');
});

test('what was taken back from a device does not come back by a token for many', async (t) => {
  const { desk, registry, clock, token } = await openedDesk(t);
  const many = await token({ maxUses: 10, validMs: 300 * 24 * hourMs });
  const signer = new TestSigner();
  const ask = (with_: string, request = madeRequest('pump-7')) => desk.withToken({ token: with_, device: 'pump-7', request, from });
  const { fingerprint } = value(await ask(many, madeRequest('pump-7', { signer })));
  const revoked = { status: 'revoked', revokedAtMs: clock.wallMs(), reason: 'privilegeWithdrawn' } as const;
  must(await registry.update('certificate', 'main', fingerprint, revoked));
  assert.equal(codeOf(await ask(many)), 'already-enrolled');
  assert.equal(codeOf(await ask(many, madeRequest('pump-7', { signer }))), 'already-enrolled', 'nor for the key it had');
  assert.equal(codeOf(await ask(await token({ devicePattern: 'pump-7' }))), 'done', 'somebody meant it');
});

test('who guesses is not listened to for a while, wherever within its network', async (t) => {
  const { desk, clock, events, token } = await openedDesk(t);
  const good = await token();
  const ask = async (with_: string, at: string) =>
    codeOf(await desk.withToken({ token: with_, device: 'pump-1', request: madeRequest('pump-1'), from: at }));
  for (let i = 0; i <= 10; i++) assert.equal(await ask(`hgt_${String(i).padStart(32, 'g')}`, `2001:db8::${i}`), 'unknown-token');
  assert.equal(await ask(good, '2001:db8::99'), 'rate-limited');
  assert.equal(events.filter(({ action }) => action === 'enrolment.refuse').length, 11, 'a ban fills no audit log');
  assert.equal(await ask(good, '2001:db8:1::1'), 'done');
  clock.advance(30_000);
  assert.equal(await ask(good, '2001:db8::99'), 'token-used-up');
});

test('a device that asks again and again is given no more than its share', async (t) => {
  const { desk, clock, registry } = await openedDesk(t, { certificatesPerHour: 3 });
  must(await registry.create('device', 'main', 'pump-1', {}));
  must(await registry.create('device', 'main', 'pump-2', {}));
  const ask = (id: string) => desk.again({ tenant: 'main', owner: { kind: 'device', id }, method: 'certificate' }, madeRequest(id), from);
  for (let i = 0; i < 3; i++) assert.equal(codeOf(await ask('pump-1')), 'done');
  const refused = await ask('pump-1');
  assert.deepEqual(refused.ok ? undefined : [refused.error.code, refused.error.retryAfterMs], ['rate-limited', hourMs / 3]);
  assert.equal(codeOf(await ask('pump-2')), 'done');
  clock.advance(hourMs / 3);
  assert.deepEqual([codeOf(await ask('pump-1')), codeOf(await ask('pump-1'))], ['done', 'rate-limited']);
});

test('no more than so many are issued at a time', async (t) => {
  const { desk, registry, pki } = await openedDesk(t, { maxInFlight: 2 });
  const ids = ['a', 'b', 'c'];
  for (const id of ids) must(await registry.create('device', 'main', id, {}));
  let open!: () => void;
  pki.gate = new Promise<void>((resolve) => (open = resolve));
  const ask = (id: string) => desk.again({ tenant: 'main', owner: { kind: 'device', id }, method: 'certificate' }, madeRequest(id), from);
  const [first, second] = [ask('a'), ask('b')];
  while (pki.requests.length < 2) await Promise.resolve();
  assert.equal(codeOf(await ask('c')), 'busy');
  assert.equal(codeOf(await ask('a')), 'busy', 'one at a time for each');
  open();
  assert.deepEqual([codeOf(await first), codeOf(await second), codeOf(await ask('c'))], ['done', 'done', 'done']);
});

test('who renews is given its own name only, and repeats no other', async (t) => {
  const { desk, registry, events } = await openedDesk(t);
  must(await registry.create('device', 'main', 'pump-1', {}));
  const uri = 'heliograph:main/pump-1';
  const renews = { commonName: 'pump-1', uris: [uri], fingerprint: '' };
  const holder = { tenant: 'main', owner: { kind: 'device', id: 'pump-1' }, method: 'certificate', renews } as const;
  const ask = async (request: Uint8Array) => codeOf(await desk.again(holder, request, from));
  assert.equal(await ask(madeRequest('pump-1')), 'done');
  assert.equal(await ask(madeRequest([])), 'done', 'a request may leave its name away');
  assert.equal(await ask(madeRequest('pump-1', { uris: [uri] })), 'done');
  assert.equal(await ask(Buffer.from(requestPem(madeRequest('pump-1')))), 'done', 'PEM');
  assert.equal(await ask(madeRequest('pump-2')), 'foreign-name');
  assert.equal(await ask(madeRequest(['pump-1', 'pump-2'])), 'foreign-name');
  assert.equal(await ask(madeRequest('pump-1', { uris: ['heliograph:main/pump-2'] })), 'foreign-name');
  assert.equal(await ask(madeRequest('pump-1', { uris: [uri, uri] })), 'foreign-name');
  assert.equal(await ask(madeRequest('pump-1', { dnsNames: ['example.com'] })), 'foreign-name');
  assert.deepEqual(events.filter(({ action }) => action === 'enrolment.renew').length, 4);
});

test('an enrolment must make sense', async (t) => {
  const { tokens, events } = await openedDesk(t);
  const create = async (changes: object) => codeOf(await tokens.create({ tenant: 'main', devicePattern: 'x', ...changes }, operator));
  for (const changes of [
    { devicePattern: '' },
    { devicePattern: 'a/b' },
    { devicePattern: 'x'.repeat(129) },
    { maxUses: 0 },
    { maxUses: 1.5 },
    { maxUses: 1e9 },
    { validMs: 0 },
    { validMs: Number.NaN },
    { validMs: 400 * 24 * hourMs },
    { tenant: 'nobody' },
  ]) {
    assert.equal(await create(changes), 'invalid', JSON.stringify(changes));
  }
  assert.equal(await create({}), 'done');
  assert.equal(codeOf(await tokens.get('main', 'nothing')), 'not-found');
  assert.equal(codeOf(await tokens.remove('main', 'nothing', operator)), 'not-found');
  assert.equal(codeOf(await tokens.setStatus('main', 'nothing', 'disabled', operator)), 'not-found');
  assert.ok(events.some(({ action, outcome }) => action === 'enrolment.create' && outcome === 'refused'));
});

test('tokens that have ended long ago are forgotten when another one is made', async (t) => {
  const { tokens, clock, events } = await openedDesk(t);
  const make = async (devicePattern: string, validMs: number) =>
    value(await tokens.create({ tenant: 'main', devicePattern, validMs }, operator)).enrolment.id;
  await make('old', hourMs);
  const lasting = await make('lasting', 300 * 24 * hourMs);
  clock.advance(25 * 24 * hourMs);
  const recent = await make('recent', hourMs);
  clock.advance(6 * 24 * hourMs);
  const last = await make('last', hourMs);
  const { entries } = value(await tokens.list('main', {}));
  assert.deepEqual(entries.map(({ id }) => id).toSorted(), [lasting, recent, last].toSorted());
  const forgotten = events.find(({ action }) => action === 'enrolment.forget');
  assert.deepEqual([forgotten!.outcome, forgotten!.details], ['done', { ended: 1 }]);
});

test('a token for many devices is not good for one that manages something', async (t) => {
  const { desk, registry, token } = await openedDesk(t);
  must(await registry.create('device', 'main', 'pump-boss', { roles: ['operator'] }));
  const many = await token({});
  assert.equal(codeOf(await desk.withToken({ token: many, device: 'pump-boss', request: madeRequest('pump-boss'), from })), 'wrong-device');
});
