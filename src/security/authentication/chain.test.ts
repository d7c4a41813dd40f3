import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { before, test, type TestContext } from 'node:test';
import { inspect } from 'node:util';
import { certificate, fingerprint, good } from '../../../test/contracts/registry/place.ts';
import { atEnd, temporaryDirectory } from '../../../test/contracts/temporary-journal.ts';
import { ManualClock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { SeededRandom } from '../../base/random.ts';
import { systemScope, type CredentialType } from '../../registry/entries.ts';
import type { LookUps } from '../../registry/registry.ts';
import { SqliteRegistry } from '../../registry/sqlite/sqlite-registry.ts';
import type { AuditEvent } from '../audit/audit.ts';
import { createSecurity, defaultCertificatePolicy, defaultSecurityLimits } from '../create-security.ts';
import type { NodeSecurity, SecurityOptions, SecurityServices } from '../create-security.ts';
import { hashPassword } from '../password-hash.ts';
import type { AuthenticationResult, Credentials, ExchangeStep, Principal, Reassessment } from '../security.ts';
import type { Authenticator, Identity } from './authenticator.ts';
import { passwordCredentials } from './password-credentials.ts';
import { pskCredential, type SecretBox } from './psk.ts';
import { ScramClient } from './testing/scram-client.ts';

const random = new SeededRandom(1);
const cheap = { memoryKib: 8, passes: 1, lanes: 1 };
let hash = '';
before(async () => {
  hash = await hashPassword(Buffer.from('configured'), random, cheap);
});

/** Seals by saying where; enough to see that the place is kept. */
const box: SecretBox = {
  seal: (plain, place) => Buffer.concat([Buffer.from(`${place}|`), plain]),
  unseal: (sealed, place) => {
    const text = Buffer.from(sealed);
    return text.subarray(0, place.length + 1).toString() === `${place}|` ? text.subarray(place.length + 1) : undefined;
  },
  mark: (text) => Buffer.from(text.padEnd(32, '.')).subarray(0, 32),
};

type Bench = {
  readonly security: NodeSecurity;
  readonly registry: SqliteRegistry;
  readonly clock: ManualClock;
  readonly options: SecurityOptions;
  readonly audit: AuditEvent[];
  readonly lines: string[];
  readonly credential: (owner: string, type: CredentialType, secret: string, id?: string) => Promise<void>;
};

function bench(t: TestContext, changes: Partial<SecurityOptions> = {}, more: Partial<SecurityServices> = {}): Bench {
  const clock = new ManualClock();
  const registry = good(SqliteRegistry.open({ path: join(temporaryDirectory(t), 'registry.db'), clock, thread: false })) as SqliteRegistry;
  atEnd(t, () => registry.close());
  const audit: AuditEvent[] = [];
  const lines: string[] = [];
  const line = (event: string, fields?: object): number => lines.push(`${event} ${JSON.stringify(fields)}`);
  const log: Log = { debug: line, info: line, warn: line, error: line };
  const options: SecurityOptions = {
    users: [{ name: 'conf', roles: ['writer'], passwordHash: hash }],
    rules: [{ allow: ['publish'], topics: ['#'], roles: ['writer'] }],
    anonymous: undefined,
    certificates: defaultCertificatePolicy,
    limits: { ...defaultSecurityLimits, failuresPerAccount: 3, failuresPerAddress: 1000 },
    ...changes,
  };
  const services = { clock, random, log, lookUps: registry, audit: { record: (event: AuditEvent) => audit.push(event) }, secrets: box };
  const credential = async (owner: string, type: CredentialType, secret: string, id = `${owner}-${type}`): Promise<void> => {
    const found = registry.principal('main', owner);
    const kind = found.ok ? found.value!.kind : 'device';
    good(await registry.create('credential', 'main', id, { owner: { kind, id: owner }, type, secret }));
  };
  const security = createSecurity(options, { ...services, ...more });
  return { security, registry, clock, options, audit, lines, credential };
}

const nobody: Credentials = {
  listener: 'mqtt',
  remoteAddress: '192.0.2.1',
  secure: true,
  clientId: 'c1',
  username: undefined,
  password: undefined,
  certificate: undefined,
};
const by = (username: string, password: string): Credentials => ({ ...nobody, username, password: Buffer.from(password) });

function ask(security: NodeSecurity, credentials: Credentials): Promise<AuthenticationResult> {
  return new Promise((resolve) => security.authenticate(credentials, resolve));
}

async function verdict(security: NodeSecurity, credentials: Credentials): Promise<string> {
  const result = await ask(security, credentials);
  return result.ok ? `ok ${result.principal.kind} ${result.principal.tenant}/${result.principal.id}` : result.reason;
}

async function principal(security: NodeSecurity, credentials: Credentials): Promise<Principal> {
  const result = await ask(security, credentials);
  assert.ok(result.ok);
  return result.principal;
}

const reassess = (security: NodeSecurity, one: Principal): Promise<Reassessment> =>
  new Promise((resolve) => security.reassess(one, resolve));

test('whoever has a password in the registry comes in with it, and its changes are in force at once', async (t) => {
  const { security, registry, credential } = bench(t);
  good(await registry.create('user', 'main', 'ann', { roles: ['writer'], groups: ['g'], labels: { team: 'x' } }));
  assert.equal(await verdict(security, by('ann', 'first')), 'refused', 'no credential yet');
  await credential('ann', 'password', await hashPassword(Buffer.from('first'), random, cheap));
  const { access: _, ...ann } = await principal(security, by('ann', 'first'));
  assert.deepEqual(ann, { tenant: 'main', id: 'ann', kind: 'user', roles: ['writer'], groups: ['g'], labels: { team: 'x' } });
  good(await registry.update('credential', 'main', 'ann-password', { secret: await hashPassword(Buffer.from('second'), random, cheap) }));
  assert.equal(await verdict(security, by('ann', 'first')), 'refused', 'although it was remembered');
  assert.equal(await verdict(security, by('main/ann', 'second')), 'ok user main/ann');
  good(await registry.remove('credential', 'main', 'ann-password'));
  assert.equal(await verdict(security, by('ann', 'second')), 'refused');
});

test('of two passwords both open, so that one can be replaced; an expired one does not', async (t) => {
  const { security, registry, clock, credential } = bench(t);
  good(await registry.create('application', 'main', 'app', {}));
  await credential('app', 'password', await hashPassword(Buffer.from('one'), random, cheap), 'a');
  await credential('app', 'password', await hashPassword(Buffer.from('two'), random, cheap), 'b');
  assert.equal(await verdict(security, by('app', 'one')), 'ok application main/app');
  assert.equal(await verdict(security, by('app', 'two')), 'ok application main/app');
  const endMs = clock.wallMs() + 1000;
  good(await registry.update('credential', 'main', 'a', { expiresAtMs: endMs }));
  const result = await ask(security, by('app', 'one'));
  assert.ok(result.ok && result.expiresAtMs === endMs);
  clock.advance(1001);
  assert.equal(await verdict(security, by('app', 'one')), 'refused');
  assert.equal(await verdict(security, by('app', 'two')), 'ok application main/app');
});

test('the configuration wins over the registry', async (t) => {
  const { security, registry, credential } = bench(t);
  good(await registry.create('user', 'main', 'conf', {}));
  await credential('conf', 'password', await hashPassword(Buffer.from('registered'), random, cheap));
  assert.equal(await verdict(security, by('conf', 'registered')), 'refused');
  assert.equal(await verdict(security, by('conf', 'configured')), 'ok user main/conf');
});

test('a password that is set opens by itself and by SCRAM, and an exchange ends in the same principal', async (t) => {
  const { security, registry, credential } = bench(t);
  good(await registry.create('device', 'main', 'pump', { groups: ['north'] }));
  for (const { type, secret } of await passwordCredentials('open sesame', random, cheap)) await credential('pump', type, secret);
  const plain = await principal(security, by('pump', 'open sesame'));
  const run = (password: string): ExchangeStep => {
    const client = new ScramClient('pump', password);
    const exchange = security.startExchange('SCRAM-SHA-256', nobody)!;
    const steps: ExchangeStep[] = [];
    exchange.step(client.first(), (step) => steps.push(step));
    exchange.step(client.final((steps[0] as { data: Uint8Array }).data), (step) => steps.push(step));
    exchange.step(client.first(), (step) => steps.push(step));
    assert.equal(steps[2]!.kind, 'failed', 'it is over');
    return steps[1]!;
  };
  const done = run('open sesame');
  assert.ok(done.kind === 'done');
  assert.deepEqual(done.principal, { ...plain, access: { ...plain.access!, method: 'scram-sha-256' } });
  assert.equal(run('wrong').kind, 'failed');
  good(await registry.update('device', 'main', 'pump', { status: 'disabled' }));
  assert.equal(run('open sesame').kind, 'failed');
  assert.equal(security.startExchange('SCRAM-SHA-1', nobody), undefined);
  assert.equal(security.startExchange('', nobody), undefined);
});

test('a pre-shared key: what TLS is given, and whom it makes', async (t) => {
  const { security, registry, credential } = bench(t);
  const key = random.bytes(32);
  good(await registry.create('device', 'main', 'valve', {}));
  await credential('valve', 'psk', pskCredential(key, box, 'main', { kind: 'device', id: 'valve' }));
  assert.deepEqual(Buffer.from(security.pskKey('valve')!), Buffer.from(key));
  assert.deepEqual(Buffer.from(security.pskKey('main/valve')!), Buffer.from(key));
  assert.deepEqual(security.pskKey('ghost'), security.pskKey('ghost'), 'strangers always fail alike');
  assert.notDeepEqual(security.pskKey('ghost'), security.pskKey('other'));
  for (const odd of ['', 'a/b/c', '#', 'x'.repeat(129), 'tick\ufffdet', 'a\0b']) assert.equal(security.pskKey(odd), undefined);
  assert.equal(await verdict(security, { ...nobody, pskIdentity: 'valve' }), 'ok device main/valve');
  assert.equal(await verdict(security, { ...nobody, pskIdentity: 'ghost' }), 'refused');
  const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
  const withKey = (bytes: Uint8Array): Credentials => ({ ...nobody, pskIdentity: 'valve', pskKeyHash: hashOf(bytes) });
  assert.equal(await verdict(security, withKey(key)), 'ok device main/valve');
  const newKey = random.bytes(32);
  const secret = pskCredential(newKey, box, 'main', { kind: 'device', id: 'valve' });
  good(await registry.update('credential', 'main', 'valve-psk', { secret }));
  assert.equal(await verdict(security, withKey(key)), 'refused', 'a session that was opened with the key of before');
  assert.equal(await verdict(security, withKey(newKey)), 'ok device main/valve');
  good(
    await registry.update('credential', 'main', 'valve-psk', { secret: pskCredential(key, box, 'main', { kind: 'device', id: 'valve' }) }),
  );
  // A key that is sealed for somebody else does not open here.
  good(await registry.create('device', 'main', 'thief', {}));
  await credential('thief', 'psk', pskCredential(key, box, 'main', { kind: 'device', id: 'valve' }));
  assert.notDeepEqual(Buffer.from(security.pskKey('thief')!), Buffer.from(key));
  good(await registry.remove('credential', 'main', 'valve-psk'));
  assert.notDeepEqual(Buffer.from(security.pskKey('valve')!), Buffer.from(key));
  assert.equal(await verdict(security, { ...nobody, pskIdentity: 'valve' }), 'refused');
  assert.throws(() => pskCredential(random.bytes(15), box, 'main', { kind: 'device', id: 'x' }), RangeError);
});

test('a listener accepts what it names, and nothing else', async (t) => {
  const listeners = { strict: ['certificate'], open: ['anonymous'] } as const;
  const { security } = bench(t, { listeners, anonymous: { roles: [] } });
  const shown: Credentials = { ...nobody, certificate: { commonName: 'pump', uris: [], fingerprint: fingerprint(3) } };
  assert.equal(await verdict(security, { ...shown, listener: 'strict' }), 'ok device main/pump');
  assert.equal(await verdict(security, { ...by('conf', 'configured'), listener: 'strict' }), 'refused');
  assert.equal(await verdict(security, { ...nobody, listener: 'strict' }), 'refused');
  assert.equal(security.startExchange('SCRAM-SHA-256', { ...nobody, listener: 'strict' }), undefined);
  assert.equal(await verdict(security, { ...shown, listener: 'open' }), 'ok anonymous main/anonymous');
  assert.equal(await verdict(security, { ...by('conf', 'configured'), listener: 'open' }), 'refused', 'who shows something is not nobody');
});

test('the owner of a certificate is found by its fingerprint', async (t) => {
  const { security, registry } = bench(t, { certificates: { ...defaultCertificatePolicy, rules: ['fingerprint'] } });
  good(await registry.create('application', 'main', 'app', { roles: ['r'] }));
  good(await registry.create('certificate', 'main', fingerprint(1), certificate(1, { owner: { kind: 'application', id: 'app' } })));
  const show = (n: number): Credentials => ({ ...nobody, certificate: { commonName: 'x', uris: [], fingerprint: fingerprint(n) } });
  const { kind, id, roles } = await principal(security, show(1));
  assert.deepEqual([kind, id, roles], ['application', 'app', ['r']]);
  assert.equal(await verdict(security, show(2)), 'refused');
});

test('a look-up that comes later, or never, changes neither the answers nor who gets in', async (t) => {
  const { registry, credential, options } = bench(t);
  good(await registry.create('device', 'main', 'pump', {}));
  await credential('pump', 'password', await hashPassword(Buffer.from('pw'), random, cheap));
  const later = (isDown: boolean): LookUps => {
    const answer = async <T>(found: T): Promise<T> => {
      if (isDown) throw new Error('a bug');
      return found;
    };
    return {
      get: (...question) => answer(registry.get(...question)),
      principal: (...question) => answer(registry.principal(...question)),
      certificate: (...question) => answer(registry.certificate(...question)),
      credentials: (...question) => answer(registry.credentials(...question)),
      credentialsByHandle: (...question) => answer(registry.credentialsByHandle(...question)),
    };
  };
  const { security } = bench(t, options, { lookUps: later(false) });
  assert.equal(await verdict(security, by('pump', 'pw')), 'ok device main/pump');
  assert.equal(await verdict(security, by('pump', 'pw')), 'ok device main/pump', 'remembered');
  assert.equal(await verdict(security, by('pump', 'no')), 'refused');
  assert.equal(await verdict(security, by('ghost', 'no')), 'refused');
  assert.equal(security.pskKey('pump'), undefined, 'TLS does not wait');
  const down = bench(t, options, { lookUps: later(true) }).security;
  assert.equal(await verdict(down, by('pump', 'pw')), 'overloaded');
  const shown = { commonName: 'pump', uris: [], fingerprint: fingerprint(1) };
  assert.equal(await verdict(down, { ...nobody, certificate: shown }), 'overloaded');
});

test('reassess: barred, changed, or the very same', async (t) => {
  const { security, registry, options, credential } = bench(t, { anonymous: { roles: ['a'] } });
  good(await registry.create('device', 'main', 'pump', { roles: ['writer'] }));
  await credential('pump', 'password', await hashPassword(Buffer.from('pw'), random, cheap));
  const pump = await principal(security, by('pump', 'pw'));
  const conf = await principal(security, by('conf', 'configured'));
  const guest = await principal(security, nobody);
  for (const one of [pump, conf, guest]) assert.equal(((await reassess(security, one)) as { principal: Principal }).principal, one);
  good(await registry.update('device', 'main', 'pump', { roles: ['reader'], groups: ['g'] }));
  const next = await reassess(security, pump);
  assert.ok(next.standing === 'good');
  assert.deepEqual(next.principal, { ...pump, roles: ['reader'], groups: ['g'] });
  good(await registry.update('device', 'main', 'pump', { status: 'disabled' }));
  assert.equal((await reassess(security, next.principal)).standing, 'barred');
  good(await registry.update('device', 'main', 'pump', { status: 'active' }));
  good(await registry.update('tenant', systemScope, 'main', { status: 'disabled' }));
  for (const one of [pump, conf, guest]) assert.equal((await reassess(security, one)).standing, 'barred');
  good(await registry.update('tenant', systemScope, 'main', { status: 'active' }));
  await security.reload({ ...options, anonymous: undefined, users: [{ name: 'conf', roles: ['other'], passwordHash: hash }] });
  assert.equal((await reassess(security, guest)).standing, 'barred');
  assert.deepEqual(((await reassess(security, conf)) as { principal: Principal }).principal.roles, ['other']);
  await security.reload({ ...options, users: [] });
  assert.equal((await reassess(security, conf)).standing, 'barred');
  good(await registry.remove('device', 'main', 'pump'));
  assert.equal((await reassess(security, pump)).standing, 'barred');
  await registry.close();
  const unknown = await reassess(security, pump);
  assert.ok(unknown.standing === 'good' && unknown.principal === pump, 'who cannot be judged now stays');
});

test('the audit log is told of failures once a minute and address, of bans, and of who manages', async (t) => {
  const { security, audit, clock, registry, credential, lines } = bench(t);
  good(await registry.create('user', 'main', 'ann', { roles: ['admin'] }));
  await credential('ann', 'password', await hashPassword(Buffer.from('pw'), random, cheap));
  await ask(security, by('conf', 'configured'));
  assert.equal(audit.length, 0, 'a success of no concern');
  await ask(security, by('ann', 'pw'));
  assert.deepEqual(
    audit.map(({ action, actor, outcome }) => [action, actor.kind, outcome]),
    [['authentication.succeed', 'principal', 'done']],
  );
  audit.length = 0;
  for (let i = 0; i < 4; i++) await ask(security, by('ann', `my-secret ${i}`));
  for (let i = 0; i < 50; i++) await ask(security, by(`my-secret-name ${i}`, 'x'));
  assert.deepEqual(
    audit.map(({ action, details }) => [action, details?.['reason'] ?? details?.['what']]),
    [
      ['authentication.fail', 'wrong-password'],
      ['authentication.ban', 'account'],
    ],
  );
  assert.deepEqual(audit[0]!.actor, { kind: 'stranger', claimed: 'main/ann' });
  clock.advance(60_000);
  await ask(security, { ...by('x', 'y'), remoteAddress: '192.0.2.2' });
  assert.deepEqual(audit[2]!.details, { reason: 'unknown-account', repeated: 53 });
  for (let i = 0; i < 5000; i++) await ask(security, { ...nobody, remoteAddress: `10.0.${i >> 8}.${i & 255}` });
  assert.ok(audit.length < 150, `${audit.length} entries of a flood`);
  await security.close();
  assert.doesNotMatch(inspect([audit, lines, [...security.metrics()]], { depth: 9 }), /my-secret/);
});

test('an authenticator that throws, or answers twice, opens no door', async (t) => {
  const once = bench(
    t,
    {},
    {
      authenticators: [
        {
          method: 'jwt',
          authenticate: ({ username }, answer) => {
            if (username === 'throws') throw new Error('a bug');
            answer({ kind: 'refused', reason: 'expired-token' });
            answer({ kind: 'proved', identity: { tenant: 'main', id: 'evil', kind: 'user' } });
          },
        },
      ],
    },
  );
  const answers: AuthenticationResult[] = [];
  once.security.authenticate(by('x', 'y'), (result) => answers.push(result));
  assert.deepEqual(answers, [{ ok: false, reason: 'refused' }]);
  assert.equal(await verdict(once.security, by('throws', 'y')), 'overloaded');
  assert.ok(once.lines.some((line) => line.startsWith('security.authenticator.answered.twice')));
  const reasons = [...once.security.metrics()].flatMap(({ name, labels }) =>
    name.endsWith('authentications_total') ? [labels?.['reason']] : [],
  );
  assert.ok(reasons.includes('expired-token'));
});

test('nobody who proves to be somebody is taken for who proves nothing', async (t) => {
  const { security, registry, credential } = bench(t, { anonymous: { roles: [] } });
  good(await registry.create('user', 'main', 'anonymous', { roles: ['writer'] }));
  await credential('anonymous', 'password', await hashPassword(Buffer.from('pw'), random, cheap));
  assert.equal(await verdict(security, by('anonymous', 'pw')), 'refused');
  assert.equal(
    await verdict(security, { ...nobody, certificate: { commonName: 'anonymous', uris: [], fingerprint: fingerprint(1) } }),
    'refused',
  );
  assert.equal(await verdict(security, nobody), 'ok anonymous main/anonymous');
});

test('an issuer of tokens for devices names no user of the registry', async (t) => {
  for (const kind of ['device', undefined] as const) {
    const identity = (id: string): Identity => ({ tenant: 'main', id, kind });
    const { security, registry } = bench(
      t,
      {},
      {
        authenticators: [
          { method: 'jwt', authenticate: ({ username }, answer) => answer({ kind: 'proved', identity: identity(username!) }) },
        ],
      },
    );
    good(await registry.create('user', 'main', 'ann', { roles: ['admin'] }));
    assert.equal(await verdict(security, by('ann', 'x')), kind === 'device' ? 'refused' : 'ok user main/ann');
    const pump = await principal(security, by('pump', 'x'));
    assert.equal(pump.kind, kind ?? 'application');
    good(await registry.create('user', 'main', 'pump', {}));
    assert.equal((await reassess(security, pump)).standing, kind === 'device' ? 'barred' : 'good');
  }
});

test('who came in by a secret that has been replaced may not stay', async (t) => {
  const { security, registry, options, credential } = bench(t);
  good(await registry.create('device', 'main', 'pump', {}));
  const hashes = await Promise.all(['one', 'two', 'three'].map((password) => hashPassword(Buffer.from(password), random, cheap)));
  await credential('pump', 'password', hashes[0]!, 'a');
  await credential('pump', 'password', hashes[1]!, 'b');
  const [one, two] = [await principal(security, by('pump', 'one')), await principal(security, by('pump', 'two'))];
  good(await registry.update('device', 'main', 'pump', { groups: ['g'] }));
  const next = await reassess(security, one);
  assert.ok(next.standing === 'good' && next.principal !== one);
  good(await registry.update('credential', 'main', 'a', { secret: hashes[2]! }));
  assert.deepEqual(await Promise.all([one, next.principal, two].map(async (each) => (await reassess(security, each)).standing)), [
    'barred',
    'barred',
    'good',
  ]);
  const conf = await principal(security, by('conf', 'configured'));
  await security.reload({ ...options, users: [{ name: 'conf', roles: ['writer'], passwordHash: hashes[0]! }] });
  assert.equal((await reassess(security, conf)).standing, 'barred');
  good(await registry.create('device', 'main', 'meter', {}));
  const owner = { kind: 'device', id: 'meter' } as const;
  await credential('meter', 'psk', pskCredential(Buffer.alloc(16, 1), box, 'main', owner));
  const meter = await principal(security, { ...nobody, pskIdentity: 'meter' });
  assert.equal((await reassess(security, meter)).standing, 'good');
  good(await registry.update('credential', 'main', 'meter-psk', { secret: pskCredential(Buffer.alloc(16, 2), box, 'main', owner) }));
  assert.equal((await reassess(security, meter)).standing, 'barred');
  for (const { type, secret } of await passwordCredentials('long enough', random, cheap)) await credential('meter', type, secret);
  const client = new ScramClient('meter', 'long enough');
  const exchange = security.startExchange('SCRAM-SHA-256', nobody)!;
  const step = (data: Uint8Array): Promise<ExchangeStep> => new Promise((resolve) => exchange.step(data, resolve));
  const challenge = await step(client.first());
  assert.ok(challenge.kind === 'challenge');
  const done = await step(client.final(challenge.data));
  assert.ok(done.kind === 'done');
  assert.equal((await reassess(security, done.principal)).standing, 'good');
  assert.doesNotMatch(inspect(done.principal, { depth: 9 }), /secret/);
  const [, scram] = await passwordCredentials('another one', random, cheap);
  good(await registry.update('credential', 'main', 'meter-scram-sha-256', { secret: scram!.secret }));
  assert.equal((await reassess(security, done.principal)).standing, 'barred');
  const late = new ScramClient('meter', 'another one');
  const slow = security.startExchange('SCRAM-SHA-256', nobody)!;
  const asked = await new Promise<ExchangeStep>((resolve) => slow.step(late.first(), resolve));
  assert.ok(asked.kind === 'challenge');
  good(await registry.remove('credential', 'main', 'meter-scram-sha-256'));
  const ended = await new Promise<ExchangeStep>((resolve) => slow.step(late.final(asked.data), resolve));
  assert.equal(ended.kind, 'failed', 'by a password that was taken away in the middle of the exchange');
});

test('who came in by what a listener no longer accepts may not stay', async (t) => {
  const { security, options } = bench(t);
  const conf = await principal(security, by('conf', 'configured'));
  await security.reload({ ...options, listeners: { mqtt: ['certificate', 'scram-sha-256'] } });
  assert.equal((await reassess(security, conf)).standing, 'barred');
  await security.reload({ ...options, listeners: { other: ['certificate'] } });
  assert.equal((await reassess(security, conf)).standing, 'good');
});

test('who guesses at accounts of a webhook is banned as well, and counted once', async (t) => {
  for (const authentication of [['webhook'], ['password', 'webhook']] as const) {
    let asked = 0;
    const webhook: Authenticator = {
      method: 'webhook',
      authenticate: ({ username, password }, answer) => {
        asked++;
        const isRight = password !== undefined && Buffer.from(password).toString() === 'right';
        if (isRight) answer({ kind: 'proved', identity: { tenant: 'main', id: username!, kind: undefined } });
        else answer({ kind: 'refused', reason: 'webhook-denied' });
      },
    };
    const { security, clock } = bench(t, { authentication }, { authenticators: [webhook] });
    for (let i = 0; i < 4; i++) assert.equal(await verdict(security, by('ann', 'wrong')), 'refused', `${i}`);
    assert.equal(await verdict(security, by('ann', 'right')), 'banned');
    assert.equal(asked, 4);
    assert.equal(await verdict(security, by('bob', 'right')), 'ok application main/bob');
    const certificate = { commonName: 'x', uris: [], fingerprint: '00' };
    for (let i = 0; i < 9; i++) assert.equal(await verdict(security, { ...nobody, certificate }), 'refused');
    clock.advance(31_000);
    assert.equal(await verdict(security, by('ann', 'right')), 'ok application main/ann');
  }
});
