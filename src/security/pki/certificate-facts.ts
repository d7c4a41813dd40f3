// What revocation needs to know of a certificate and Node's X509Certificate does not tell: names and keys as bytes, usages as they
// stand there, and where its revocation is published (RFC 5280 §4).

import { createHash } from 'node:crypto';
import {
  bitBytesOf,
  booleanOf,
  context,
  contentOf,
  inside,
  oidOf,
  primitiveContext,
  readDer,
  smallIntegerOf,
  tags,
  timeOf,
  unsignedHexOf,
  wholeOf,
  DerError,
  type DerReader,
  type Element,
} from './der/der-reader.ts';

/** Buffers are parts of the certificate's DER. */
export type CertificateFacts = {
  /** Lower-case hex without leading zeros, as in the registry. */
  readonly serial: string;
  /** Name, DER. */
  readonly issuerName: Uint8Array;
  readonly subjectName: Uint8Array;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** SHA-256 of it, lower-case hex: the id of an authority. */
  readonly keyId: string;
  /** The key's bits alone, of which OCSP makes its hash (RFC 6960 §4.1.1). */
  readonly keyBits: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly isAuthority: boolean;
  /** Most authorities below it. */
  readonly pathLength: number | undefined;
  /** May it sign CRLs: true also when the certificate says nothing of its usage. */
  readonly mayCrlSign: boolean;
  /** Object identifiers; undefined: it may be used for anything. */
  readonly extendedUsages: readonly string[] | undefined;
  readonly subjectKeyId: Uint8Array | undefined;
  readonly authorityKeyId: Uint8Array | undefined;
  readonly crlUrls: readonly string[];
  readonly ocspUrls: readonly string[];
};

export const extendedUsage = { clientAuth: '1.3.6.1.5.5.7.3.2', ocspSigning: '1.3.6.1.5.5.7.3.9' } as const;

/** RFC 5280 §4.1.2.2. */
export const maxSerialBytes = 20;
const maxExtensions = 64;
const maxUrls = 8;
const maxUrlLength = 1024;

type Draft = { -readonly [K in keyof CertificateFacts]: CertificateFacts[K] };

/** Undefined when it is no certificate that could be used here: other bytes, a serial number of more than 20 bytes. */
export function certificateFacts(der: Uint8Array): CertificateFacts | undefined {
  return readDer(der, (reader) => {
    const outer = reader.enter(tags.sequence);
    const facts = readTbs(outer.enter(tags.sequence));
    outer.take(tags.sequence);
    outer.take(tags.bitString);
    outer.end();
    return facts;
  });
}

function readTbs(tbs: DerReader): CertificateFacts {
  tbs.takeIf(context(0));
  const serial = unsignedHexOf(tbs.take(tags.integer), maxSerialBytes);
  tbs.take(tags.sequence);
  const issuerName = wholeOf(tbs.take(tags.sequence));
  const validity = tbs.enter(tags.sequence);
  const notBeforeMs = timeOf(validity.take());
  const notAfterMs = timeOf(validity.take());
  const subjectName = wholeOf(tbs.take(tags.sequence));
  const key = tbs.take(tags.sequence);
  const publicKey = wholeOf(key);
  const keyReader = inside(key);
  keyReader.take(tags.sequence);
  const draft: Draft = {
    serial,
    issuerName,
    subjectName,
    publicKey,
    keyId: authorityIdOf(publicKey),
    keyBits: bitBytesOf(keyReader.take(tags.bitString)),
    notBeforeMs,
    notAfterMs,
    isAuthority: false,
    pathLength: undefined,
    mayCrlSign: true,
    extendedUsages: undefined,
    subjectKeyId: undefined,
    authorityKeyId: undefined,
    crlUrls: [],
    ocspUrls: [],
  };
  tbs.takeIf(primitiveContext(1));
  tbs.takeIf(primitiveContext(2));
  const extensions = tbs.enterIf(context(3));
  if (extensions !== undefined) for (const { id, value } of readExtensions(extensions)) apply(draft, id, value);
  tbs.end();
  return draft;
}

/** The id of an authority: SHA-256 of its SubjectPublicKeyInfo. */
export function authorityIdOf(publicKey: Uint8Array): string {
  return createHash('sha256').update(publicKey).digest('hex');
}

export type Extension = { readonly id: string; readonly isCritical: boolean; readonly value: Uint8Array };

/** The list of extensions that the explicit tag holds. No extension may stand there twice (RFC 5280 §4.2). */
export function readExtensions(tagged: DerReader): Extension[] {
  const list = tagged.enter(tags.sequence);
  tagged.end();
  const found: Extension[] = [];
  while (!list.atEnd) {
    const one = list.enter(tags.sequence);
    const id = oidOf(one.take(tags.oid));
    const critical = one.takeIf(tags.boolean);
    const value = contentOf(one.take(tags.octetString));
    one.end();
    if (found.length >= maxExtensions || found.some((other) => other.id === id)) throw new DerError('extensions');
    found.push({ id, isCritical: critical !== undefined && booleanOf(critical), value });
  }
  return found;
}

function apply(draft: Draft, id: string, value: Uint8Array): void {
  const read = readers[id];
  if (read === undefined) return;
  const done = readDer(value, (reader) => {
    read(draft, reader);
    return true;
  });
  if (done === undefined) throw new DerError(`extension ${id}`);
}

const readers: Readonly<Record<string, (draft: Draft, reader: DerReader) => void>> = {
  // RFC 5280 §4.2.1.2
  '2.5.29.14': (draft, reader) => {
    draft.subjectKeyId = contentOf(reader.take(tags.octetString));
  },
  // §4.2.1.3: bit 6 is cRLSign
  '2.5.29.15': (draft, reader) => {
    draft.mayCrlSign = ((contentOf(reader.take(tags.bitString))[1] ?? 0) & 0x02) !== 0;
  },
  // §4.2.1.9
  '2.5.29.19': (draft, reader) => {
    const inner = reader.enter(tags.sequence);
    const ca = inner.takeIf(tags.boolean);
    draft.isAuthority = ca !== undefined && booleanOf(ca);
    const pathLength = inner.takeIf(tags.integer);
    if (pathLength !== undefined) draft.pathLength = smallIntegerOf(pathLength);
  },
  // §4.2.1.13
  '2.5.29.31': (draft, reader) => {
    draft.crlUrls = readDistributionPoints(reader);
  },
  // §4.2.1.1
  '2.5.29.35': (draft, reader) => {
    const inner = reader.enter(tags.sequence);
    const id = inner.takeIf(primitiveContext(0));
    if (id !== undefined) draft.authorityKeyId = contentOf(id);
  },
  // §4.2.1.12
  '2.5.29.37': (draft, reader) => {
    const list = reader.enter(tags.sequence);
    const usages: string[] = [];
    while (!list.atEnd && usages.length < maxExtensions) usages.push(oidOf(list.take(tags.oid)));
    draft.extendedUsages = usages;
  },
  // §4.2.2.1
  '1.3.6.1.5.5.7.1.1': (draft, reader) => {
    const list = reader.enter(tags.sequence);
    const urls: string[] = [];
    while (!list.atEnd) {
      const one = list.enter(tags.sequence);
      const method = oidOf(one.take(tags.oid));
      const url = urlOf(one.take());
      if (method === '1.3.6.1.5.5.7.48.1' && url !== undefined && urls.length < maxUrls) urls.push(url);
    }
    draft.ocspUrls = urls;
  },
};

function readDistributionPoints(reader: DerReader): string[] {
  const list = reader.enter(tags.sequence);
  const urls: string[] = [];
  while (!list.atEnd) {
    const point = list.enter(tags.sequence);
    const names = point.enterIf(context(0))?.enterIf(context(0));
    const reasonsOnly = point.takeIf(primitiveContext(1));
    const otherIssuer = point.takeIf(context(2));
    // A list for some reasons only, or somebody else's, would not say that a certificate is good.
    while (names !== undefined && !names.atEnd) {
      const url = urlOf(names.take());
      if (url !== undefined && reasonsOnly === undefined && otherIssuer === undefined && urls.length < maxUrls) urls.push(url);
    }
  }
  return urls;
}

/** uniformResourceIdentifier of a GeneralName, when it is an HTTP one. */
function urlOf(name: Element): string | undefined {
  if (name.tag !== primitiveContext(6) || name.end - name.from > maxUrlLength) return undefined;
  const text = Buffer.from(contentOf(name)).toString('latin1');
  return /^https?:\/\/[!-~]+$/i.test(text) && URL.canParse(text) ? text : undefined;
}
