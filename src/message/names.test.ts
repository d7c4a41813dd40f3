import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../base/random.ts';
import { generatePassword } from '../security/generate-password.ts';
import { nameFault, parseAccount } from './names.ts';

test('names hold nothing that means something elsewhere', () => {
  for (const good of ['a', 'pump-7', 'ann@example.com', 'Ünal Straße', 'x'.repeat(128)]) assert.equal(nameFault(good), undefined, good);
  for (const bad of ['', 'a/b', '+', 'a#', '$SYS', ' a', 'a\n', 'a\0', 'a\u200bb', '\ud800', 'x'.repeat(129)]) {
    assert.notEqual(nameFault(bad), undefined, JSON.stringify(bad));
  }
});

test('an account is a name, or a tenant and a name', () => {
  assert.deepEqual(parseAccount('ann'), { tenant: 'main', name: 'ann' });
  assert.deepEqual(parseAccount('acme/ann'), { tenant: 'acme', name: 'ann' });
  for (const bad of ['', '/', 'acme/', '/ann', 'a/b/c', '$x/ann']) assert.equal(parseAccount(bad), undefined, bad);
});

test('a generated password is long, readable and different each time', () => {
  const random = new SeededRandom(7);
  const seen = new Set(Array.from({ length: 100 }, () => generatePassword(random)));
  assert.equal(seen.size, 100);
  for (const password of seen) assert.match(password, /^([a-km-np-z2-9]{5}-){4}[a-km-np-z2-9]{5}$/);
});
