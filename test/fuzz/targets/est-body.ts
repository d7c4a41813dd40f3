// Any body of a request for a certificate: as EST sends it (base64), as MQTT does (DER or PEM).

import assert from 'node:assert/strict';
import { oid } from '../../../src/security/pki/der/der-writer.ts';
import { decodeBody, encodeBody } from '../../../src/security/pki/enrolment/est-body.ts';
import { derOfRequest, readRequestFacts } from '../../../src/security/pki/enrolment/request-facts.ts';
import { madeRequest, requestPem } from '../../../src/security/pki/enrolment/testing/made-request.ts';
import type { Target } from '../target.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function run(input: Uint8Array): readonly string[] {
  const before = Buffer.from(input);
  const body = decodeBody(input);
  const seen: string[] = [];
  if ('fault' in body) {
    assert.ok(body.fault.length > 0 && body.fault.length < 200);
    seen.push(body.fault.slice(0, 15));
  } else {
    const again = decodeBody(Buffer.from(encodeBody(body.der)));
    assert.ok('der' in again && Buffer.from(again.der).equals(body.der), 'what was decoded is encoded to the same');
    seen.push('base64', ...look(body.der));
  }
  const der = derOfRequest(input);
  seen.push(der === undefined ? 'no pem' : 'der', ...(der === undefined ? [] : look(der)));
  assert.ok(before.equals(input), 'the input is left as it was');
  return seen;
}

function look(der: Uint8Array): string[] {
  const facts = readRequestFacts(der);
  if (facts === undefined) return ['no request'];
  assert.match(facts.keyHash, /^[0-9a-f]{64}$/);
  // Neither can be longer than what holds it.
  assert.ok([...facts.commonNames, ...(facts.uris ?? [])].join('').length <= der.length);
  return ['request', `names ${Math.min(facts.commonNames.length, 3)}`, `uris ${Math.min(facts.uris?.length ?? -1, 3)}`];
}

const plain = madeRequest('a');
const full = madeRequest(['a', 'b'], { uris: ['heliograph:main/a', 'x:y'], dnsNames: ['d'], attributes: ['1.2.840.113549.1.9.16.2.37'] });

export const target: Target = {
  name: 'est-body',
  properties: [
    'a body is decoded, or refused in words; decoding and encoding agree',
    'bytes are a request, or are not: nothing throws, nothing is changed, no name is longer than what holds it',
  ],
  covers: /\/src\/security\/pki\/(enrolment\/(est-body|request-facts)|der\/der-reader)\.ts$/,
  maxBytes: 2048,
  slowMs: 50,
  seeds: [plain, full, bytes(encodeBody(plain)), bytes(encodeBody(full)), bytes(requestPem(full)), bytes(''), bytes('YQ==')],
  dictionary: [
    ...['2.5.4.3', '2.5.29.17', '1.2.840.113549.1.9.14', '1.2.840.113549.1.9.16.2.54'].map(oid),
    ...['-----BEGIN CERTIFICATE REQUEST-----', '-----END CERTIFICATE REQUEST-----', '-----BEGIN NEW ', '=', '\r\n'].map(bytes),
    Buffer.of(0x30, 0x80),
    Buffer.of(0x30, 0x84, 0xff, 0xff, 0xff, 0xff),
    Buffer.of(0x1e, 3, 0, 65, 0),
    Buffer.of(0x86, 0),
    Buffer.of(0xa0, 0),
  ],
  run,
};
