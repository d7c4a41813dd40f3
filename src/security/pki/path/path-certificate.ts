// A certificate as path validation looks at it. Read from its DER; Node's X509Certificate is there for its key and signature alone.

import { X509Certificate, type KeyObject } from 'node:crypto';
import { maxSerialBytes, readExtensions } from '../certificate-facts.ts';
import {
  bitBytesOf,
  booleanOf,
  context,
  contentOf,
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
} from '../der/der-reader.ts';
import { commonNamesIn, emailsIn, nameOf, type DistinguishedName } from './distinguished-name.ts';
import { generalNames, nameConstraints, type GeneralName, type NameConstraints } from './general-name.ts';
import { isStrongKey, isStrongSignature } from './key-strength.ts';

export type PathCertificate = {
  readonly x509: X509Certificate;
  readonly key: KeyObject;
  readonly der: Uint8Array;
  readonly serial: string;
  readonly issuer: DistinguishedName;
  readonly subject: DistinguishedName;
  /** DER, as it stands there. */
  readonly subjectDer: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** The key, and the algorithm that it was signed with. */
  readonly isStrong: boolean;
  readonly hasStrongSignature: boolean;
  readonly isAuthority: boolean;
  readonly pathLength: number | undefined;
  /** undefined: nothing is said of its usage. */
  readonly keyUsage: KeyUsage | undefined;
  /** undefined: it may be used for anything. */
  readonly extendedUsages: readonly string[] | undefined;
  readonly constraints: NameConstraints | undefined;
  /** Every name it gives its holder that a constraint may be about. */
  readonly names: readonly GeneralName[];
  readonly subjectKeyId: Uint8Array | undefined;
  readonly authorityKeyId: AuthorityKeyId | undefined;
  /** Id of a critical extension that is not understood here. */
  readonly unknownCritical: string | undefined;
};

export type KeyUsage = { readonly digitalSignature: boolean; readonly keyCertSign: boolean };
type AuthorityKeyId = { readonly keyId: Uint8Array | undefined; readonly serial: string | undefined };

type Read = Omit<PathCertificate, 'x509' | 'key' | 'der' | 'isStrong'>;
type Draft = { -readonly [K in keyof Read]: Read[K] } & { alternativeNames: GeneralName[] };

/** Bytes of a certificate: nobody has larger ones, and what is larger could make us compute. */
export const maxCertificateBytes = 16_384;

/** undefined: these bytes are no certificate that could be used here. They are copied. */
export function pathCertificate(given: Uint8Array): PathCertificate | undefined {
  if (given.length > maxCertificateBytes) return undefined;
  const der = Buffer.from(given);
  const read = readDer(der, readCertificate);
  if (read === undefined) return undefined;
  try {
    const x509 = new X509Certificate(der);
    // What OpenSSL reads must be what we have read, to the last byte.
    if (!x509.raw.equals(der)) return undefined;
    const key = x509.publicKey;
    return { ...read, x509, key, der, isStrong: isStrongKey(key) };
  } catch {
    return undefined;
  }
}

/** RFC 5280 §4.1. */
function readCertificate(reader: DerReader): Read {
  const outer = reader.enter(tags.sequence);
  const { alternativeNames, ...read } = readTbs(outer.enter(tags.sequence), (signature) => {
    const said = outer.take(tags.sequence);
    // §4.1.1.2: the algorithm stands twice, and only one of the two is signed.
    if (Buffer.compare(wholeOf(said), signature) !== 0) throw new DerError('two algorithms');
    const strong = isStrongSignature(said);
    bitBytesOf(outer.take(tags.bitString));
    outer.end();
    return strong;
  });
  return { ...read, names: namesOf(read, alternativeNames) };
}

function readTbs(tbs: DerReader, readRest: (signature: Uint8Array) => boolean): Draft {
  const explicit = tbs.enterIf(context(0));
  const version = explicit === undefined ? 0 : smallIntegerOf(explicit.take(tags.integer));
  explicit?.end();
  if (version > 2) throw new DerError('version');
  const serial = unsignedHexOf(tbs.take(tags.integer), maxSerialBytes);
  const signature = wholeOf(tbs.take(tags.sequence));
  const issuer = nameOf(tbs.take(tags.sequence));
  // §4.1.2.4
  if (issuer.length === 0) throw new DerError('no issuer');
  const validity = tbs.enter(tags.sequence);
  const notBeforeMs = timeOf(validity.take());
  const notAfterMs = timeOf(validity.take());
  validity.end();
  const subjectElement = tbs.take(tags.sequence);
  tbs.take(tags.sequence);
  tbs.takeIf(primitiveContext(1));
  tbs.takeIf(primitiveContext(2));
  const draft: Draft = {
    serial,
    issuer,
    subject: nameOf(subjectElement),
    subjectDer: wholeOf(subjectElement),
    notBeforeMs,
    notAfterMs,
    hasStrongSignature: readRest(signature),
    isAuthority: false,
    pathLength: undefined,
    keyUsage: undefined,
    extendedUsages: undefined,
    constraints: undefined,
    names: [],
    alternativeNames: [],
    subjectKeyId: undefined,
    authorityKeyId: undefined,
    unknownCritical: undefined,
  };
  const extensions = tbs.enterIf(context(3));
  tbs.end();
  if (extensions === undefined) return draft;
  // §4.1.2.1
  if (version !== 2) throw new DerError('extensions before version 3');
  for (const { id, isCritical, value } of readExtensions(extensions)) apply(draft, id, isCritical, value);
  return draft;
}

function apply(draft: Draft, id: string, isCritical: boolean, value: Uint8Array): void {
  const read = readers[id];
  if (read === undefined) {
    if (isCritical && !ignorable.has(id)) draft.unknownCritical ??= id;
    return;
  }
  const done = readDer(value, (reader) => {
    read(draft, reader);
    return true;
  });
  if (done === undefined) throw new DerError(`extension ${id}`);
}

/**
 * What may be critical and is not looked at here: policies, since none is demanded (§6.1.1 (c): any-policy, and nothing explicit), and
 * where revocation is published, which is looked at when the certificate is admitted. OpenSSL does the same.
 */
const ignorable: ReadonlySet<string> = new Set(['2.5.29.31', '2.5.29.32', '2.5.29.33', '2.5.29.36', '2.5.29.54']);

const readers: Readonly<Record<string, (draft: Draft, reader: DerReader) => void>> = {
  // §4.2.1.2
  '2.5.29.14': (draft, reader) => {
    draft.subjectKeyId = contentOf(reader.take(tags.octetString));
  },
  // §4.2.1.3
  '2.5.29.15': (draft, reader) => {
    const [unused = 8, first = 0] = contentOf(reader.take(tags.bitString));
    if (unused > 7) throw new DerError('key usage');
    draft.keyUsage = { digitalSignature: (first & 0x80) !== 0, keyCertSign: (first & 0x04) !== 0 };
  },
  // §4.2.1.6
  '2.5.29.17': (draft, reader) => {
    draft.alternativeNames = generalNames(reader.enter(tags.sequence));
  },
  // §4.2.1.9
  '2.5.29.19': (draft, reader) => {
    const inner = reader.enter(tags.sequence);
    const ca = inner.takeIf(tags.boolean);
    draft.isAuthority = ca !== undefined && booleanOf(ca);
    const pathLength = inner.takeIf(tags.integer);
    inner.end();
    if (pathLength === undefined) return;
    if (!draft.isAuthority) throw new DerError('a path length without authority');
    draft.pathLength = smallIntegerOf(pathLength);
  },
  // §4.2.1.10
  '2.5.29.30': (draft, reader) => {
    draft.constraints = nameConstraints(reader);
  },
  // §4.2.1.1
  '2.5.29.35': (draft, reader) => {
    const inner = reader.enter(tags.sequence);
    const keyId = inner.takeIf(primitiveContext(0));
    inner.takeIf(context(1));
    const serial = inner.takeIf(primitiveContext(2));
    inner.end();
    draft.authorityKeyId = { keyId: keyId && contentOf(keyId), serial: serial && unsignedHexOf(serial, maxSerialBytes) };
  },
  // §4.2.1.12
  '2.5.29.37': (draft, reader) => {
    const list = reader.enter(tags.sequence);
    const usages: string[] = [];
    while (!list.atEnd) {
      if (usages.length >= maxUsages) throw new DerError('too many usages');
      usages.push(oidOf(list.take(tags.oid)));
    }
    draft.extendedUsages = usages;
  },
};

const maxUsages = 64;

/** §6.1.3 (b): constraints hold for the subject and for all alternative names. */
function namesOf({ subject, subjectDer, isAuthority }: Read, alternative: readonly GeneralName[]): GeneralName[] {
  const names = [...alternative];
  if (subject.length > 0) names.push({ kind: 'directory', name: subject });
  for (const text of emailsIn(subjectDer)) names.push({ kind: 'email', text });
  // OpenSSL's habit: where no DNS name is given, a common name that looks like one is taken for it by many, so it counts.
  if (!isAuthority && !alternative.some(({ kind }) => kind === 'dns')) {
    for (const text of commonNamesIn(subjectDer)) if (looksLikeHost(text)) names.push({ kind: 'dns', text });
  }
  return names;
}

function looksLikeHost(text: string): boolean {
  return /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+\.?$/.test(text) && !/^[\d.]+$/.test(text);
}
