// Certificate requests (PKCS #10) as tests want them: right, or wrong in one place.

import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { context, tags } from '../der/der-reader.ts';
import { bits, element, integer, oid, sequence } from '../der/der-writer.ts';
import { distinguishedName, subjectAlternativeName, type AlternativeName } from '../certificate-builder.ts';
import { publicKeyOf } from '../software-signer.ts';

export type RequestParts = {
  readonly key?: KeyObject;
  readonly version?: number;
  readonly subject?: Uint8Array;
  readonly publicKey?: Uint8Array;
  /** In place of the attributes as a whole. */
  readonly attributes?: Uint8Array;
  readonly extensions?: readonly Uint8Array[];
  readonly names?: readonly AlternativeName[];
  /** AlgorithmIdentifier. */
  readonly algorithm?: Uint8Array;
  readonly digest?: string | null;
  readonly signature?: Uint8Array;
};

let usual: KeyObject | undefined;

/** One key for all that do not care which. */
export function usualKey(): KeyObject {
  return (usual ??= generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
}

export const ecdsaSha256: Uint8Array = sequence(oid('1.2.840.10045.4.3.2'));

export function attribute(type: string, ...values: readonly Uint8Array[]): Buffer {
  return sequence(oid(type), element(tags.set, ...values));
}

/** DER. */
export function requestFor(id: string | undefined, parts: RequestParts = {}): { readonly der: Buffer } {
  const key = parts.key ?? usualKey();
  const extensions = [...(parts.names === undefined ? [] : [subjectAlternativeName(parts.names, false)]), ...(parts.extensions ?? [])];
  const asked = extensions.length === 0 ? [] : [attribute('1.2.840.113549.1.9.14', sequence(...extensions))];
  const info = sequence(
    integer(parts.version ?? 0),
    parts.subject ?? distinguishedName({ CN: id }),
    parts.publicKey ?? publicKeyOf(key),
    parts.attributes ?? element(context(0), ...asked),
  );
  const digest = parts.digest === undefined ? 'sha256' : parts.digest;
  const signature = parts.signature ?? sign(digest, info, key);
  return { der: sequence(info, parts.algorithm ?? ecdsaSha256, bits(signature)) };
}
