// Certificate requests come from devices that have not proved anything yet.

import assert from 'node:assert/strict';
import { readCertificateRequest } from '../../../src/security/pki/certificate-request.ts';
import { requestFault } from '../../../src/security/pki/request-check.ts';
import { requestFor } from '../../../src/security/pki/testing/request.ts';
import type { Target } from '../target.ts';

const maxBytes = 4096;
const settings = { validityDays: 30, maxValidityDays: 825, allowRsa: true };
const owner = { kind: 'device', id: 'pump-7' } as const;
const uri = 'heliograph:main/pump-7';
const codes = new Set(['malformed', 'too-large', 'bad-signature', 'weak-key', 'foreign-name', 'not-allowed']);
// One signature for all runs: signing with ECDSA is random, and a seed must not be.
const good = Buffer.from(
  '3081c830700201003011310f300d06035504030c0670756d702d373059301306072a8648ce3d020106082a8648ce3d03010703420004',
  'hex',
);

export const target: Target = {
  name: 'certificate-request',
  properties: [
    'a request is taken or refused with a code, and nothing is thrown',
    'what is taken names nobody but the owner',
    'it is read the same from PEM',
  ],
  covers: /\/src\/security\/pki\/(certificate-request|request-check|certificate-facts|der\/der-reader)\.ts$/,
  maxBytes,
  slowMs: 100,
  seeds: [good, requestFor('pump-7').der, requestFor('pump-7', { names: [{ uri }, { dns: 'pump-7' }, { ip: '192.0.2.7' }] }).der],
  dictionary: [
    '06032a0304',
    '0603551d0f',
    '0603551d11',
    '0603551d13',
    '0603551d25',
    '06092a864886f70d01090e',
    '06082a8648ce3d040302',
    '06032b6570',
  ].map((hex) => Buffer.from(hex, 'hex')),
  run(input) {
    const read = readCertificateRequest(input, maxBytes);
    const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${Buffer.from(input).toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
    const again = readCertificateRequest(pem, maxBytes);
    if (input.length > 0) assert.deepEqual(again.ok ? 'ok' : again.error.code, read.ok ? 'ok' : read.error.code);
    if (!read.ok) {
      assert.ok(codes.has(read.error.code) && read.error.message.length < 300);
      return [`${read.error.code} ${read.error.field ?? ''}`.slice(0, 60)];
    }
    const fault = requestFault({ tenant: 'main', owner, settings, request: read.value });
    if (fault !== undefined) return [`${fault.code} ${fault.field ?? ''}`.slice(0, 60)];
    for (const { text } of read.value.subject) assert.ok(['pump-7', 'main', 'main/pump-7'].includes(text), text);
    return ['taken'];
  },
};
