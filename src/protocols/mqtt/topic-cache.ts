// What a connection remembers of the topics its client publishes to, so that a message costs neither a string nor a question
// to the broker. Looked up by the topic's bytes as they stand in the packet. A slot holds one topic; a newcomer replaces it, so
// that a client with many topics costs itself a look-up and nobody memory.

import type { Address } from '../../broker/port.ts';

/** Whether the client may set the topic's last value. */
export const RetainRight = { unknown: 0, yes: 1, no: 2 } as const;
export type RetainRight = (typeof RetainRight)[keyof typeof RetainRight];

/** A topic as the client may use it. The holder renews `address` when `addressVersion` is behind the session's. */
export class KnownTopic {
  readonly hash: number;
  address: Address;
  addressVersion: number;
  retainRight: RetainRight = RetainRight.unknown;
  retainVersion = 0;

  constructor(hash: number, address: Address, addressVersion: number) {
    this.hash = hash;
    this.address = address;
    this.addressVersion = addressVersion;
  }
}

const firstSlots = 4;

export class TopicCache {
  readonly #maxSlots: number;
  /** A power of two long; absent until the first topic. */
  #slots: (KnownTopic | undefined)[] | undefined = undefined;
  #last: KnownTopic | undefined = undefined;
  #replaced = 0;

  constructor(maxSlots: number) {
    this.#maxSlots = maxSlots;
  }

  /** The topic `bytes[start..end)`, if it is remembered. */
  find(bytes: Uint8Array, start: number, end: number): KnownTopic | undefined {
    // Most clients publish to one topic, or to one topic several times in a row.
    const last = this.#last;
    if (last !== undefined && equals(last.address.topicBytes, bytes, start, end)) return last;
    if (this.#slots === undefined) return undefined;
    const known = this.#slots[hashOf(bytes, start, end) & (this.#slots.length - 1)];
    if (known === undefined || !equals(known.address.topicBytes, bytes, start, end)) return undefined;
    this.#last = known;
    return known;
  }

  remember(known: KnownTopic): void {
    this.#last = known;
    this.#slots ??= emptySlots(Math.min(firstSlots, this.#maxSlots));
    const slot = known.hash & (this.#slots.length - 1);
    const there = this.#slots[slot];
    this.#slots[slot] = known;
    if (there === undefined || ++this.#replaced < this.#slots.length || this.#slots.length >= this.#maxSlots) return;
    this.#grow(this.#slots, there);
  }

  forgetAll(): void {
    this.#slots = undefined;
    this.#last = undefined;
    this.#replaced = 0;
  }

  #grow(old: readonly (KnownTopic | undefined)[], replaced: KnownTopic): void {
    const slots = emptySlots(old.length * 2);
    slots[replaced.hash & (slots.length - 1)] = replaced;
    for (const known of old) if (known !== undefined) slots[known.hash & (slots.length - 1)] = known;
    this.#slots = slots;
    this.#replaced = 0;
  }
}

/** FNV-1a, 32 bits. A client that makes topics collide slows only itself. */
export function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  // The low bits choose the slot: fold the better mixed high ones in.
  return (hash ^ (hash >>> 15)) & 0x3fff_ffff;
}

function equals(own: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  const length = own.length;
  if (end - start !== length) return false;
  // From the end: topics of one client mostly share their beginning.
  for (let i = length - 1; i >= 0; i--) if (own[i] !== bytes[start + i]) return false;
  return true;
}

function emptySlots(count: number): (KnownTopic | undefined)[] {
  return Array.from({ length: count }, () => undefined);
}
