// Writes DER (ITU-T X.690 §10). Each function gives a whole element.

import { tags } from './der-reader.ts';

export function element(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([header(tag, length), ...parts]);
}

/** Tag and length, for content that is written elsewhere. */
export function header(tag: number, length: number): Buffer {
  if (length < 0x80) return Buffer.of(tag, length);
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Buffer.of(tag, 0x80 | bytes.length, ...bytes);
}

export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return element(tags.sequence, ...parts);
}

/** From hex digits, or a whole number; not negative. */
export function integer(value: string | number): Buffer {
  const digits = typeof value === 'number' ? value.toString(16) : value.replace(/^0+(?=.)/, '');
  const bytes = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex');
  return bytes[0]! >= 0x80 ? element(tags.integer, Buffer.of(0), bytes) : element(tags.integer, bytes);
}

export function enumerated(value: number): Buffer {
  return element(tags.enumerated, Buffer.of(value));
}

export function octets(content: Uint8Array): Buffer {
  return element(tags.octetString, content);
}

export function bits(content: Uint8Array): Buffer {
  return element(tags.bitString, Buffer.of(0), content);
}

export const nothing: Uint8Array = Buffer.of(tags.null, 0);
export const yes: Uint8Array = Buffer.of(tags.boolean, 1, 0xff);

/** From dotted numbers, of any size: those below 2.25 have 128 bits. */
export function oid(dotted: string): Buffer {
  const [first, second, ...rest] = dotted.split('.').map(BigInt) as [bigint, bigint, ...bigint[]];
  const bytes: number[] = [];
  for (const number of [first * 40n + second, ...rest]) {
    const groups = [Number(number & 0x7fn)];
    for (let left = number >> 7n; left > 0n; left >>= 7n) groups.unshift(0x80 | Number(left & 0x7fn));
    bytes.push(...groups);
  }
  return element(tags.oid, Buffer.from(bytes));
}

export function generalizedTime(ms: number): Buffer {
  const text = `${new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+Z/g, '')}Z`;
  return element(tags.generalizedTime, Buffer.from(text, 'latin1'));
}

/** UTCTime until 2049, GeneralizedTime after that (RFC 5280 §4.1.2.5). */
export function time(ms: number): Buffer {
  const full = generalizedTime(ms);
  return new Date(ms).getUTCFullYear() < 2050 ? element(tags.utcTime, full.subarray(4)) : full;
}

/** An extension of a certificate, a CRL or an OCSP message. */
export function extension(id: string, value: Uint8Array, isCritical = false): Buffer {
  return isCritical ? sequence(oid(id), yes, octets(value)) : sequence(oid(id), octets(value));
}
