// The AEAD of one direction of a session (RFC 5288, RFC 6655, RFC 7251), with the additional data of RFC 5246 §6.2.3.3, or that of
// RFC 9146 §5.3 where a Connection ID is agreed on. An object a session and direction: it is kept small.

import { createCipheriv, createDecipheriv, createSecretKey, type CipherCCMTypes, type CipherGCMTypes, type KeyObject } from 'node:crypto';
import { contentTypes, dtls12, recordHeaderBytes, type RecordCursor } from './record.ts';
import { prf } from './prf.ts';
import type { Suite } from './suites.ts';

const explicitNonceBytes = 8;
const keyBytes = 16;
const saltBytes = 4;
/** The last sequence number of 48 bits. */
const lastSequence = 2 ** 48 - 1;

const nonce = Buffer.alloc(saltBytes + explicitNonceBytes);
const plainAad = Buffer.alloc(13);

/** What protects records of one direction in epoch 1. */
export type Keys = { readonly key: KeyObject; readonly salt: number };

/** RFC 5246 §6.3: no MAC keys with AEAD. */
export function deriveKeys(master: KeyObject, clientRandom: Uint8Array, serverRandom: Uint8Array): { client: Keys; server: Keys } {
  const block = prf(master, 'key expansion', [serverRandom, clientRandom], 2 * (keyBytes + saltBytes));
  const keysAt = (i: number): Keys => ({
    key: createSecretKey(block.subarray(i * keyBytes, (i + 1) * keyBytes)),
    salt: block.readUInt32BE(2 * keyBytes + i * saltBytes),
  });
  const both = { client: keysAt(0), server: keysAt(1) };
  block.fill(0);
  return both;
}

function setNonce(salt: number, sequence: number): void {
  nonce.writeUInt32BE(salt, 0);
  nonce.writeUInt16BE(1, 4);
  nonce.writeUIntBE(sequence, 6, 6);
}

/** RFC 5246 §6.2.3.3, with epoch and sequence number in place of the implicit one (RFC 6347 §4.1.2.1). */
export function aadOf(type: number, sequence: number, length: number): Buffer {
  plainAad.writeUInt16BE(1, 0);
  plainAad.writeUIntBE(sequence, 2, 6);
  plainAad[8] = type;
  plainAad.writeUInt16BE(dtls12, 9);
  plainAad.writeUInt16BE(length, 11);
  return plainAad;
}

/** RFC 9146 §5.3. `length`: of the inner plaintext, content type and padding included. */
export function aadWithCid(cid: Uint8Array, sequence: number, length: number): Buffer {
  const aad = Buffer.alloc(23 + cid.length, 0xff);
  aad[8] = contentTypes.tls12Cid;
  aad[9] = cid.length;
  aad[10] = contentTypes.tls12Cid;
  aad.writeUInt16BE(dtls12, 11);
  aad.writeUInt16BE(1, 13);
  aad.writeUIntBE(sequence, 15, 6);
  aad.set(cid, 21);
  aad.writeUInt16BE(length, 21 + cid.length);
  return aad;
}

export class Sealer {
  readonly #suite: Suite;
  readonly #keys: Keys;
  /** The receiver's; empty: plain records. */
  readonly #cid: Uint8Array;
  #next = 0;

  constructor(suite: Suite, keys: Keys, cid: Uint8Array) {
    this.#suite = suite;
    this.#keys = keys;
    this.#cid = cid;
  }

  get isExhausted(): boolean {
    return this.#next > lastSequence;
  }

  /** How much longer a record is than what is in it. */
  get overhead(): number {
    const { tagBytes } = this.#suite;
    return recordHeaderBytes + explicitNonceBytes + tagBytes + (this.#cid.length === 0 ? 0 : this.#cid.length + 1);
  }

  /** A whole record. Not when exhausted. */
  seal(type: number, content: Uint8Array): Buffer {
    const { aead, tagBytes } = this.#suite;
    const cid = this.#cid;
    const sequence = this.#next++;
    const isPlain = cid.length === 0;
    const innerBytes = isPlain ? content.length : content.length + 1;
    const headerBytes = recordHeaderBytes + cid.length;
    const record = Buffer.allocUnsafe(headerBytes + explicitNonceBytes + innerBytes + tagBytes);
    record[0] = isPlain ? type : contentTypes.tls12Cid;
    record.writeUInt16BE(dtls12, 1);
    record.writeUInt16BE(1, 3);
    record.writeUIntBE(sequence, 5, 6);
    record.set(cid, 11);
    record.writeUInt16BE(explicitNonceBytes + innerBytes + tagBytes, headerBytes - 2);
    record.copyWithin(headerBytes, 3, 11);
    setNonce(this.#keys.salt, sequence);
    const cipher = cipherOf(aead, this.#keys.key, tagBytes);
    cipher.setAAD(isPlain ? aadOf(type, sequence, innerBytes) : aadWithCid(cid, sequence, innerBytes), { plaintextLength: innerBytes });
    record.set(cipher.update(isPlain ? content : withType(content, type)), headerBytes + explicitNonceBytes);
    cipher.final();
    record.set(cipher.getAuthTag(), record.length - tagBytes);
    return record;
  }
}

/** DTLSInnerPlaintext (RFC 9146 §4), without padding. */
function withType(content: Uint8Array, type: number): Uint8Array {
  const inner = Buffer.allocUnsafe(content.length + 1);
  inner.set(content);
  inner[content.length] = type;
  return inner;
}

function cipherOf(aead: Suite['aead'], key: KeyObject, authTagLength: number) {
  return aead === 'aes-128-ccm'
    ? createCipheriv(aead satisfies CipherCCMTypes, key, nonce, { authTagLength })
    : createCipheriv(aead satisfies CipherGCMTypes, key, nonce, { authTagLength });
}

function decipherOf(aead: Suite['aead'], key: KeyObject, authTagLength: number) {
  return aead === 'aes-128-ccm'
    ? createDecipheriv(aead satisfies CipherCCMTypes, key, nonce, { authTagLength })
    : createDecipheriv(aead satisfies CipherGCMTypes, key, nonce, { authTagLength });
}

export type Opened = { readonly type: number; readonly content: Buffer };

export class Opener {
  readonly #suite: Suite;
  readonly #keys: Keys;

  constructor(suite: Suite, keys: Keys) {
    this.#suite = suite;
    this.#keys = keys;
  }

  /** undefined: it does not open. */
  open(datagram: Uint8Array, record: RecordCursor): Opened | undefined {
    const { aead, tagBytes } = this.#suite;
    const from = record.start + explicitNonceBytes;
    const innerBytes = record.end - tagBytes - from;
    if (innerBytes < 0) return undefined;
    // The explicit nonce need not be the sequence number (RFC 5288 §3).
    nonce.writeUInt32BE(this.#keys.salt, 0);
    nonce.set(datagram.subarray(record.start, from), saltBytes);
    const hasCid = record.type === contentTypes.tls12Cid;
    const { sequence } = record;
    const aad = hasCid ? aadWithCid(record.cidIn(datagram), sequence, innerBytes) : aadOf(record.type, sequence, innerBytes);
    let content: Buffer;
    try {
      const decipher = decipherOf(aead, this.#keys.key, tagBytes);
      decipher.setAAD(aad, { plaintextLength: innerBytes });
      decipher.setAuthTag(datagram.subarray(record.end - tagBytes, record.end));
      content = decipher.update(datagram.subarray(from, from + innerBytes));
      decipher.final();
    } catch {
      return undefined;
    }
    if (!hasCid) return { type: record.type, content };
    // The content type is the last byte that is not zero (RFC 9146 §4).
    let last = content.length - 1;
    while (last >= 0 && content[last] === 0) last--;
    return last < 0 ? undefined : { type: content[last]!, content: content.subarray(0, last) };
  }
}
