// CBOR sequences (RFC 8742): values one behind the other, with nothing between them.

import { decodeSequence, encode, type DecodeOptions } from 'cbor2';

export const cborSequenceType = 'application/cbor-seq';

/** Nothing but what JSON has, and byte strings: tags would make objects of other kinds. */
const options: DecodeOptions = { maxDepth: 16, rejectDuplicateKeys: true, ignoreGlobalTags: true, tags: null };

/** Where it breaks, what could be read ends with a value that is nothing. */
export function readCborSequence(body: Uint8Array, max: number): unknown[] {
  const values: unknown[] = [];
  try {
    for (const value of decodeSequence(body, options)) {
      values.push(value);
      if (values.length >= max) break;
    }
  } catch {
    values.push(undefined);
  }
  return values;
}

export function cborSequence(values: readonly unknown[]): Uint8Array {
  return new Uint8Array(Buffer.concat(values.map((value) => encode(value))));
}
