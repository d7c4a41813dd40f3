// Chains of certificates come in DTLS handshakes from anybody who has a key: one behind the other, as one DER element each.

import assert from 'node:assert/strict';
import { readDer } from '../../../src/security/pki/der/der-reader.ts';
import { PathValidator } from '../../../src/security/pki/path/path-validator.ts';
import { dnsName, dn, directoryName, ipName, nowMs, root, uriName } from '../../../src/security/pki/path/testing/path-maker.ts';
import { certificateFaults } from '../../../src/security/security.ts';
import type { Target } from '../target.ts';

const top = root('root', { permitted: [dnsName('example.com'), directoryName(dn('', 'Org'))] });
const middle = top.authority('middle', { subject: dn('middle', 'Org'), authority: 1, usages: ['1.3.6.1.5.5.7.3.2'] });
const names = [dnsName('a.example.com'), uriName('heliograph:main/pump-7'), ipName(10, 0, 0, 1)];
const own = middle.client('pump-7', { subject: dn('pump-7', 'Org'), names });
const plain = top.client('pump-8', { subject: dn('pump-8', 'Org') });
const validator = new PathValidator([top.der]);
const signed = new Set([own, middle, plain, top].map(({ der }) => tbsOf(der)));

export const target: Target = {
  name: 'certificate-chain',
  properties: [
    'a chain is taken or refused with a fault, and nothing is thrown',
    'what is taken was signed by the authority, byte for byte',
    'the answer is the same each time',
  ],
  covers: /\/src\/security\/pki\/(path\/[a-z-]+|der\/der-reader)\.ts$/,
  maxBytes: 4096,
  slowMs: 100,
  seeds: [Buffer.concat([own.der, middle.der]), plain.der, Buffer.concat([own.der, middle.der, top.der, plain.der])],
  dictionary: [
    '0603551d0f',
    '0603551d11',
    '0603551d13',
    '0603551d1e',
    '0603551d25',
    '0603551d23',
    '0603550403',
    '0101ff',
    'a003020102',
  ].map((hex) => Buffer.from(hex, 'hex')),
  run(input) {
    const chain = split(input);
    const verdict = validator.validate(chain, nowMs);
    const again = validator.validate(chain, nowMs);
    assert.equal(again.ok || again.fault, verdict.ok || verdict.fault);
    if (!verdict.ok) {
      assert.ok(certificateFaults.includes(verdict.fault));
      return [`${verdict.fault} ${chain.length}`];
    }
    assert.ok(signed.has(tbsOf(chain[0]!)), 'it was never signed');
    return [`taken ${chain.length}`];
  },
};

/** One element after the other; the rest, whatever it is, is the last. */
function split(input: Uint8Array): Uint8Array[] {
  const found: Uint8Array[] = [];
  let rest = input;
  while (rest.length > 0) {
    const length = rest[1] === 0x82 && rest.length >= 4 ? 4 + rest[2]! * 256 + rest[3]! : rest.length;
    found.push(rest.subarray(0, length));
    rest = rest.subarray(length);
  }
  return found;
}

/** What is signed of it, as hex: signatures themselves have more than one form. */
function tbsOf(der: Uint8Array): string {
  const found = readDer(der, (reader) => {
    const outer = reader.enter(0x30);
    const { start, end } = outer.take();
    while (!outer.atEnd) outer.take();
    return der.subarray(start, end);
  });
  return Buffer.from(found ?? []).toString('hex');
}
