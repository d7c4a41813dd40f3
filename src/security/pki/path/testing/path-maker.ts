// Certificates for tests of path validation: every field can be made wrong, and nothing is looked up or checked.

import { createHash, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { context, primitiveContext, tags } from '../../der/der-reader.ts';
import { bits, element, extension, integer, nothing, octets, oid, sequence, time, yes } from '../../der/der-writer.ts';

export const dayMs = 86_400_000;
/** A time that all is made around; the oracle is told it, too. */
export const nowMs = Date.UTC(2026, 5, 1);

export type KeyPair = { readonly key: KeyObject; readonly spki: Buffer };
export type KeyKind = 'p256' | 'p384' | 'ed25519' | 'rsa2048' | 'rsa1024' | 'secp256k1';

/** RSA keys take long to make, so there is one of each size. */
const kept = new Map<KeyKind, KeyPair>();

export function keyPair(kind: KeyKind = 'p256'): KeyPair {
  const found = kept.get(kind);
  if (found !== undefined) return found;
  const key = newKey(kind);
  const pair = { key, spki: createPublicKey(key).export({ type: 'spki', format: 'der' }) };
  if (kind.startsWith('rsa')) kept.set(kind, pair);
  return pair;
}

function newKey(kind: KeyKind): KeyObject {
  if (kind === 'ed25519') return generateKeyPairSync('ed25519').privateKey;
  if (kind === 'rsa1024' || kind === 'rsa2048') return generateKeyPairSync('rsa', { modulusLength: Number(kind.slice(3)) }).privateKey;
  const namedCurve = { p256: 'P-256', p384: 'P-384', secp256k1: 'secp256k1' }[kind];
  return generateKeyPairSync('ec', { namedCurve }).privateKey;
}

export type Parts = {
  readonly keys?: KeyPair;
  readonly subject?: Buffer;
  /** As written into it; else the issuer's subject. */
  readonly issuerName?: Buffer;
  readonly serial?: string | number;
  readonly fromMs?: number;
  readonly toMs?: number;
  /** A number is its path length. */
  readonly authority?: boolean | number;
  /** Undefined: as is fit; 'none': no such extension. */
  readonly keyUsage?: number | 'none';
  readonly usages?: readonly string[];
  readonly names?: readonly Buffer[];
  readonly permitted?: readonly Buffer[];
  readonly excluded?: readonly Buffer[];
  readonly more?: readonly Buffer[];
  /** No basicConstraints at all. */
  readonly isPlain?: boolean;
  readonly version?: number;
  readonly hash?: 'sha256' | 'sha1';
  /** Signs instead of the issuer's key. */
  readonly signer?: KeyPair;
  /** Key ids are left out. */
  readonly withoutKeyIds?: boolean;
  /** Something in it is changed after it was signed. */
  readonly isForged?: boolean;
};

export class PathCert {
  readonly der: Buffer;
  readonly keys: KeyPair;
  readonly subject: Buffer;

  constructor(der: Buffer, keys: KeyPair, subject: Buffer) {
    this.der = der;
    this.keys = keys;
    this.subject = subject;
  }

  get pem(): string {
    return `-----BEGIN CERTIFICATE-----\n${this.der.toString('base64').replaceAll(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`;
  }

  /** An authority below this one. */
  authority(name: string, parts: Parts = {}): PathCert {
    return made(name, this, { authority: true, ...parts });
  }

  /** A client's certificate. */
  client(name = 'device', parts: Parts = {}): PathCert {
    return made(name, this, parts);
  }
}

export function root(name = 'root', parts: Parts = {}): PathCert {
  return made(name, undefined, { authority: true, ...parts });
}

let lastSerial = 0x1000;

function made(commonName: string, issuer: PathCert | undefined, parts: Parts): PathCert {
  const { keys = keyPair(), subject = dn(commonName), serial = ++lastSerial, version = 2 } = parts;
  const signer = parts.signer ?? issuer?.keys ?? keys;
  const algorithm = algorithmOf(signer.key, parts.hash ?? 'sha256');
  const all = version < 2 ? [] : extensions(keys, issuer?.keys ?? keys, parts);
  const tbs = sequence(
    ...(version === 0 ? [] : [element(context(0), integer(version))]),
    integer(serial),
    algorithm,
    parts.issuerName ?? issuer?.subject ?? subject,
    sequence(time(parts.fromMs ?? nowMs - dayMs), time(parts.toMs ?? nowMs + 30 * dayMs)),
    subject,
    keys.spki,
    ...(all.length === 0 ? [] : [element(context(3), sequence(...all))]),
  );
  const digest = signer.key.asymmetricKeyType === 'ed25519' ? null : (parts.hash ?? 'sha256');
  const signature = sign(digest, tbs, { key: signer.key, dsaEncoding: 'der' });
  if (parts.isForged === true) signature[signature.length - 1]! ^= 1;
  return new PathCert(sequence(tbs, algorithm, bits(signature)), keys, subject);
}

function algorithmOf({ asymmetricKeyType: type }: KeyObject, hash: 'sha256' | 'sha1'): Buffer {
  if (type === 'ed25519') return sequence(oid('1.3.101.112'));
  if (type === 'rsa') return sequence(oid(hash === 'sha1' ? '1.2.840.113549.1.1.5' : '1.2.840.113549.1.1.11'), nothing);
  return sequence(oid(hash === 'sha1' ? '1.2.840.10045.4.1' : '1.2.840.10045.4.3.2'));
}

export const usage = { client: '1.3.6.1.5.5.7.3.2', server: '1.3.6.1.5.5.7.3.1', any: '2.5.29.37.0' } as const;
/** The first byte of the bit string. */
export const keyUsage = { sign: 0x80, agree: 0x08, certSign: 0x04, crlSign: 0x02, encipher: 0x20 } as const;

function extensions(keys: KeyPair, by: KeyPair, parts: Parts): Buffer[] {
  const { authority = false, usages = [], names = [], permitted = [], excluded = [], more = [] } = parts;
  const isAuthority = authority !== false;
  const all: Buffer[] = [...more];
  if (parts.isPlain !== true) {
    const length = typeof authority === 'number' ? [integer(authority)] : [];
    all.push(extension('2.5.29.19', isAuthority ? sequence(yes, ...length) : sequence(), true));
  }
  const said = parts.keyUsage ?? (isAuthority ? keyUsage.certSign | keyUsage.crlSign : keyUsage.sign);
  if (said !== 'none') all.push(extension('2.5.29.15', element(tags.bitString, Buffer.of(unusedBits(said), said)), true));
  if (parts.withoutKeyIds !== true) {
    all.push(extension('2.5.29.14', octets(keyId(keys))), extension('2.5.29.35', sequence(element(primitiveContext(0), keyId(by)))));
  }
  if (usages.length > 0) all.push(extension('2.5.29.37', sequence(...usages.map(oid))));
  if (names.length > 0) all.push(extension('2.5.29.17', sequence(...names)));
  const trees = (tag: number, found: readonly Buffer[]): Buffer[] =>
    found.length === 0 ? [] : [element(context(tag), ...found.map((tree) => sequence(tree)))];
  const constraints = [...trees(0, permitted), ...trees(1, excluded)];
  if (constraints.length > 0) all.push(extension('2.5.29.30', sequence(...constraints), true));
  return all;
}

function unusedBits(value: number): number {
  let unused = 0;
  while (unused < 7 && ((value >> unused) & 1) === 0) unused++;
  return unused;
}

function keyId({ spki }: KeyPair): Buffer {
  return createHash('sha1').update(spki).digest();
}

// --- names ---

const text = (tag: number, value: string): Buffer => element(tag, Buffer.from(value, 'latin1'));

/** Relative names: organization first, where there is one. */
export function dn(commonName: string, organization?: string, stringTag = 0x0c): Buffer {
  const one = (type: string, value: string): Buffer => element(tags.set, sequence(oid(type), text(stringTag, value)));
  const parts = commonName === '' ? [] : [one('2.5.4.3', commonName)];
  return sequence(...(organization === undefined ? [] : [one('2.5.4.10', organization)]), ...parts);
}

export function dnWithEmail(commonName: string, email: string): Buffer {
  return sequence(
    element(tags.set, sequence(oid('2.5.4.3'), text(0x0c, commonName))),
    element(tags.set, sequence(oid('1.2.840.113549.1.9.1'), text(0x16, email))),
  );
}

export const dnsName = (value: string): Buffer => text(primitiveContext(2), value);
export const emailName = (value: string): Buffer => text(primitiveContext(1), value);
export const uriName = (value: string): Buffer => text(primitiveContext(6), value);
export const ipName = (...bytes: readonly number[]): Buffer => element(primitiveContext(7), Buffer.from(bytes));
export const directoryName = (name: Buffer): Buffer => element(context(4), name);
export const otherName = (id: string, value: string): Buffer => element(context(0), oid(id), element(context(0), text(0x0c, value)));
export const registeredId = (id: string): Buffer => element(primitiveContext(8), oid(id).subarray(2));
