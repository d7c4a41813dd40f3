import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../base/random.ts';
import { defaultCost, formatPasswordHash, hashPassword, impossibleHash, parsePasswordHash, verifyPassword } from './password-hash.ts';

const random = new SeededRandom(1);
const cheap = { memoryKib: 8, passes: 1, lanes: 1 };

test('a password is recognised by its hash, and others are not', async () => {
  const text = await hashPassword(Buffer.from('correct horse'), random, cheap);
  const hash = parsePasswordHash(text)!;
  assert.equal(await verifyPassword(Buffer.from('correct horse'), hash), true);
  assert.equal(await verifyPassword(Buffer.from('correct horsf'), hash), false);
  assert.equal(await verifyPassword(Buffer.from(''), hash), false);
  assert.notEqual(await hashPassword(Buffer.from('correct horse'), random, cheap), text, 'salted');
});

test('the cost is read from the hash, and it is another implementation’s hash that proves the format', async () => {
  // A test vector of the reference implementation: `password` with the salt `somesalt`.
  const reference = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc';
  const hash = parsePasswordHash(reference)!;
  assert.deepEqual(hash.cost, { memoryKib: 65_536, passes: 2, lanes: 1 });
  assert.equal(formatPasswordHash(hash), reference);
  assert.equal(await verifyPassword(Buffer.from('password'), hash), true);
});

test('what is not a hash, or costs too much, is not read', () => {
  const good = formatPasswordHash(impossibleHash(random));
  assert.deepEqual(parsePasswordHash(good)?.cost, defaultCost);
  for (const bad of [
    '',
    'secret',
    good.replace('argon2id', 'argon2i'),
    good.replace('v=19', 'v=16'),
    good.replace('m=19456', 'm=99999999'),
    good.replace('m=19456', 'm=1'),
    good.replace('t=2', 't=0'),
    good.replace('t=2', 't=100'),
    good.replace('p=1', 'p=17'),
    `${good}=`,
    good.slice(0, -30),
    `${good}\n`,
  ]) {
    assert.equal(parsePasswordHash(bad), undefined, bad);
  }
});

test('nobody has the impossible hash', async () => {
  assert.equal(await verifyPassword(Buffer.from(''), impossibleHash(random, cheap)), false);
});

test('where only approved algorithms may be used, PBKDF2 does it, and the reference agrees', async () => {
  const text = await hashPassword(Buffer.from('correct horse'), random, { algorithm: 'pbkdf2-sha512', iterations: 1000 });
  assert.match(text, /^\$pbkdf2-sha512\$i=1000\$/);
  const hash = parsePasswordHash(text)!;
  assert.equal(await verifyPassword(Buffer.from('correct horse'), hash), true);
  assert.equal(await verifyPassword(Buffer.from('correct horsf'), hash), false);
  // PBKDF2-HMAC-SHA256 of `passwd` with the salt `salt`, once: RFC 7914 §11, the first 32 bytes.
  const expected = Buffer.from('55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc', 'hex');
  const reference = { cost: { algorithm: 'pbkdf2-sha256', iterations: 1 }, salt: Buffer.from('salt'), tag: expected } as const;
  assert.equal(await verifyPassword(Buffer.from('passwd'), reference), true);
  for (const bad of [text.replace('i=1000', 'i=0'), text.replace('i=1000', 'i=99999999'), text.replace('sha512', 'sha1'), `${text}=`]) {
    assert.equal(parsePasswordHash(bad), undefined, bad.slice(0, 40));
  }
});
