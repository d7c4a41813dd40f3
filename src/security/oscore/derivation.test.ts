import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aeadAlgorithm, aeadAlgorithms, hkdfAlgorithm } from './algorithms.ts';
import { aadOf, deriveKeys, lastSequence, nonceOf, pivOf, sequenceOf, type ContextInput } from './derivation.ts';

const hex = (text: string): Uint8Array => Buffer.from(text, 'hex');
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const none = new Uint8Array(0);

function input(given: Partial<ContextInput>): ContextInput {
  return {
    algorithm: aeadAlgorithms[0]!,
    hkdf: hkdfAlgorithm(-10)!,
    masterSecret: hex('0102030405060708090a0b0c0d0e0f10'),
    masterSalt: hex('9e7ca92223786340'),
    senderId: none,
    recipientId: hex('01'),
    idContext: undefined,
    ...given,
  };
}

/** RFC 8613 appendix C.1 to C.3: of the client; the server's keys are the same the other way round. */
const vectors: readonly [string, Partial<ContextInput>, sender: string, recipient: string, iv: string][] = [
  ['C.1', {}, 'f0910ed7295e6ad4b54fc793154302ff', 'ffb14e093c94c9cac9471648b4f98710', '4622d4dd6d944168eefb54987c'],
  [
    'C.2',
    { masterSalt: none, senderId: hex('00') },
    '321b26943253c7ffb6003b0b64d74041',
    'e57b5635815177cd679ab4bcec9d7dda',
    'be35ae297d2dace910c52e99f9',
  ],
  [
    'C.3',
    { idContext: hex('37cbf3210017a2d3') },
    'af2a1300a5e95788b356336eeecd2b92',
    'e39a0c7c77b43f03b4b39ab9a268699f',
    '2ca58fb85ff1b81c0b7181b85e',
  ],
];

test('keys and common IV are those of RFC 8613 appendix C, on both sides', () => {
  for (const [name, given, sender, recipient, iv] of vectors) {
    const client = input(given);
    const keys = deriveKeys(client);
    const found = [keys.sender.export().toString('hex'), keys.recipient.export().toString('hex'), text(keys.commonIv)];
    assert.deepEqual(found, [sender, recipient, iv], name);
    const server = deriveKeys({ ...client, senderId: client.recipientId, recipientId: client.senderId });
    const other = [server.recipient.export().toString('hex'), server.sender.export().toString('hex'), text(server.commonIv)];
    assert.deepEqual(other, [sender, recipient, iv], name);
    assert.notEqual(keys.fingerprint, server.fingerprint);
  }
});

test('nonces are those of RFC 8613 appendix C.1, C.4 and C.8', () => {
  const { commonIv } = deriveKeys(input({}));
  assert.equal(text(nonceOf(commonIv, none, pivOf(0))), '4622d4dd6d944168eefb54987c');
  assert.equal(text(nonceOf(commonIv, hex('01'), pivOf(0))), '4722d4dd6d944169eefb54987c');
  assert.equal(text(nonceOf(commonIv, none, hex('14'))), '4622d4dd6d944168eefb549868');
});

test('what is authenticated is that of RFC 8613 appendix C.4 and C.5', () => {
  const algorithm = aeadAlgorithm(10)!;
  assert.equal(text(aadOf(algorithm, none, hex('14'))), '8368456e63727970743040488501810a40411440');
  assert.equal(text(aadOf(algorithm, hex('00'), hex('14'))), '8368456e63727970743040498501810a4100411440');
  assert.equal(text(aadOf(aeadAlgorithm(24)!, none, hex('14'))).slice(22), '49850181181840411440');
});

test('a Partial IV has one form', () => {
  for (const [sequence, piv] of [
    [0, '00'],
    [20, '14'],
    [255, 'ff'],
    [256, '0100'],
    [lastSequence, 'ffffffffff'],
  ] as const) {
    assert.equal(text(pivOf(sequence)), piv);
    assert.equal(sequenceOf(hex(piv)), sequence);
  }
  for (const wrong of ['', '0001', '0000', '010000000000']) assert.equal(sequenceOf(hex(wrong)), undefined, wrong);
});
