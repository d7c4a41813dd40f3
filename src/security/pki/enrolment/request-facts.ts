// What a certification request asks for (RFC 2986), as far as it decides who may have it. Whether it is signed by its key, and what
// of it goes into a certificate, is the authority's business (Pki.issue).

import { createHash } from 'node:crypto';
import { contentOf, DerError, type DerReader, type Element, inside, oidOf, readDer, tags, wholeOf } from '../der/der-reader.ts';

export type RequestFacts = {
  /** DER. */
  readonly der: Uint8Array;
  readonly commonNames: readonly string[];
  /** URIs of the subject alternative name that it asks for; undefined: it asks for no such name. */
  readonly uris: readonly string[] | undefined;
  /** It asks for alternative names that are not URIs. */
  readonly hasOtherNames: boolean;
  /** SHA-256 of its SubjectPublicKeyInfo. */
  readonly keyHash: string;
  /** It wants the private key encrypted for a key that it names (RFC 7030 §4.4.1.1, §4.4.1.2). */
  readonly wantsSealedKey: boolean;
};

const commonName = '2.5.4.3';
const extensionRequest = '1.2.840.113549.1.9.14';
const subjectAlternativeName = '2.5.29.17';
/** id-aa-decryptKeyID and id-aa-asymmDecryptKeyID. */
const sealedKeys = new Set(['1.2.840.113549.1.9.16.2.37', '1.2.840.113549.1.9.16.2.54']);
const attributesTag = 0xa0;
const uriTag = 0x86;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Undefined: it is no certification request. Nothing in it is a view of `der`, but `der` itself. */
export function readRequestFacts(der: Uint8Array): RequestFacts | undefined {
  return readDer(der, (reader) => {
    const request = reader.enter(tags.sequence);
    const info = request.enter(tags.sequence);
    // What signs it is looked at by the authority.
    request.take(tags.sequence);
    request.take(tags.bitString);
    request.end();
    info.take(tags.integer);
    const commonNames = commonNamesOf(info.enter(tags.sequence));
    const key = wholeOf(info.take(tags.sequence));
    const asked: Asked = { uris: undefined, hasOtherNames: false, wantsSealedKey: false };
    const attributes = info.enterIf(attributesTag);
    while (attributes !== undefined && !attributes.atEnd) readAttribute(attributes.enter(tags.sequence), asked);
    info.end();
    return { der, commonNames, keyHash: createHash('sha256').update(key).digest('hex'), ...asked };
  });
}

type Asked = { uris: string[] | undefined; hasOtherNames: boolean; wantsSealedKey: boolean };

/** Name ::= SEQUENCE OF SET OF AttributeTypeAndValue. */
function commonNamesOf(name: DerReader): string[] {
  const found: string[] = [];
  while (!name.atEnd) {
    const set = name.enter(tags.set);
    while (!set.atEnd) {
      const pair = set.enter(tags.sequence);
      const type = oidOf(pair.take(tags.oid));
      const value = pair.take();
      pair.end();
      if (type === commonName) found.push(textOf(value));
    }
  }
  return found;
}

const bmpString = 0x1e;
/** UTF8String, PrintableString, IA5String, and T61String as far as it is ASCII. */
const textTags = new Set([0x0c, 0x13, 0x16, 0x14]);

function textOf(value: Element): string {
  const content = contentOf(value);
  if (value.tag === bmpString && content.length % 2 === 0) return Buffer.from(content).swap16().toString('utf16le');
  if (!textTags.has(value.tag)) throw new DerError('a name that is no text');
  try {
    return utf8.decode(content);
  } catch {
    throw new DerError('a name that is no UTF-8');
  }
}

function readAttribute(attribute: DerReader, asked: Asked): void {
  const type = oidOf(attribute.take(tags.oid));
  const values = attribute.enter(tags.set);
  attribute.end();
  if (sealedKeys.has(type)) asked.wantsSealedKey = true;
  if (type !== extensionRequest) return;
  const extensions = values.enter(tags.sequence);
  values.end();
  while (!extensions.atEnd) {
    const extension = extensions.enter(tags.sequence);
    const id = oidOf(extension.take(tags.oid));
    extension.takeIf(tags.boolean);
    const value = extension.take(tags.octetString);
    extension.end();
    if (id === subjectAlternativeName) readNames(value, asked);
  }
}

function readNames(value: Element, asked: Asked): void {
  const outer = inside(value);
  const names = outer.enter(tags.sequence);
  outer.end();
  asked.uris ??= [];
  while (!names.atEnd) {
    const name = names.take();
    if (name.tag === uriTag) asked.uris.push(Buffer.from(contentOf(name)).toString('latin1'));
    else asked.hasOtherNames = true;
  }
}

/** The DER of a request in PEM, or the bytes themselves when they are not PEM. Undefined: PEM that cannot be read. */
export function derOfRequest(request: Uint8Array | string): Uint8Array | undefined {
  const text = typeof request === 'string' ? request : pemTextOf(request);
  if (text === undefined) return request as Uint8Array;
  const body = /^\s*-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]+)-----END (?:NEW )?CERTIFICATE REQUEST-----\s*$/.exec(
    text,
  )?.[1];
  return body === undefined ? undefined : Buffer.from(body, 'base64');
}

function pemTextOf(bytes: Uint8Array): string | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return text.subarray(0, 64).includes('-----BEGIN') ? text.toString('latin1') : undefined;
}
