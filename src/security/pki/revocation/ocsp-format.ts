// Questions and answers of the online certificate status protocol as bytes (RFC 6960 §4).

import { createHash } from 'node:crypto';
import type { CertificateFacts } from '../certificate-facts.ts';
import { maxSerialBytes, readExtensions } from '../certificate-facts.ts';
import {
  bitBytesOf,
  context,
  contentOf,
  DerError,
  oidOf,
  primitiveContext,
  readDer,
  smallIntegerOf,
  tags,
  timeOf,
  unsignedHexOf,
  wholeOf,
  type DerReader,
} from '../der/der-reader.ts';
import { bits, element, enumerated, extension, generalizedTime, integer, nothing, octets, oid, sequence } from '../der/der-writer.ts';
import type { Signer } from '../pki.ts';
import { readAlgorithm, signatureAlgorithms } from './signatures.ts';

const nonceId = '1.3.6.1.5.5.7.48.1.2';
const basicResponseId = '1.3.6.1.5.5.7.48.1.1';
const sha1Id = '1.3.14.3.2.26';
/** RFC 9654 §2.1: a responder may refuse longer ones. */
const maxNonceBytes = 128;
/** Certificates asked for in one question. */
const maxAsked = 32;
const maxCertificates = 8;

/** The digests by which an issuer may be named. */
export const nameDigests: Readonly<Record<string, 'sha1' | 'sha256'>> = { [sha1Id]: 'sha1', '2.16.840.1.101.3.4.2.1': 'sha256' };

export type CertificateId = {
  /** The whole CertID, for the answer to repeat. */
  readonly der: Uint8Array;
  /** Object identifier. */
  readonly digest: string;
  readonly nameHash: Uint8Array;
  readonly keyHash: Uint8Array;
  readonly serial: string;
};

export type OcspRequest = {
  readonly asked: readonly CertificateId[];
  /** The octets of the nonce. */
  readonly nonce: Uint8Array | undefined;
};

/** Undefined: malformed. A signature is read over: everybody may ask (RFC 6960 §4.1.2). */
export function readOcspRequest(der: Uint8Array): OcspRequest | undefined {
  return readDer(der, (reader) => {
    const outer = reader.enter(tags.sequence);
    const tbs = outer.enter(tags.sequence);
    outer.takeIf(context(0));
    outer.end();
    const version = tbs.enterIf(context(0));
    if (version !== undefined && smallIntegerOf(version.take(tags.integer)) !== 0) throw new DerError('version');
    tbs.takeIf(context(1));
    const list = tbs.enter(tags.sequence);
    const asked: CertificateId[] = [];
    while (!list.atEnd) {
      if (asked.length === maxAsked) throw new DerError('too many');
      const one = list.enter(tags.sequence);
      asked.push(readCertificateId(one));
      one.takeIf(context(0));
      one.end();
    }
    if (asked.length === 0) throw new DerError('nothing is asked');
    const nonce = readNonce(tbs.enterIf(context(2)));
    tbs.end();
    return { asked, nonce };
  });
}

function readCertificateId(reader: DerReader): CertificateId {
  const whole = reader.take(tags.sequence);
  const inner = readerOf(wholeOf(whole));
  const digest = readAlgorithm(inner);
  const nameHash = contentOf(inner.take(tags.octetString));
  const keyHash = contentOf(inner.take(tags.octetString));
  const serial = unsignedHexOf(inner.take(tags.integer), maxSerialBytes);
  inner.end();
  return { der: wholeOf(whole), digest, nameHash, keyHash, serial };
}

/** Of a whole sequence. */
function readerOf(whole: Uint8Array): DerReader {
  let inner: DerReader | undefined;
  readDer(whole, (reader) => {
    inner = reader.enter(tags.sequence);
  });
  return inner!;
}

function readNonce(tagged: DerReader | undefined): Uint8Array | undefined {
  if (tagged === undefined) return undefined;
  const value = readExtensions(tagged).find(({ id }) => id === nonceId)?.value;
  if (value === undefined) return undefined;
  const nonce = readDer(value, (reader) => contentOf(reader.take(tags.octetString)));
  if (nonce === undefined || nonce.length === 0 || nonce.length > maxNonceBytes) throw new DerError('nonce');
  return nonce;
}

export type Issuer = Pick<CertificateFacts, 'subjectName' | 'keyBits'>;

/** How a question names an issuer, by a digest. */
export function issuerHashes({ subjectName, keyBits }: Issuer, digest: 'sha1' | 'sha256'): { readonly name: Buffer; readonly key: Buffer } {
  return { name: createHash(digest).update(subjectName).digest(), key: createHash(digest).update(keyBits).digest() };
}

export function ocspRequest(issuer: Issuer, serial: string, nonce: Uint8Array | undefined): Buffer {
  const list = sequence(sequence(certificateId(issuer, serial)));
  if (nonce === undefined) return sequence(sequence(list));
  return sequence(sequence(list, element(context(2), sequence(extension(nonceId, octets(nonce))))));
}

/** With SHA-1, which names and does not protect, and which every responder knows (RFC 5019 §2.1.1). */
export function certificateId(issuer: Issuer, serial: string): Buffer {
  const { name, key } = issuerHashes(issuer, 'sha1');
  return sequence(sequence(oid(sha1Id), nothing), octets(name), octets(key), integer(serial));
}

export type CertificateStatus =
  | { readonly kind: 'good' }
  /** Not registered: it was perhaps never issued. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'revoked'; readonly atMs: number; readonly reason: number };

export type SingleAnswer = { readonly id: Uint8Array; readonly status: CertificateStatus };

export type OcspAnswer = {
  readonly answers: readonly SingleAnswer[];
  readonly producedMs: number;
  readonly nextUpdateMs: number;
  readonly nonce: Uint8Array | undefined;
  /** Whose signer signs. */
  readonly issuer: Issuer;
};

/** @throws what the signer rejects with */
export async function signOcspAnswer(answer: OcspAnswer, signer: Signer): Promise<Buffer> {
  const algorithm = signatureAlgorithms[signer.algorithm];
  const { producedMs, nextUpdateMs, nonce } = answer;
  const responder = element(context(2), octets(issuerHashes(answer.issuer, 'sha1').key));
  const singles = answer.answers.map(({ id, status }) =>
    sequence(id, statusElement(status), generalizedTime(producedMs), element(context(0), generalizedTime(nextUpdateMs))),
  );
  const data = [responder, generalizedTime(producedMs), sequence(...singles)];
  if (nonce !== undefined) data.push(element(context(1), sequence(extension(nonceId, octets(nonce)))));
  const tbs = sequence(...data);
  const basic = sequence(tbs, algorithm, bits(await signer.sign(tbs)));
  return sequence(enumerated(0), element(context(0), sequence(oid(basicResponseId), octets(basic))));
}

function statusElement(status: CertificateStatus): Buffer {
  if (status.kind === 'good') return Buffer.of(primitiveContext(0), 0);
  if (status.kind === 'unknown') return Buffer.of(primitiveContext(2), 0);
  const reason = status.reason === 0 ? [] : [element(context(0), enumerated(status.reason))];
  return element(context(1), generalizedTime(status.atMs), ...reason);
}

/** OCSPResponseStatus; these have no content and no signature. */
export const ocspErrors = { malformedRequest: 1, internalError: 2, tryLater: 3, unauthorized: 6 } as const;

export function ocspError(status: keyof typeof ocspErrors): Buffer {
  return sequence(enumerated(ocspErrors[status]));
}

export type ReadOcspAnswer = {
  readonly answers: readonly {
    readonly id: CertificateId;
    readonly status: CertificateStatus;
    readonly thisUpdateMs: number;
    readonly nextUpdateMs: number | undefined;
  }[];
  /** Name or SHA-1 of the key of who has signed. */
  readonly responder: { readonly name: Uint8Array } | { readonly keyHash: Uint8Array };
  readonly nonce: Uint8Array | undefined;
  readonly signed: Uint8Array;
  readonly algorithm: string;
  readonly signature: Uint8Array;
  /** DER. */
  readonly certificates: readonly Uint8Array[];
};

/** Reads an answer without checking its signature. Undefined: malformed, or an error of the responder. */
export function readOcspAnswer(der: Uint8Array): ReadOcspAnswer | undefined {
  const basic = readDer(der, (reader) => {
    const outer = reader.enter(tags.sequence);
    const status = contentOf(outer.take(tags.enumerated));
    if (status.length !== 1 || status[0] !== 0) throw new DerError('not successful');
    const inner = outer.enter(context(0)).enter(tags.sequence);
    outer.end();
    if (oidOf(inner.take(tags.oid)) !== basicResponseId) throw new DerError('another type');
    return contentOf(inner.take(tags.octetString));
  });
  return basic && readDer(basic, readBasic);
}

function readBasic(reader: DerReader): ReadOcspAnswer {
  const outer = reader.enter(tags.sequence);
  const signed = wholeOf(outer.take(tags.sequence));
  const algorithm = readAlgorithm(outer);
  const signature = bitBytesOf(outer.take(tags.bitString));
  const list = outer.enterIf(context(0))?.enter(tags.sequence);
  const certificates: Uint8Array[] = [];
  while (list !== undefined && !list.atEnd && certificates.length < maxCertificates) certificates.push(wholeOf(list.take(tags.sequence)));
  outer.end();
  const tbs = readerOf(signed);
  const version = tbs.enterIf(context(0));
  if (version !== undefined && smallIntegerOf(version.take(tags.integer)) !== 0) throw new DerError('version');
  const name = tbs.enterIf(context(1));
  const responder =
    name === undefined ? { keyHash: contentOf(tbs.enter(context(2)).take(tags.octetString)) } : { name: wholeOf(name.take()) };
  timeOf(tbs.take(tags.generalizedTime));
  const singles = tbs.enter(tags.sequence);
  const answers: ReadOcspAnswer['answers'][number][] = [];
  while (!singles.atEnd && answers.length < maxAsked) answers.push(readSingle(singles.enter(tags.sequence)));
  const nonce = readNonce(tbs.enterIf(context(1)));
  tbs.end();
  return { answers, responder, nonce, signed, algorithm, signature, certificates };
}

function readSingle(single: DerReader): ReadOcspAnswer['answers'][number] {
  const id = readCertificateId(single);
  const status = readStatus(single);
  const thisUpdateMs = timeOf(single.take(tags.generalizedTime));
  const next = single.enterIf(context(0));
  const nextUpdateMs = next === undefined ? undefined : timeOf(next.take(tags.generalizedTime));
  single.takeIf(context(1));
  single.end();
  return { id, status, thisUpdateMs, nextUpdateMs };
}

function readStatus(single: DerReader): CertificateStatus {
  if (single.takeIf(primitiveContext(0)) !== undefined) return { kind: 'good' };
  if (single.takeIf(primitiveContext(2)) !== undefined) return { kind: 'unknown' };
  const info = single.enter(context(1));
  const atMs = timeOf(info.take(tags.generalizedTime));
  const code = info.enterIf(context(0));
  const reason = code === undefined ? 0 : (contentOf(code.take(tags.enumerated))[0] ?? 0);
  info.end();
  return { kind: 'revoked', atMs, reason };
}
