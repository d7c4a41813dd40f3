import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../base/random.ts';
import { CookieJar } from './cookie.ts';

const peer = { address: '192.0.2.1', port: 5684 };
const random = Buffer.alloc(32, 1);

test('a cookie is good for its address, its random and its time, and for nothing else', () => {
  const jar = new CookieJar(new SeededRandom(1));
  const cookie = jar.bake(peer, random, 0);
  assert.ok(jar.isGood(cookie, peer, random, 0));
  assert.ok(!jar.isGood(cookie, { ...peer, port: 5685 }, random, 0));
  assert.ok(!jar.isGood(cookie, { ...peer, address: '192.0.2.2' }, random, 0));
  assert.ok(!jar.isGood(cookie, peer, Buffer.alloc(32, 2), 0));
  assert.ok(!jar.isGood(cookie.subarray(0, 15), peer, random, 0));
  assert.ok(!jar.isGood(new Uint8Array(), peer, random, 0));
  assert.ok(jar.isGood(cookie, peer, random, 60_001), 'the secret before the current one still counts');
  assert.ok(!jar.isGood(cookie, peer, random, 120_002));
});

test('after a long silence no old cookie is good', () => {
  const jar = new CookieJar(new SeededRandom(1));
  const cookie = jar.bake(peer, random, 0);
  assert.ok(!jar.isGood(cookie, peer, random, 300_000));
});
