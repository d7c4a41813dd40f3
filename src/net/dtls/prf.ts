// The pseudorandom function of TLS 1.2 with SHA-256 (RFC 5246 §5), and what is derived with it.

import { createHash, createHmac, createSecretKey, type KeyObject } from 'node:crypto';

/** `secret` is a KeyObject: Node imports a raw key anew for each HMAC, which costs four times the HMAC. */
export function prf(secret: KeyObject, label: string, seed: readonly Uint8Array[], length: number): Buffer {
  const labelled = [Buffer.from(label, 'latin1'), ...seed];
  const hmac = (...parts: readonly Uint8Array[]): Buffer => {
    const mac = createHmac('sha256', secret);
    for (const part of parts) mac.update(part);
    return mac.digest();
  };
  const out: Buffer[] = [];
  let a = hmac(...labelled);
  for (let have = 0; have < length; have += 32) {
    if (have > 0) a = hmac(a);
    out.push(hmac(a, ...labelled));
  }
  return Buffer.concat(out, length);
}

export const masterSecretBytes = 48;

/** `sessionHash`: of the messages up to ClientKeyExchange (RFC 7627 §4); undefined: the old way, from the two randoms. */
export function masterSecret(premaster: Uint8Array, sessionHash: Uint8Array | undefined, randoms: readonly Uint8Array[]): KeyObject {
  const from = createSecretKey(premaster);
  const master =
    sessionHash === undefined
      ? prf(from, 'master secret', randoms, masterSecretBytes)
      : prf(from, 'extended master secret', [sessionHash], masterSecretBytes);
  premaster.fill(0);
  const key = createSecretKey(master);
  master.fill(0);
  return key;
}

/** The shared secret is absent in plain PSK: then as many zeros stand in its place (RFC 4279 §2, RFC 5489 §2). */
export function pskPremaster(psk: KeyObject, shared: Uint8Array | undefined): Buffer {
  const secret = psk.export();
  const first = shared ?? new Uint8Array(secret.length);
  const out = Buffer.alloc(4 + first.length + secret.length);
  out.writeUInt16BE(first.length, 0);
  out.set(first, 2);
  out.writeUInt16BE(secret.length, 2 + first.length);
  out.set(secret, 4 + first.length);
  secret.fill(0);
  return out;
}

/** RFC 5246 §7.4.9. Outside of Node's pool of buffers: a session keeps it for a while, and would keep 8 KiB of the pool with it. */
export function finishedData(master: KeyObject, side: 'client' | 'server', transcript: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(prf(master, `${side} finished`, [sha256(transcript)], 12));
}

export function sha256(parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
