// Does a packet from the server have the fields that a test asked for?

import assert from 'node:assert/strict';

import { toBytes } from './packet.ts';

import type { Bytes, PacketType, ServerPacket } from './packet.ts';
import type { Properties } from './properties.ts';

/**
 * Fields to compare; those not named are not looked at, except that a reason code must be below 0x80 unless one is given.
 * `undefined` for a property says that it must be absent. A function judges the value itself.
 */
export type Expected = {
  [K in Exclude<keyof ServerPacket, 'type' | 'properties'>]?: ServerPacket[K] | undefined | ((value: ServerPacket[K]) => boolean);
} & { properties?: { [K in keyof Properties]?: Properties[K] | undefined | ((value: Properties[K]) => boolean) } };

/** What does not fit, in words; undefined when everything does. */
export function mismatch(packet: ServerPacket, type: PacketType, expected: Expected): string | undefined {
  if (packet.type !== type) return `expected ${type.toUpperCase()}, got ${describe(packet)}`;
  const { properties, ...fields } = expected;
  for (const [name, value] of Object.entries(fields)) {
    const actual = packet[name as keyof ServerPacket];
    if (!fits(actual, value)) return `expected ${name} ${show(value)}, got ${show(actual)} in ${describe(packet)}`;
  }
  for (const [name, value] of Object.entries(properties ?? {})) {
    const actual = packet.properties[name as keyof Properties];
    if (!fits(actual, value)) return `expected ${name} ${show(value)}, got ${show(actual)} in ${describe(packet)}`;
  }
  if (packet.reason !== undefined && packet.reason >= 0x80 && !('reason' in expected)) return `expected success, got ${describe(packet)}`;
  return undefined;
}

function fits(actual: unknown, expected: unknown): boolean {
  if (typeof expected === 'function') return (expected as (value: unknown) => boolean)(actual) === true;
  if (isBytes(actual) && isBytes(expected)) return Buffer.compare(toBytes(actual), toBytes(expected)) === 0;
  try {
    assert.deepEqual(actual, expected);
    return true;
  } catch {
    return false;
  }
}

function isBytes(value: unknown): value is Bytes {
  return typeof value === 'string' || value instanceof Uint8Array;
}

function show(value: unknown, name = ''): string {
  if (name === 'reason' && typeof value === 'number') return `0x${value.toString(16).padStart(2, '0')}`;
  if (typeof value === 'function') return `that fits ${value.toString()}`;
  if (value instanceof Uint8Array) return `<${Buffer.from(value.subarray(0, 40)).toString('hex')}>`;
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

/** A packet in one line, for transcripts and failures. */
export function describe(packet: { readonly type: string }): string {
  const fields = Object.entries(packet)
    .filter(([name, value]) => name !== 'type' && name !== 'bytes' && value !== undefined && !isEmpty(value))
    .map(([name, value]) => `${name}=${show(value, name)}`);
  return [packet.type.toUpperCase(), ...fields].join(' ');
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !(value instanceof Uint8Array) && Object.keys(value).length === 0;
}
