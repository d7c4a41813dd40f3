import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../base/random.ts';
import { VerifiedCredentials } from './verified-credentials.ts';

test('only the same account and password are the same credentials', () => {
  const verified = new VerifiedCredentials<string>(10, new SeededRandom(1));
  const token = verified.tokenFor('main/ann', Buffer.from('pw'));
  assert.equal(token, verified.tokenFor('main/ann', Buffer.from('pw')));
  assert.notEqual(token, verified.tokenFor('main/an', Buffer.from('npw')));
  assert.notEqual(token, verified.tokenFor('main/ann', Buffer.from('pw2')));
  assert.notEqual(token, new VerifiedCredentials<string>(10, new SeededRandom(2)).tokenFor('main/ann', Buffer.from('pw')), 'keyed');
  assert.ok(!token.includes('pw') && !token.includes('ann'));
});

test('what was used least recently is forgotten first', () => {
  const verified = new VerifiedCredentials<string>(2, new SeededRandom(1));
  verified.put('a', 'A', '');
  verified.put('b', 'B', '');
  assert.equal(verified.get('a')?.subject, 'A');
  verified.put('c', 'C', '');
  assert.deepEqual([verified.get('a')?.subject, verified.get('b'), verified.get('c')?.subject], ['A', undefined, 'C']);
  assert.equal(verified.size, 2);
  verified.clear();
  assert.equal(verified.get('a'), undefined);
});

test('a size of nothing keeps nothing', () => {
  const verified = new VerifiedCredentials<string>(0, new SeededRandom(1));
  verified.put('a', 'A', '');
  assert.equal(verified.size, 0);
});
