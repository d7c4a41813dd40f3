// Keys of a security context from its master secret (RFC 8613 §3.2.1), nonces (§5.2) and what is authenticated besides (§5.4).
// Of CBOR only what these three need is written here.

import { createHash, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import type { AeadAlgorithm, HkdfAlgorithm } from './algorithms.ts';

/** What both ends were given. Ids are those of this side: what it sends with, and what it receives from. */
export type ContextInput = {
  readonly algorithm: AeadAlgorithm;
  readonly hkdf: HkdfAlgorithm;
  readonly masterSecret: Uint8Array;
  readonly masterSalt: Uint8Array;
  readonly senderId: Uint8Array;
  readonly recipientId: Uint8Array;
  readonly idContext: Uint8Array | undefined;
};

export type ContextKeys = {
  readonly sender: KeyObject;
  readonly recipient: KeyObject;
  readonly commonIv: Uint8Array;
  /** Names these keys without telling anything of them: what their numbers are kept under. */
  readonly fingerprint: string;
};

/** RFC 8613 §5: a Partial IV has at most so many bytes, */
export const maxPivBytes = 5;
/** and so this is the last number. */
export const lastSequence = 2 ** 40 - 1;

export function deriveKeys(input: ContextInput): ContextKeys {
  const { algorithm, senderId, recipientId } = input;
  const sender = derive(input, senderId, 'Key', algorithm.keyBytes);
  const recipient = derive(input, recipientId, 'Key', algorithm.keyBytes);
  const commonIv = derive(input, new Uint8Array(0), 'IV', algorithm.nonceBytes);
  const digest = createHash('sha256')
    .update('oscore sequence numbers')
    .update(Uint8Array.of(algorithm.number & 0xff));
  const fingerprint = digest.update(sender).update(recipient).update(commonIv).digest('hex').slice(0, 32);
  const keys = { sender: createSecretKey(sender), recipient: createSecretKey(recipient) };
  sender.fill(0);
  recipient.fill(0);
  return { ...keys, commonIv, fingerprint };
}

function derive(input: ContextInput, id: Uint8Array, type: 'Key' | 'IV', length: number): Uint8Array {
  const { algorithm, hkdf, masterSecret, masterSalt, idContext } = input;
  const info = Buffer.concat([
    Uint8Array.of(0x85),
    cborBytes(id),
    idContext === undefined ? Uint8Array.of(0xf6) : cborBytes(idContext),
    cborUint(algorithm.number),
    cborHead(0x60, type.length),
    Buffer.from(type),
    cborUint(length),
  ]);
  return new Uint8Array(hkdfSync(hkdf.hash, masterSecret, masterSalt, info, length));
}

/** RFC 8613 §5.2. `id` is that of who has chosen the Partial IV. */
export function nonceOf(commonIv: Uint8Array, id: Uint8Array, piv: Uint8Array): Uint8Array {
  const nonce = new Uint8Array(commonIv);
  const { length } = nonce;
  nonce[0] = nonce[0]! ^ id.length;
  for (let i = 0, at = length - maxPivBytes - id.length; i < id.length; i++) nonce[at + i] = nonce[at + i]! ^ id[i]!;
  for (let i = 0, at = length - piv.length; i < piv.length; i++) nonce[at + i] = nonce[at + i]! ^ piv[i]!;
  return nonce;
}

/** RFC 8613 §5.4: the Enc_structure around external_aad. No option is of class I, so the last item is empty. */
export function aadOf(algorithm: AeadAlgorithm, requestKid: Uint8Array, requestPiv: Uint8Array): Uint8Array {
  const alg = cborUint(algorithm.number);
  const external = Buffer.concat([Uint8Array.of(0x85, 0x01, 0x81), alg, cborBytes(requestKid), cborBytes(requestPiv), Uint8Array.of(0x40)]);
  return Buffer.concat([encrypt0, cborHead(0x40, external.length), external]);
}

/** Array of three: "Encrypt0", no protected header. */
const encrypt0 = Buffer.from('8368456e63727970743040', 'hex');

/** RFC 8613 §6.1: in as few bytes as it takes, 0 is one zero. */
export function pivOf(sequence: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = sequence; rest > 0 || bytes.length === 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Uint8Array.from(bytes);
}

/** Undefined: it is no Partial IV in its one form. */
export function sequenceOf(piv: Uint8Array): number | undefined {
  if (piv.length === 0 || piv.length > maxPivBytes || (piv.length > 1 && piv[0] === 0)) return undefined;
  let sequence = 0;
  for (const byte of piv) sequence = sequence * 256 + byte;
  return sequence;
}

function cborBytes(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([cborHead(0x40, bytes.length), bytes]);
}

function cborUint(value: number): Uint8Array {
  return cborHead(0, value);
}

/** `value` below 65,536. */
function cborHead(major: number, value: number): Uint8Array {
  if (value < 24) return Uint8Array.of(major | value);
  return value < 256 ? Uint8Array.of(major | 24, value) : Uint8Array.of(major | 25, value >>> 8, value & 0xff);
}
