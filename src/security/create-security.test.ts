import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { inspect } from 'node:util';
import { ManualClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { SeededRandom } from '../base/random.ts';
import { UserError } from '../base/user-error.ts';
import { createSecurity, defaultCertificatePolicy, defaultSecurityLimits } from './create-security.ts';
import type { NodeSecurity, SecurityOptions } from './create-security.ts';
import { hashPassword } from './password-hash.ts';
import type { AuthenticationResult, Credentials } from './security.ts';

const random = new SeededRandom(1);
const cheap = { memoryKib: 8, passes: 1, lanes: 1 };
const password = 'open-sesame-0815';
let passwordHash = '';
before(async () => {
  passwordHash = await hashPassword(Buffer.from(password), random, cheap);
});

type Bench = { security: NodeSecurity; clock: ManualClock; lines: string[]; options: SecurityOptions };

function bench(changes: Partial<SecurityOptions> = {}): Bench {
  const clock = new ManualClock();
  const lines: string[] = [];
  const line = (event: string, fields?: object): number => lines.push(`${event} ${JSON.stringify(fields)}`);
  const log: Log = { debug: line, info: line, warn: line, error: line };
  const options: SecurityOptions = {
    users: [{ name: 'ann', roles: ['writer'], passwordHash }],
    rules: [{ allow: ['publish'], topics: ['a/#'], roles: ['writer'] }],
    anonymous: undefined,
    certificates: defaultCertificatePolicy,
    limits: { ...defaultSecurityLimits, failuresPerAccount: 3, failuresPerAddress: 8 },
    ...changes,
  };
  return { security: createSecurity(options, { clock, random, log }), clock, lines, options };
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

const withPassword = (username: string, text: string, from = '192.0.2.1'): Credentials => ({
  ...nobody,
  remoteAddress: from,
  username,
  password: Buffer.from(text),
});

function ask(security: NodeSecurity, credentials: Credentials): Promise<AuthenticationResult> {
  return new Promise((resolve) => security.authenticate(credentials, resolve));
}

/** Who it is, without how it is connected. */
function known(result: AuthenticationResult): object | undefined {
  if (!result.ok) return undefined;
  const { access: _, ...rest } = result.principal;
  return rest;
}

async function verdict(security: NodeSecurity, credentials: Credentials): Promise<string> {
  const result = await ask(security, credentials);
  return result.ok ? `ok ${result.principal.tenant}/${result.principal.id}` : result.reason;
}

function metric(security: NodeSecurity, name: string): number {
  let sum = 0;
  for (const sample of security.metrics()) if (sample.name === `heliograph_security_${name}`) sum += sample.value as number;
  return sum;
}

test('a password is right or wrong, and unknown users look like wrong passwords', async () => {
  const { security } = bench();
  const result = await ask(security, withPassword('ann', password));
  const access = { listener: 'mqtt', remoteAddress: '192.0.2.1', secure: true, method: 'password', certificate: undefined };
  assert.deepEqual(result, { ok: true, principal: { tenant: 'main', id: 'ann', kind: 'application', roles: ['writer'], access } });
  assert.equal(await verdict(security, withPassword('main/ann', password)), 'ok main/ann');
  for (const [name, text] of [
    ['ann', 'wrong'],
    ['ann', ''],
    ['bob', password],
    ['acme/ann', password],
    ['', password],
    ['a/b/c', password],
  ] as const) {
    const hashes = metric(security, 'password_hashes_total');
    assert.equal(await verdict(security, withPassword(name, text)), 'refused', `${name} ${text}`);
    assert.equal(metric(security, 'password_hashes_total'), hashes + 1, 'the same work is done');
  }
});

test('who shows nothing is refused, unless anonymous is allowed', async () => {
  const closed = bench();
  assert.equal(await verdict(closed.security, nobody), 'refused');
  const open = bench({ anonymous: { roles: ['writer'], listeners: ['mqtt'] } });
  const result = await ask(open.security, nobody);
  assert.deepEqual(known(result), { tenant: 'main', id: 'anonymous', kind: 'anonymous', roles: ['writer'] });
  assert.equal(await verdict(open.security, { ...nobody, listener: 'other' }), 'refused');
  assert.equal(await verdict(open.security, withPassword('ann', 'wrong')), 'refused', 'a wrong password does not fall back');
  assert.equal(await verdict(open.security, { ...nobody, username: 'ann' }), 'refused');
  assert.equal(await verdict(open.security, { ...nobody, password: Buffer.from(password) }), 'refused');
});

test('a certificate goes first, by its URI, else by its common name', async () => {
  const { security } = bench();
  const show = (uris: string[], commonName?: string): Credentials => ({
    ...nobody,
    certificate: { commonName, uris, fingerprint: '00' },
  });
  const result = await ask(security, show(['heliograph:acme/pump-7'], 'other'));
  assert.deepEqual(known(result), { tenant: 'acme', id: 'pump-7', kind: 'device', roles: ['device'] });
  assert.equal(await verdict(security, show(['https://x'], 'pump-8')), 'ok main/pump-8');
  assert.equal(await verdict(security, show([], undefined)), 'refused');
  assert.equal(
    await verdict(security, { ...show([], '#'), username: 'ann', password: Buffer.from(password) }),
    'ok main/ann',
    'next in the chain',
  );
});

test('guessing an account leads to a ban that ends', async () => {
  const { security, clock, lines } = bench();
  for (let i = 0; i < 4; i++) assert.equal(await verdict(security, withPassword('ann', `guess ${i}`)), 'refused');
  assert.equal(await verdict(security, withPassword('ann', password)), 'banned', 'also the right password');
  assert.equal(await verdict(security, withPassword('bob', 'x')), 'refused', 'others are not concerned');
  assert.equal(lines.filter((line) => line.startsWith('security.account.banned')).length, 1);
  clock.advance(defaultSecurityLimits.banMs);
  assert.equal(await verdict(security, withPassword('ann', password)), 'ok main/ann');
});

test('who succeeded from an address is not kept out by guesses from elsewhere', async () => {
  const { security } = bench();
  assert.equal(await verdict(security, withPassword('ann', password)), 'ok main/ann');
  for (let i = 0; i < 4; i++) await ask(security, withPassword('ann', `guess ${i}`, '198.51.100.9'));
  assert.equal(await verdict(security, withPassword('ann', password)), 'ok main/ann');
  assert.equal(await verdict(security, withPassword('ann', password, '198.51.100.9')), 'banned');
});

test('guessing names from one address bans the address', async () => {
  const { security } = bench();
  for (let i = 0; i < 9; i++) assert.equal(await verdict(security, withPassword(`name ${i}`, 'x')), 'refused');
  assert.equal(await verdict(security, withPassword('ann', password)), 'banned');
  assert.equal(await verdict(security, withPassword('ann', password, '192.0.2.2')), 'ok main/ann');
});

test('guesses sent all at once get no more tries than one after the other', async () => {
  const { security } = bench();
  const all = await Promise.all(Array.from({ length: 50 }, (_, i) => verdict(security, withPassword('ann', `guess ${i}`))));
  const checked = all.filter((one) => one === 'refused').length;
  assert.ok(checked <= 3 + 1 + defaultSecurityLimits.checksRunning, `${checked} were checked`);
});

test('a fleet that reconnects with known credentials costs no slow check', async () => {
  const { security } = bench();
  const all = await Promise.all(Array.from({ length: 40 }, () => verdict(security, withPassword('ann', password))));
  assert.deepEqual(new Set(all), new Set(['ok main/ann']));
  for (let i = 0; i < 100; i++) await ask(security, withPassword('ann', password));
  assert.ok(metric(security, 'password_hashes_total') <= defaultSecurityLimits.checksRunning);
});

test('more checks than the waiting line holds are told to come later, and nothing is counted against them', async () => {
  const { security } = bench({ limits: { ...defaultSecurityLimits, checksRunning: 1, checksWaiting: 3, checksWaitingPerAddress: 3 } });
  const all = await Promise.all(Array.from({ length: 10 }, (_, i) => verdict(security, withPassword(`name ${i}`, 'x'))));
  assert.deepEqual(all.map((one) => one === 'overloaded').filter(Boolean).length, 6);
  assert.equal(metric(security, 'failing_accounts'), 4);
  assert.equal(metric(security, 'password_checks_running'), 0);
});

test('a password longer than any is refused without work', async () => {
  const { security } = bench();
  assert.equal(await verdict(security, withPassword('ann', 'x'.repeat(65_535))), 'refused');
  assert.equal(metric(security, 'password_hashes_total'), 0);
});

test('the bytes of a password may change after the call', async () => {
  const { security } = bench();
  const credentials = withPassword('ann', password);
  const answer = ask(security, credentials);
  credentials.password!.fill(0);
  assert.equal((await answer).ok, true);
});

test('a rule may refuse the connection of an authenticated peer', async () => {
  const { security } = bench({ rules: [{ allow: ['connect'], topics: ['${id}'] }] });
  assert.equal(await verdict(security, { ...withPassword('ann', password), clientId: 'ann' }), 'ok main/ann');
  assert.equal(await verdict(security, { ...withPassword('ann', password), clientId: 'bob' }), 'refused');
});

test('a new policy counts at once, a broken one changes nothing', async () => {
  const { security, options } = bench();
  const ann = { tenant: 'main', id: 'ann', kind: 'application', roles: ['writer'] } as const;
  await ask(security, withPassword('ann', password));
  assert.equal(security.allows(ann, 'publish', 'a/x'), true);
  const { version } = security;
  await assert.rejects(security.reload({ ...options, rules: [{ allow: ['publish'], topics: ['a#'] }] }), UserError);
  await assert.rejects(security.reload({ ...options, rules: [], users: [{ name: 'x', passwordHash: 'plain' }] }), UserError);
  assert.equal(security.version, version);
  assert.equal(security.allows(ann, 'publish', 'a/x'), true);
  await security.reload({ ...options, rules: [], users: [] });
  assert.ok(security.version > version);
  assert.equal(security.allows(ann, 'publish', 'a/x'), false);
  assert.equal(await verdict(security, withPassword('ann', password)), 'refused', 'also what was remembered');
});

test('no password, hash or unknown name reaches a log line, an error or a metric', async () => {
  const { security, lines } = bench();
  for (let i = 0; i < 20; i++) {
    await ask(security, withPassword('my-secret-in-the-wrong-field', `my-secret-${i}`));
    await ask(security, withPassword('ann', password, '192.0.2.3'));
    await ask(security, withPassword('ann', `my-secret-${i}`, '192.0.2.4'));
  }
  assert.ok(lines.length >= 2);
  const seen = `${lines.join('\n')} ${JSON.stringify([...security.metrics()])}`;
  assert.doesNotMatch(seen, /my-secret|open-sesame|argon2/);
  assert.throws(
    () => bench({ users: [{ name: 'x', passwordHash: 'my-secret' }] }),
    (error) => error instanceof UserError && !inspect(error).includes('my-secret'),
  );
});
