// The first of three passes: is it a certification request (PKCS #10, RFC 2986) at all? Its form, its key, its signature. What it
// asks for is read here and judged in request-check.ts.

import { createPublicKey, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { type Extension, readExtensions } from './certificate-facts.ts';
import {
  bitBytesOf,
  contentOf,
  context,
  DerError,
  DerReader,
  type Element,
  inside,
  oidOf,
  smallIntegerOf,
  tags,
  unsignedHexOf,
  wholeOf,
} from './der/der-reader.ts';
import type { IssueFault, IssueFaultCode, PkiResult } from './pki.ts';

export type RequestedKey = 'ecdsa-p256' | 'ecdsa-p384' | 'ed25519' | 'rsa';

export type NamePart = { readonly type: string; readonly text: string };

/** A request whose form is right and which its key has signed. */
export type CertificateRequest = {
  readonly subject: readonly NamePart[];
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  readonly keyType: RequestedKey;
  readonly extensions: readonly Extension[];
};

const maxNameParts = 32;
const maxAttributes = 16;
const maxTextBytes = 512;
const attributeIds = { extensionRequest: '1.2.840.113549.1.9.14', challengePassword: '1.2.840.113549.1.9.7' } as const;
const keyIds = { ec: '1.2.840.10045.2.1', rsa: '1.2.840.113549.1.1.1', ed25519: '1.3.101.112' } as const;
const curves: Readonly<Record<string, { readonly type: RequestedKey; readonly bytes: number }>> = {
  '1.2.840.10045.3.1.7': { type: 'ecdsa-p256', bytes: 65 },
  '1.3.132.0.34': { type: 'ecdsa-p384', bytes: 97 },
};
const rsaBits = { min: 2048, max: 4096 } as const;
/** What may sign the request, and with which kind of key. SHA-1 and MD5 are not among them. */
const signatures: Readonly<Record<string, { readonly digest: string | null; readonly key: 'ec' | 'rsa' | 'ed25519' }>> = {
  '1.2.840.10045.4.3.2': { digest: 'sha256', key: 'ec' },
  '1.2.840.10045.4.3.3': { digest: 'sha384', key: 'ec' },
  '1.2.840.10045.4.3.4': { digest: 'sha512', key: 'ec' },
  '1.2.840.113549.1.1.11': { digest: 'sha256', key: 'rsa' },
  '1.2.840.113549.1.1.12': { digest: 'sha384', key: 'rsa' },
  '1.2.840.113549.1.1.13': { digest: 'sha512', key: 'rsa' },
  '1.3.101.112': { digest: null, key: 'ed25519' },
};

/** Ends the reading; never leaves this file. */
class Refusal extends Error {
  readonly fault: IssueFault;

  constructor(code: IssueFaultCode, message: string, field?: string) {
    super(message);
    this.fault = { code, message, ...(field !== undefined && { field }) };
  }
}

/** `request` as in IssueRequest. Costs one verification of a signature, and nothing before its size is known to be in bounds. */
export function readCertificateRequest(request: Uint8Array | string, maxBytes: number): PkiResult<CertificateRequest> {
  try {
    return { ok: true, value: readRequest(request, maxBytes) };
  } catch (error) {
    if (error instanceof Refusal) return { ok: false, error: error.fault };
    throw error;
  }
}

function readRequest(request: Uint8Array | string, maxBytes: number): CertificateRequest {
  // PEM is a third longer, and has its first and last line.
  const bound = typeof request === 'string' ? Math.ceil(maxBytes * 1.5) + 256 : maxBytes;
  if (request.length > bound) throw new Refusal('too-large', `The request is larger than ${maxBytes} bytes.`);
  const der = typeof request === 'string' ? derOf(request) : request;
  if (der.length > maxBytes) throw new Refusal('too-large', `The request is larger than ${maxBytes} bytes.`);
  const outer = at('request', () => {
    const reader = new DerReader(der, 0, der.length);
    const found = reader.enter(tags.sequence);
    reader.end();
    return found;
  });
  const info = at('request', () => outer.take(tags.sequence));
  const algorithm = at('signatureAlgorithm', () => outer.take(tags.sequence));
  const signature = at('signature', () => bitBytesOf(outer.take(tags.bitString)));
  at('request', () => outer.end());
  const read = readInfo(inside(info));
  checkSignature(algorithm, read.key, wholeOf(info), signature);
  const { key: _, ...rest } = read;
  return rest;
}

/** Runs a step of the reading; what is not DER, or not what belongs there, is that field's fault. */
function at<T>(field: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw new Refusal('malformed', `The request cannot be read: ${error.message}.`, field);
  }
}

function derOf(text: string): Uint8Array {
  const body = /^\s*-----BEGIN (NEW )?CERTIFICATE REQUEST-----([A-Za-z0-9+/\s]+={0,2}\s*)-----END \1CERTIFICATE REQUEST-----\s*$/.exec(
    text,
  );
  // An optional group that is absent makes \1 match nothing, as is wanted.
  if (body === null) throw new Refusal('malformed', 'The request is not one PEM block called CERTIFICATE REQUEST.', 'request');
  return Buffer.from(body[2]!, 'base64');
}

function readInfo(info: DerReader): CertificateRequest & { readonly key: KeyObject } {
  at('version', () => {
    if (smallIntegerOf(info.take(tags.integer)) !== 0) throw new DerError('a version that there is not');
  });
  const subject = at('subject', () => readName(info.enter(tags.sequence)));
  const spki = at('publicKey', () => info.take(tags.sequence));
  const keyType = at('publicKey', () => keyTypeOf(inside(spki)));
  const publicKey = wholeOf(spki);
  const key = keyOf(publicKey);
  const extensions = at('attributes', () => {
    const found = readAttributes(info.enter(context(0)));
    info.end();
    return found;
  });
  return { subject, publicKey, keyType, extensions, key };
}

/** Name ::= SEQUENCE OF SET OF AttributeTypeAndValue. */
function readName(name: DerReader): NamePart[] {
  const found: NamePart[] = [];
  while (!name.atEnd) {
    const set = name.enter(tags.set);
    if (set.atEnd) throw new DerError('an empty part of a name');
    while (!set.atEnd) {
      const pair = set.enter(tags.sequence);
      const type = oidOf(pair.take(tags.oid));
      const text = textOf(pair.take());
      pair.end();
      if (found.length >= maxNameParts) throw new DerError('too many parts of a name');
      found.push({ type, text });
    }
  }
  return found;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(value: Element): string {
  const content = contentOf(value);
  if (content.length > maxTextBytes) throw new DerError('a name that is too long');
  // UTF8String; PrintableString and IA5String, which are ASCII.
  const isAscii = content.every((byte) => byte < 0x80);
  if (value.tag !== 0x0c && !((value.tag === 0x13 || value.tag === 0x16) && isAscii)) throw new DerError('a name that is no text');
  try {
    return utf8.decode(content);
  } catch {
    throw new DerError('a name that is not UTF-8');
  }
}

function keyTypeOf(spki: DerReader): RequestedKey {
  const algorithm = spki.enter(tags.sequence);
  const bits = bitBytesOf(spki.take(tags.bitString));
  spki.end();
  const id = oidOf(algorithm.take(tags.oid));
  if (id === keyIds.ed25519) {
    algorithm.end();
    if (bits.length !== 32) throw new DerError('a key of a wrong length');
    return 'ed25519';
  }
  if (id === keyIds.rsa) {
    algorithm.take(tags.null);
    algorithm.end();
    checkRsa(bits);
    return 'rsa';
  }
  if (id !== keyIds.ec) throw new Refusal('weak-key', 'Keys of this kind are not accepted: use P-256, P-384, Ed25519 or RSA.', 'publicKey');
  // Parameters written out could be those of a curve that somebody made for the occasion (RFC 5480 §2.1.1).
  if (algorithm.nextTag !== tags.oid) throw new Refusal('weak-key', 'The curve of the key must be given by its name.', 'publicKey');
  const curve = curves[oidOf(algorithm.take(tags.oid))];
  algorithm.end();
  if (curve === undefined) throw new Refusal('weak-key', 'The curve of the key is not accepted: use P-256 or P-384.', 'publicKey');
  if (bits[0] !== 0x04 || bits.length !== curve.bytes) throw new DerError('a point that is not written out in full');
  return curve.type;
}

function checkRsa(bits: Uint8Array): void {
  const outer = new DerReader(bits, 0, bits.length);
  const numbers = outer.enter(tags.sequence);
  outer.end();
  const modulus = BigInt(`0x${unsignedHexOf(numbers.take(tags.integer), 2048)}`);
  const exponent = BigInt(`0x${unsignedHexOf(numbers.take(tags.integer), 2048)}`);
  numbers.end();
  const length = modulus.toString(2).length;
  if (length < rsaBits.min || length > rsaBits.max) {
    throw new Refusal('weak-key', `An RSA key must have ${rsaBits.min} to ${rsaBits.max} bits, not ${length}.`, 'publicKey');
  }
  // A small exponent makes forging easier, a large one makes each of our verifications slow.
  const isUsual = exponent >= 65_537n && exponent < 1n << 32n && exponent % 2n === 1n && modulus % 2n === 1n;
  if (!isUsual) throw new Refusal('weak-key', 'The exponent of the RSA key is not accepted: use 65537.', 'publicKey');
}

function keyOf(publicKey: Uint8Array): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
  } catch {
    throw new Refusal('malformed', 'The key of the request is none: its point is not on the curve.', 'publicKey');
  }
}

function readAttributes(attributes: DerReader): readonly Extension[] {
  const seen = new Set<string>();
  let extensions: readonly Extension[] = [];
  while (!attributes.atEnd) {
    const attribute = attributes.enter(tags.sequence);
    const type = oidOf(attribute.take(tags.oid));
    const values = attribute.enter(tags.set);
    attribute.end();
    if (seen.has(type) || seen.size >= maxAttributes) throw new DerError('an attribute twice, or too many');
    seen.add(type);
    if (type === attributeIds.extensionRequest) extensions = readExtensions(values);
    // Nobody asks for it here; EST may (RFC 7030 §3.5).
    else if (type !== attributeIds.challengePassword) {
      throw new Refusal('not-allowed', `The request has an attribute (${type}) that no profile gives.`, 'attributes');
    }
  }
  return extensions;
}

function checkSignature(algorithm: Element, key: KeyObject, signed: Uint8Array, signature: Uint8Array): void {
  const id = at('signatureAlgorithm', () => {
    const reader = inside(algorithm);
    const found = oidOf(reader.take(tags.oid));
    reader.takeIf(tags.null);
    reader.end();
    return found;
  });
  const how = signatures[id];
  if (how === undefined)
    throw new Refusal('weak-key', `The request is signed by a method (${id}) that is not accepted.`, 'signatureAlgorithm');
  if (how.key !== key.asymmetricKeyType)
    throw new Refusal('bad-signature', 'The request is not signed by a key of its kind.', 'signatureAlgorithm');
  if (!verify(how.digest, signed, { key, dsaEncoding: 'der' }, signature)) {
    throw new Refusal('bad-signature', 'The request is not signed by its own key.', 'signature');
  }
}
