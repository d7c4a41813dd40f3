import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ManualClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { SeededRandom, type Random } from '../../base/random.ts';
import type { Credentials } from '../security.ts';
import type { Accounts } from './accounts.ts';
import { Attempts } from './attempts.ts';
import type { ExchangeVerdict, MechanismExchange } from './authenticator.ts';
import { ScramAuthenticator } from './scram.ts';
import { deriveScram, formatScramCredential, parseScramCredential, scramCredential, sha256 } from './scram-credential.ts';
import { ScramClient } from './testing/scram-client.ts';

const random = new SeededRandom(1);
/** RFC 7677 §3. */
const vector = {
  first: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
  serverFirst: 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  final: 'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  serverFinal: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
};
const credentials: Credentials = {
  listener: 'mqtt',
  remoteAddress: '192.0.2.1',
  secure: true,
  clientId: 'c',
  username: undefined,
  password: undefined,
  certificate: undefined,
};

const known = new Map<string, string>();
const accounts = {
  find: (tenant: string, name: string) => {
    const text = known.get(`${tenant}/${name}`);
    if (text === undefined) return undefined;
    return {
      identity: { tenant, id: name, kind: 'device' },
      owner: { kind: 'device', id: name },
      secrets: [{ text, expiresAtMs: undefined }],
    };
  },
} as unknown as Accounts;

function authenticator(source: Random = random): { scram: ScramAuthenticator; attempts: Attempts } {
  const limits = {
    failuresPerAccount: 3,
    failuresPerAddress: 50,
    forgiveFailureMs: 1000,
    banMs: 1000,
    maxBanMs: 1000,
    failureEntries: 100,
  };
  const attempts = new Attempts(limits, new ManualClock(), silentLog);
  const mark = (text: string): Uint8Array => sha256(Buffer.from(`key ${text}`));
  return { scram: new ScramAuthenticator({ accounts, attempts, mark, random: source }), attempts };
}

function begin(scram = authenticator().scram, more: Partial<Credentials> = {}): MechanismExchange {
  return scram.startExchange('SCRAM-SHA-256', { ...credentials, ...more });
}

function step(exchange: MechanismExchange, data: Uint8Array | string | undefined): ExchangeVerdict {
  const answers: ExchangeVerdict[] = [];
  exchange.step(typeof data === 'string' ? Buffer.from(data) : data, (verdict) => answers.push(verdict));
  assert.equal(answers.length, 1, 'exactly one answer, at once');
  return answers[0]!;
}

function challenge(verdict: ExchangeVerdict): Uint8Array {
  assert.equal(verdict.kind, 'challenge', JSON.stringify(verdict));
  return (verdict as { data: Uint8Array }).data;
}

const reason = (verdict: ExchangeVerdict): string => (verdict.kind === 'failed' ? verdict.reason : verdict.kind);

test('the dialogue of RFC 7677 §3, to the byte', async () => {
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
  known.set('main/user', formatScramCredential(await deriveScram('pencil', salt, 4096)));
  // The server's part of the nonce is base64 of random bytes; these make the one of the RFC's length but not its characters.
  const { scram } = authenticator();
  const exchange = begin(scram);
  const first = Buffer.from(challenge(step(exchange, vector.first))).toString();
  assert.match(first, /^r=rOprNGfwEbeRWgbNEkqO[\x21-\x2b\x2d-\x7e]{24},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096$/);
  const client = new ScramClient('user', 'pencil');
  const done = step(exchange, client.final(Buffer.from(first)));
  assert.ok(done.kind === 'done' && client.trusts(done.data));
  // The client that proves it is held to the RFC's bytes itself.
  const reference = new ScramClient('user', 'pencil');
  assert.equal(reference.first().toString(), vector.first);
  assert.equal(reference.final(Buffer.from(vector.serverFirst)).toString(), vector.final);
  assert.ok(reference.trusts(Buffer.from(vector.serverFinal)));
});

test('a password opens, another does not, and every wrong proof is counted', async () => {
  known.set('main/ann', (await scramCredential('open sesame', random, 4096))!);
  const { scram, attempts } = authenticator();
  const run = (name: string, password: string): string => {
    const client = new ScramClient(name, password);
    const exchange = begin(scram);
    const asked = step(exchange, client.first());
    return asked.kind === 'challenge' ? reason(step(exchange, client.final(asked.data))) : reason(asked);
  };
  assert.equal(run('ann', 'open sesame'), 'done');
  assert.equal(run('main/ann', 'open sesame'), 'done');
  for (let i = 0; i < 4; i++) assert.equal(run('ann', `guess ${i}`), 'wrong-password');
  assert.equal(run('ann', 'open sesame'), 'banned');
  assert.equal(attempts.isAccountBanned({ named: undefined, key: 'main/ann', address: '' }), true);
  assert.equal(run('bob', 'x'), 'unknown-account');
});

test('a stranger is shown a salt that does not change, and fails where a wrong password does', async () => {
  known.set('main/real', (await scramCredential('open sesame', random))!);
  const shown = (name: string): RegExpExecArray => {
    const first = Buffer.from(challenge(step(begin(), new ScramClient(name, '').first()))).toString();
    return /,s=([^,]+),i=(\d+)$/.exec(first)!;
  };
  assert.equal(shown('ghost')[1], shown('ghost')[1]);
  assert.notEqual(shown('ghost')[1], shown('other')[1]);
  assert.equal(shown('ghost')[1]!.length, shown('real')[1]!.length);
  assert.equal(shown('ghost')[2], shown('real')[2]);
});

test('an account named in CONNECT must be the one that is proved, and nobody acts for another', async () => {
  known.set('main/ann', (await scramCredential('pw', random, 4096))!);
  const first = new ScramClient('ann', 'pw').first().toString();
  assert.equal(reason(step(begin(undefined, { username: 'ann' }), first)), 'challenge');
  assert.equal(reason(step(begin(undefined, { username: 'bob' }), first)), 'another-identity');
  assert.equal(reason(step(begin(), 'n,a=ann,n=ann,r=abc')), 'challenge');
  assert.equal(reason(step(begin(), 'n,a=admin,n=ann,r=abc')), 'another-identity');
});

test('each malformed first message has its reason', () => {
  const cases: readonly (readonly [string | Uint8Array, string])[] = [
    ['n', 'malformed'],
    ['n,', 'malformed'],
    ['n,,', 'malformed'],
    ['n,,n=ann', 'malformed'],
    ['n,,r=abc,n=ann', 'malformed'],
    ['n,,n=,r=abc', 'malformed'],
    ['n,,n=ann,r=', 'malformed'],
    ['n,,n=a=b,r=abc', 'malformed'],
    ['n,,n=a=2c,r=abc', 'malformed'],
    ['n,,n=ann,r=a b', 'malformed'],
    [`n,,n=ann,r=${'a'.repeat(600)}`, 'malformed'],
    ['n,,n=ann,r=abc,x', 'malformed'],
    ['n,x=1,n=ann,r=abc', 'malformed'],
    ['n,a=,n=ann,r=abc', 'malformed'],
    ['x,,n=ann,r=abc', 'malformed'],
    ['N,,n=ann,r=abc', 'malformed'],
    ['n,,n=an\0n,r=abc', 'malformed'],
    ['n,,n=an\u0001n,r=abc', 'malformed'],
    [Uint8Array.of(0x6e, 0x2c, 0x2c, 0x6e, 0x3d, 0xff, 0x2c, 0x72, 0x3d, 0x61), 'malformed'],
    ['a'.repeat(5000), 'malformed'],
    ['p=tls-exporter,,n=ann,r=abc', 'channel-binding-not-offered'],
    ['n,,m=must,n=ann,r=abc', 'extension-not-supported'],
  ];
  for (const [message, expected] of cases) assert.equal(reason(step(begin(), message)), expected, String(message).slice(0, 40));
  // `y`: the client could bind, and sees that this server offers nothing to bind.
  assert.equal(reason(step(begin(), 'y,,n=ann,r=abc')), 'challenge');
  assert.equal(reason(step(begin(), 'n,,n=ann,r=abc,x=an unknown one')), 'challenge');
});

test('each malformed, replayed or tampered last message fails, and nothing follows it', async () => {
  known.set('main/eve', (await scramCredential('pw', random, 4096))!);
  const client = new ScramClient('eve', 'pw');
  const { scram } = authenticator();
  const asked = (): { exchange: MechanismExchange; said: Uint8Array } => {
    const exchange = begin(scram);
    return { exchange, said: challenge(step(exchange, client.first())) };
  };
  const honest = asked();
  const final = client.final(honest.said);
  assert.equal(reason(step(asked().exchange, final)), 'wrong-nonce', 'replayed in another exchange');
  assert.equal(step(honest.exchange, final).kind, 'done');
  assert.equal(reason(step(honest.exchange, final)), 'out-of-turn', 'twice in one');
  const bad: ((text: string) => string)[] = [
    () => '',
    (text) => text.replace('c=biws', 'c=eSws'),
    (text) => text.replace('c=biws', 'c='),
    (text) => text.replace('c=biws', 'c=#'),
    (text) => text.replace(/,r=[^,]*/, ''),
    (text) => text.replace(/,p=.*/, ''),
    (text) => text.replace(/,p=.*/, ',p='),
    (text) => text.replace(/,p=.*/, ',p=AAAA'),
    (text) => text.replace(/p=./, (found) => (found === 'p=A' ? 'p=B' : 'p=A')),
    (text) => `${text},x=1`,
  ];
  for (const [i, change] of bad.entries()) {
    const { exchange, said } = asked();
    const verdict = step(exchange, change(client.final(said).toString()));
    assert.equal(verdict.kind, 'failed', `case ${i}`);
    assert.equal(reason(step(exchange, client.final(said))), 'out-of-turn', `case ${i}, then the right one`);
    if (i > 5) assert.equal(reason(step(begin(), 'n,,n=eve,r=abc')), 'challenge', 'other authenticators count for themselves');
  }
});

test('a client that says nothing first is asked to begin, once', () => {
  const exchange = begin();
  assert.deepEqual(challenge(step(exchange, undefined)).length, 0);
  assert.equal(reason(step(exchange, new Uint8Array(0))), 'malformed');
});

test('any name and password that can be prepared open their own account; anything else is refused without an exception', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }),
      fc.uint8Array({ maxLength: 80 }),
      async (password, noise) => {
        const text = await scramCredential(password, random, 4096);
        assert.ok(['failed', 'challenge'].includes(step(begin(), noise).kind));
        if (text === undefined) return;
        assert.deepEqual(formatScramCredential(parseScramCredential(text)!), text);
        known.set('main/any', text);
        const { preparedText } = await import('./prepared-text.ts');
        const client = new ScramClient('any', preparedText(password)!);
        const exchange = begin();
        const said = challenge(step(exchange, client.first()));
        const done = step(exchange, client.final(said));
        assert.ok(done.kind === 'done' && client.trusts(done.data));
        const other = begin();
        assert.equal(step(other, noise.length === 0 ? 'n' : noise).kind === 'done', false);
      },
    ),
    { numRuns: 40 },
  );
});

test('a stored credential that is broken, or asks too little or too much, is none', async () => {
  const good = (await scramCredential('pw', random, 4096))!;
  assert.ok(parseScramCredential(good));
  for (const bad of [
    '',
    good.slice(1),
    good.replace('4096', '4095'),
    good.replace('4096', '99999999'),
    `${good}=`,
    good.replace('SHA-256', 'SHA-1'),
  ]) {
    assert.equal(parseScramCredential(bad), undefined, bad.slice(0, 30));
  }
  assert.equal(await scramCredential('with \u0007 bell', random), undefined);
});
