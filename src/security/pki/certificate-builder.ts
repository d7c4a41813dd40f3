// Puts certificates together (RFC 5280 §4.1). Whoever calls decides what stands in them; here it only gets its form, and the
// signature of a Signer.

import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { bitBytesOf, context, primitiveContext, readDer, tags } from './der/der-reader.ts';
import { bits, element, extension, integer, octets, oid, sequence, time, yes } from './der/der-writer.ts';
import type { Random } from '../../base/random.ts';
import type { Signer } from './pki.ts';
import { signatureAlgorithms } from './revocation/signatures.ts';

const serialBytes = 16;
const utf8String = 0x0c;

export type CertificateDraft = {
  /** Hexadecimal. */
  readonly serial: string;
  /** Name, DER: byte by byte the subject of the issuer's certificate. */
  readonly issuerName: Uint8Array;
  readonly subjectName: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  readonly extensions: readonly Uint8Array[];
};

/** DER. Rejects when the signer does. */
export async function buildCertificate(draft: CertificateDraft, signer: Signer): Promise<Buffer> {
  const algorithm = signatureAlgorithms[signer.algorithm];
  const tbs = sequence(
    // Version 3.
    element(context(0), integer(2)),
    integer(draft.serial),
    algorithm,
    draft.issuerName,
    sequence(time(draft.notBeforeMs), time(draft.notAfterMs)),
    draft.subjectName,
    draft.publicKey,
    element(context(3), sequence(...draft.extensions)),
  );
  return sequence(tbs, algorithm, bits(await signer.sign(tbs)));
}

/** A positive number of 127 bits, hexadecimal, which nobody can guess (RFC 5280 §4.1.2.2). `random` must be the secure source. */
export function newSerial(random: Random): string {
  const bytes = Buffer.from(random.bytes(serialBytes));
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toString('hex');
}

const attributes = { CN: '2.5.4.3', O: '2.5.4.10' } as const;

/** Name, DER; what is undefined is left out. */
export function distinguishedName(parts: { readonly O?: string | undefined; readonly CN?: string | undefined }): Buffer {
  const sets: Buffer[] = [];
  for (const key of ['O', 'CN'] as const) {
    const text = parts[key];
    if (text === undefined) continue;
    sets.push(element(tags.set, sequence(oid(attributes[key]), element(utf8String, Buffer.from(text, 'utf8')))));
  }
  return sequence(...sets);
}

/** RFC 5280 §4.2.1.9. */
export function basicConstraints(authority: { readonly pathLength: number } | undefined): Buffer {
  return extension('2.5.29.19', authority === undefined ? sequence() : sequence(yes, integer(authority.pathLength)), true);
}

const usageBits = { digitalSignature: 0, nonRepudiation: 1, keyEncipherment: 2, keyCertSign: 5, cRLSign: 6 } as const;
export type KeyUsage = keyof typeof usageBits;

/** RFC 5280 §4.2.1.3. All named bits are in the first byte. */
export function keyUsage(usages: readonly KeyUsage[]): Buffer {
  let byte = 0;
  for (const usage of usages) byte |= 0x80 >> usageBits[usage];
  const unused = 31 - Math.clz32(byte & -byte);
  return extension('2.5.29.15', element(tags.bitString, Buffer.of(unused, byte)), true);
}

/** RFC 5280 §4.2.1.12. */
export function extendedKeyUsage(usages: readonly string[]): Buffer {
  return extension('2.5.29.37', sequence(...usages.map((usage) => oid(usage))));
}

export type AlternativeName = { readonly uri: string } | { readonly dns: string } | { readonly ip: string };

/** RFC 5280 §4.2.1.6: critical where the subject is empty. */
export function subjectAlternativeName(names: readonly AlternativeName[], isCritical: boolean): Buffer {
  const encoded = names.map((name) => {
    if ('uri' in name) return element(primitiveContext(6), Buffer.from(name.uri, 'latin1'));
    if ('dns' in name) return element(primitiveContext(2), Buffer.from(name.dns, 'latin1'));
    return element(primitiveContext(7), addressBytes(name.ip));
  });
  return extension('2.5.29.17', sequence(...encoded), isCritical);
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  // The URL parser knows every spelling of an IPv6 address, and gives one.
  const groups = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const [head, tail] = groups.map((part) => part.split(':').filter((group) => group !== '')) as [string[], string[] | undefined];
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - head.length - tail.length }, () => '0');
  return Buffer.from([...head, ...zeros, ...(tail ?? [])].map((group) => group.padStart(4, '0')).join(''), 'hex');
}

/** The bits of a key, out of its SubjectPublicKeyInfo. */
export function keyBitsOf(publicKey: Uint8Array): Uint8Array {
  const found = readDer(publicKey, (reader) => {
    const inner = reader.enter(tags.sequence);
    inner.take(tags.sequence);
    return bitBytesOf(inner.take(tags.bitString));
  });
  if (found === undefined) throw new Error('not a SubjectPublicKeyInfo');
  return found;
}

/** Of the bits of a key: SHA-256, the first 160 bits (RFC 7093 §2, method 1). */
export function keyIdOf(keyBits: Uint8Array): Buffer {
  return createHash('sha256').update(keyBits).digest().subarray(0, 20);
}

/** RFC 5280 §4.2.1.2. */
export function subjectKeyId(id: Uint8Array): Buffer {
  return extension('2.5.29.14', octets(id));
}

/** RFC 5280 §4.2.1.1. */
export function authorityKeyId(id: Uint8Array): Buffer {
  return extension('2.5.29.35', sequence(element(primitiveContext(0), id)));
}

/** RFC 5280 §4.2.1.13. */
export function crlDistributionPoint(url: string): Buffer {
  const name = element(context(0), element(context(0), element(primitiveContext(6), Buffer.from(url, 'latin1'))));
  return extension('2.5.29.31', sequence(sequence(name)));
}

/** RFC 5280 §4.2.2.1. */
export function authorityInformation(urls: { readonly ocsp: string; readonly issuer: string }): Buffer {
  const access = (method: string, url: string): Buffer => sequence(oid(method), element(primitiveContext(6), Buffer.from(url, 'latin1')));
  return extension('1.3.6.1.5.5.7.1.1', sequence(access('1.3.6.1.5.5.7.48.1', urls.ocsp), access('1.3.6.1.5.5.7.48.2', urls.issuer)));
}
