import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allowsOrigin, localOrigins } from './web-origin.ts';

test('pages of this machine are local, on any port; others are not', () => {
  for (const origin of ['http://localhost:5173', 'https://LOCALHOST', 'http://127.0.0.1:80', 'http://[::1]:3000']) {
    assert.equal(allowsOrigin(localOrigins, origin), true, origin);
  }
  for (const origin of [
    'http://localhost.example.com:80',
    'http://evil.example',
    'null',
    'file://',
    'http://localhost:80.evil',
    'http://user@localhost:1',
  ]) {
    assert.equal(allowsOrigin(localOrigins, origin), false, origin);
  }
});

test('an origin without :* is meant with its very port', () => {
  assert.equal(allowsOrigin(['https://a.example:8443'], 'https://a.example:8443'), true);
  assert.equal(allowsOrigin(['https://a.example:8443'], 'https://a.example'), false);
  assert.equal(allowsOrigin([], 'https://a.example'), false);
});
