// What the server keeps of a password for SCRAM-SHA-256 (RFC 5802 §3, RFC 7677): neither the password nor anything by which one
// could sign in. As text: `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`, base64.

import { createHash, createHmac, pbkdf2 } from 'node:crypto';
import type { Random } from '../../base/random.ts';
import { preparedText } from './prepared-text.ts';

export type ScramCredential = {
  readonly iterations: number;
  readonly salt: Uint8Array;
  /** H(ClientKey): proves that the client knows the password. */
  readonly storedKey: Uint8Array;
  /** Proves to the client that the server knows its credential. */
  readonly serverKey: Uint8Array;
};

/** RFC 7677 §4: not below 4096. It is the client, perhaps a small one, that pays for each. */
export const minScramIterations = 4096;
export const defaultScramIterations = 20_000;
/** Stops a planted entry from keeping clients busy for ever. */
export const maxScramIterations = 10_000_000;
export const scramSaltBytes = 16;
const keyBytes = 32;

/** Undefined when the password cannot be one for SCRAM (RFC 4013). `random` must be the secure source. Off the event loop. */
export async function scramCredential(
  password: string,
  random: Random,
  iterations: number = defaultScramIterations,
): Promise<string | undefined> {
  const prepared = preparedText(password);
  if (prepared === undefined) return undefined;
  const salt = random.bytes(scramSaltBytes);
  return formatScramCredential(await deriveScram(prepared, salt, iterations));
}

/** `prepared`: after SASLprep. */
export async function deriveScram(prepared: string, salt: Uint8Array, iterations: number): Promise<ScramCredential> {
  const salted = await new Promise<Buffer>((resolve, reject) => {
    pbkdf2(prepared, salt, iterations, keyBytes, 'sha256', (error, key) => (error === null ? resolve(key) : reject(error)));
  });
  return { iterations, salt, storedKey: sha256(hmac(salted, 'Client Key')), serverKey: hmac(salted, 'Server Key') };
}

export function formatScramCredential({ iterations, salt, storedKey, serverKey }: ScramCredential): string {
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  return `SCRAM-SHA-256$${iterations}:${text(salt)}$${text(storedKey)}:${text(serverKey)}`;
}

const form = /^SCRAM-SHA-256\$(\d{1,8}):([A-Za-z0-9+/=]{8,128})\$([A-Za-z0-9+/]{43}=):([A-Za-z0-9+/]{43}=)$/;

/** Undefined when it is not one, or one that no client should be asked to use. */
export function parseScramCredential(text: string): ScramCredential | undefined {
  const found = form.exec(text);
  if (found === null) return undefined;
  const iterations = Number(found[1]);
  if (iterations < minScramIterations || iterations > maxScramIterations) return undefined;
  const [salt, storedKey, serverKey] = found.slice(2).map((part) => Buffer.from(part, 'base64')) as [Buffer, Buffer, Buffer];
  const credential = { iterations, salt, storedKey, serverKey };
  return formatScramCredential(credential) === text ? credential : undefined;
}

export function hmac(key: Uint8Array, text: string | Uint8Array): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

export function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
