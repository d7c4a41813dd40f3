// Any bytes as a question to the OCSP responder, which everybody may ask.

import assert from 'node:assert/strict';
import { maxSerialBytes } from '../../../src/security/pki/certificate-facts.ts';
import { readDer, tags, contentOf, unsignedHexOf } from '../../../src/security/pki/der/der-reader.ts';
import { octets } from '../../../src/security/pki/der/der-writer.ts';
import { nameDigests, ocspRequest, readOcspAnswer, readOcspRequest } from '../../../src/security/pki/revocation/ocsp-format.ts';
import type { Target } from '../target.ts';

const issuer = { subjectName: Buffer.from('30003000', 'hex'), keyBits: Buffer.from('key') };
const question = ocspRequest(issuer, '1234567890abcdef', undefined);
const withNonce = ocspRequest(issuer, 'ff', Buffer.alloc(32, 7));
const errorAnswer = Buffer.from('30030a0101', 'hex');

function run(input: Uint8Array): readonly string[] {
  // Read as an answer, too: those come from responders of others.
  const answer = readOcspAnswer(input);
  const request = readOcspRequest(input);
  if (request === undefined) return [answer === undefined ? 'malformed' : 'answer'];
  const { asked, nonce } = request;
  assert.ok(asked.length > 0 && asked.length <= 32, `${asked.length} are asked for`);
  assert.ok(nonce === undefined || (nonce.length > 0 && nonce.length <= 128), 'the nonce is bounded');
  for (const { der, serial, nameHash, keyHash } of asked) {
    assert.match(serial, /^(0|[1-9a-f][0-9a-f]*)$/);
    assert.ok(serial.length <= maxSerialBytes * 2);
    // What is repeated in the answer is what was asked for, and nothing more.
    const again = readDer(der, (reader) => {
      const id = reader.enter(tags.sequence);
      id.take(tags.sequence);
      return [id.take(tags.octetString), id.take(tags.octetString), id.take(tags.integer)] as const;
    });
    assert.ok(again !== undefined);
    assert.deepEqual([contentOf(again[0]), contentOf(again[1])], [nameHash, keyHash]);
    assert.equal(unsignedHexOf(again[2], maxSerialBytes), serial);
  }
  return [
    'request',
    `asked-${Math.min(asked.length, 3)}`,
    nonce === undefined ? 'plain' : 'nonce',
    nameDigests[asked[0]!.digest] ?? 'digest',
  ];
}

export const target: Target = {
  name: 'ocsp-request',
  properties: [
    'a question is read whole, or refused as malformed, and nothing is thrown',
    'what it asks for, and its nonce, are bounded, and are what stands in its bytes',
  ],
  covers: /\/src\/security\/pki\/(der|revocation)\//,
  maxBytes: 1024,
  slowMs: 100,
  seeds: [question, withNonce, errorAnswer, new Uint8Array()],
  dictionary: [
    octets(Buffer.from('x')),
    Buffer.from('0500', 'hex'),
    Buffer.from('06052b0e03021a', 'hex'),
    Buffer.from('a2', 'hex'),
    Buffer.from('3080', 'hex'),
  ],
  run,
};
