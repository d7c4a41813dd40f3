import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { madeRoot } from '../testing/made-certificates.ts';
import { certsOnly } from './certs-only.ts';

test('openssl reads the same certificates, in the same order', () => {
  const root = madeRoot('root');
  const own = root.issue('own');
  const options = { input: certsOnly(own.pem + root.pem), encoding: 'utf8' } as const;
  const printed = execFileSync('openssl', ['pkcs7', '-inform', 'DER', '-print_certs'], options);
  assert.deepEqual(printed.match(/subject=.*/g), ['subject=CN = own', 'subject=CN = root']);
  assert.ok(printed.includes(own.pem.trim()));
});
