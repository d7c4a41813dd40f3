import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError, parseConfig } from '../config.ts';

function mistakes(security: object): string[] {
  try {
    parseConfig('h.yaml', JSON.stringify({ security }));
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems.map(({ path, what }) => `${path}: ${what}`);
  }
  return [];
}

const issuer = { name: 'login', issuer: 'https://login.example', audience: ['heliograph'] };
const issuers = (...list: object[]): string[] => mistakes({ jwt: { issuers: list } });

test('issuers and the webhook as they may be', () => {
  assert.deepEqual(issuers(issuer), []);
  assert.deepEqual(issuers({ ...issuer, keys: 'url', keysUrl: 'http://127.0.0.1:9/keys', issuer: 'anything' }), []);
  assert.deepEqual(issuers({ ...issuer, keys: 'file', keysFile: 'keys.json', claims: { roles: 'a.b' }, tenants: ['acme'] }), []);
  assert.deepEqual(mistakes({ webhook: { url: 'https://auth.example/x', tenants: ['acme'] } }), []);
});

test('what could be read or answered on the way, and what makes no sense, is refused', () => {
  assert.match(issuers({ ...issuer, issuer: 'http://login.example' }).join(), /issuers\.0\.issuer: must begin with https/);
  assert.match(issuers({ ...issuer, issuer: 'login' }).join(), /is no URL/);
  assert.match(issuers({ ...issuer, keys: 'url' }).join(), /needs keysUrl/);
  assert.match(issuers({ ...issuer, keys: 'file', keysUrl: 'https://x' }).join(), /needs keysFile.*has no meaning with keys: file/s);
  assert.match(issuers({ ...issuer, keys: 'url', keysUrl: 'ftp://x' }).join(), /must begin with https/);
  assert.match(issuers(issuer, issuer).join(), /issuers\.1\.name.*issuers\.1\.issuer/s);
  assert.match(issuers({ ...issuer, audience: [] }).join(), /audience/);
  assert.match(issuers({ ...issuer, algorithms: ['HS256'] }).join(), /algorithms/);
  assert.match(issuers({ ...issuer, algorithms: ['none'] }).join(), /algorithms/);
  assert.match(issuers({ ...issuer, tenant: 'a/b' }).join(), /the name "a\/b" holds/);
  assert.match(mistakes({ webhook: { url: 'http://auth.example/x' } }).join(), /security\.webhook\.url: must begin with https/);
  assert.match(mistakes({ webhook: { url: 'https://a:b@auth.example/x' } }).join(), /holds a name or a password/);
  assert.match(mistakes({ webhook: { tenants: ['$system'] } }).join(), /starts with \$/);
});
