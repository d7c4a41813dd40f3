// Certificate revocation lists as bytes (RFC 5280 §5).

import { randomInt } from 'node:crypto';
import type { RevocationReason } from '../../../registry/entries.ts';
import { maxSerialBytes, readExtensions } from '../certificate-facts.ts';
import {
  booleanOf,
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
  bitBytesOf,
  DerReader,
} from '../der/der-reader.ts';
import { bits, element, enumerated, extension, header, integer, sequence, time } from '../der/der-writer.ts';
import type { Signer } from '../pki.ts';
import { SerialTable } from './serial-table.ts';
import { readAlgorithm, signatureAlgorithms } from './signatures.ts';

const ids = {
  authorityKeyId: '2.5.29.35',
  crlNumber: '2.5.29.20',
  reasonCode: '2.5.29.21',
  deltaIndicator: '2.5.29.27',
  issuingPoint: '2.5.29.28',
  certificateIssuer: '2.5.29.29',
  freshest: '2.5.29.46',
} as const;

/** CRLReason (RFC 5280 §5.3.1). */
export const reasonNumbers: Readonly<Record<RevocationReason, number>> = {
  unspecified: 0,
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  certificateHold: 6,
  privilegeWithdrawn: 9,
  aACompromise: 10,
};
/** In delta lists: it is not revoked any more. */
export const removeFromCrl = 8;

export type CrlFields = {
  /** Name, DER. */
  readonly issuerName: Uint8Array;
  readonly authorityKeyId: Uint8Array;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  readonly number: number;
  /** Number of the list that this is the difference to; undefined: a full one. */
  readonly baseNumber: number | undefined;
  /** Where the differences to this one are; of full ones. */
  readonly freshestUrl: string | undefined;
  /** Made by `crlEntry`, one or several in a part. */
  readonly entries: readonly Uint8Array[];
};

export function crlEntry(serial: string, revokedAtMs: number, reason: number): Buffer {
  const head = [integer(serial), time(revokedAtMs)];
  // unspecified is told by silence (RFC 5280 §5.3.1).
  if (reason === 0) return sequence(...head);
  return sequence(...head, sequence(extension(ids.reasonCode, enumerated(reason))));
}

/** @throws what the signer rejects with */
export async function signCrl(fields: CrlFields, signer: Signer): Promise<Buffer> {
  const algorithm = signatureAlgorithms[signer.algorithm];
  const extensions = [
    extension(ids.authorityKeyId, sequence(element(primitiveContext(0), fields.authorityKeyId))),
    extension(ids.crlNumber, integer(fields.number)),
  ];
  // There is no issuing distribution point: the list is for all certificates of its issuer, wherever they say it is found.
  if (fields.baseNumber !== undefined) extensions.push(extension(ids.deltaIndicator, integer(fields.baseNumber), true));
  else if (fields.freshestUrl !== undefined) extensions.push(extension(ids.freshest, distributionPoint(fields.freshestUrl)));
  const length = fields.entries.reduce((sum, part) => sum + part.length, 0);
  const head = [integer(1), algorithm, fields.issuerName, time(fields.thisUpdateMs), time(fields.nextUpdateMs)];
  // An empty list of entries must be left out (RFC 5280 §5.1.2.6).
  const entries = length === 0 ? [] : [header(tags.sequence, length), ...fields.entries];
  const tbs = sequence(...head, ...entries, element(context(0), sequence(...extensions)));
  return sequence(tbs, algorithm, bits(await signer.sign(tbs)));
}

/** CRLDistributionPoints with one URL: also the value of a certificate's extension. */
export function distributionPoint(url: string): Buffer {
  const name = element(primitiveContext(6), Buffer.from(url, 'latin1'));
  return sequence(sequence(element(context(0), element(context(0), name))));
}

/** What of the issuer's certificates a list is about (RFC 5280 §5.2.5). */
export type CrlPart = {
  /** Those that name one of these addresses; undefined: wherever they say their list is. */
  readonly urls: readonly string[] | undefined;
  /** And no authorities. */
  readonly onlyPeers: boolean;
};
const whole: CrlPart = { urls: undefined, onlyPeers: false };

export type ReadCrl = {
  readonly issuerName: Uint8Array;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  /** Hex; undefined: it has none. */
  readonly number: string | undefined;
  readonly baseNumber: string | undefined;
  readonly part: CrlPart;
  /** With their reasons' numbers. */
  readonly revoked: SerialTable;
  /** What is signed, how, and by what. */
  readonly signed: Uint8Array;
  readonly algorithm: string;
  readonly signature: Uint8Array;
};

/** Entries read in one go: about a millisecond. */
const entriesPerTurn = 500;
/** Serial number of 16 bytes, time, reason; without the reason it is less. */
const usualEntryBytes = 49;

/**
 * Reads a list without checking its signature. Undefined: it is none, or one that says something else than "these certificates of
 * this issuer are revoked" (RFC 5280 §5.2: critical extensions). `pause` is awaited now and then.
 */
export async function readCrl(der: Uint8Array, pause: () => Promise<void>, maxEntries = Infinity): Promise<ReadCrl | undefined> {
  try {
    return await readParts(der, pause, maxEntries);
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}

async function readParts(der: Uint8Array, pause: () => Promise<void>, maxEntries: number): Promise<ReadCrl> {
  const all = new DerReader(der, 0, der.length);
  const outer = all.enter(tags.sequence);
  all.end();
  const tbsElement = outer.take(tags.sequence);
  const algorithm = readAlgorithm(outer);
  const signature = bitBytesOf(outer.take(tags.bitString));
  outer.end();
  const tbs = new DerReader(der, tbsElement.from, tbsElement.end);
  const version = tbs.takeIf(tags.integer);
  if (version !== undefined && smallIntegerOf(version) !== 1) throw new DerError('version');
  if (readAlgorithm(tbs) !== algorithm) throw new DerError('two algorithms');
  const issuerName = wholeOf(tbs.take(tags.sequence));
  const thisUpdateMs = timeOf(tbs.take());
  // A list without an end would be good for ever (RFC 5280 §5.1.2.5).
  const nextUpdateMs = timeOf(tbs.take());
  const list = tbs.enterIf(tags.sequence);
  const revoked = new SerialTable(randomInt(0x1_0000_0000), Math.min(maxEntries, Math.ceil(der.length / usualEntryBytes)));
  while (list !== undefined && !list.atEnd) {
    for (let i = 0; i < entriesPerTurn && !list.atEnd; i++) readEntry(list, revoked);
    if (revoked.size > maxEntries) throw new DerError('too many entries');
    if (!list.atEnd) await pause();
  }
  const tagged = tbs.enterIf(context(0));
  tbs.end();
  const extensions: ListExtensions = tagged === undefined ? { part: whole } : readListExtensions(tagged);
  return {
    issuerName,
    thisUpdateMs,
    nextUpdateMs,
    number: extensions.number,
    baseNumber: extensions.baseNumber,
    part: extensions.part,
    revoked,
    signed: wholeOf(tbsElement),
    algorithm,
    signature,
  };
}

function readEntry(list: DerReader, revoked: SerialTable): void {
  const entry = list.enter(tags.sequence);
  const serial = unsignedHexOf(entry.take(tags.integer), maxSerialBytes);
  timeOf(entry.take());
  let reason = 0;
  const extensions = entry.enterIf(tags.sequence);
  while (extensions !== undefined && !extensions.atEnd) {
    const one = extensions.enter(tags.sequence);
    const id = oidOf(one.take(tags.oid));
    const critical = one.takeIf(tags.boolean);
    const value = contentOf(one.take(tags.octetString));
    one.end();
    if (id === ids.reasonCode) reason = reasonOf(value);
    // Above all certificateIssuer: the entry is about somebody else's certificate.
    else if (id === ids.certificateIssuer || (critical !== undefined && booleanOf(critical))) throw new DerError('critical extension');
  }
  entry.end();
  revoked.set(serial, reason);
}

function reasonOf(value: Uint8Array): number {
  const code = readDer(value, (reader) => contentOf(reader.take(tags.enumerated)));
  if (code === undefined || code.length !== 1 || code[0]! > 10) throw new DerError('reason');
  return code[0]!;
}

type ListExtensions = { number?: string; baseNumber?: string; part: CrlPart };

function readListExtensions(tagged: DerReader): ListExtensions {
  const found: ListExtensions = { part: whole };
  for (const { id, isCritical, value } of readExtensions(tagged)) {
    if (id === ids.crlNumber) found.number = numberOf(value);
    else if (id === ids.deltaIndicator) found.baseNumber = numberOf(value);
    else if (id === ids.issuingPoint) found.part = readIssuingPoint(value);
    else if (isCritical) throw new DerError('critical extension');
  }
  return found;
}

function numberOf(value: Uint8Array): string {
  const number = readDer(value, (reader) => unsignedHexOf(reader.take(tags.integer), maxSerialBytes));
  if (number === undefined) throw new DerError('number');
  return number;
}

/** A part of the certificates is fine for those in it; a part of the reasons, or several issuers, is not (RFC 5280 §5.2.5). */
function readIssuingPoint(value: Uint8Array): CrlPart {
  const part = readDer(value, (reader): CrlPart => {
    const inner = reader.enter(tags.sequence);
    const name = inner.enterIf(context(0));
    const onlyUsers = inner.takeIf(primitiveContext(1));
    const onlyAuthorities = inner.takeIf(primitiveContext(2));
    const someReasons = inner.takeIf(primitiveContext(3));
    const indirect = inner.takeIf(primitiveContext(4));
    const onlyAttributes = inner.takeIf(primitiveContext(5));
    inner.end();
    const isOther = [onlyAuthorities, indirect, onlyAttributes].some((each) => each !== undefined && booleanOf(each));
    if (isOther || someReasons !== undefined) throw new DerError('issuing distribution point');
    return { urls: name && urlsIn(name), onlyPeers: onlyUsers !== undefined && booleanOf(onlyUsers) };
  });
  if (part === undefined) throw new DerError('issuing distribution point');
  return part;
}

/** Of a DistributionPointName; a name that is relative to the issuer's is no address. */
function urlsIn(name: DerReader): readonly string[] {
  const names = name.enterIf(context(0));
  const urls: string[] = [];
  while (names !== undefined && !names.atEnd) {
    const one = names.take();
    if (one.tag === primitiveContext(6)) urls.push(Buffer.from(contentOf(one)).toString('latin1'));
  }
  return urls;
}
