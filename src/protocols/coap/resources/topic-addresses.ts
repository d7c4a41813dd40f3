// What a session remembers of the topics its peer publishes to, so that a request costs neither a string nor a question to the
// broker. Looked up by the bytes of its path. A slot holds one topic; a newcomer replaces it.

import { type Address, Outcome, type Session } from '../../../broker/port.ts';
import type { Security } from '../../../security/security.ts';
import { type CoapOption, joinPath, OptionNumber, textValue } from '../codec/index.ts';

const slash = 0x2f;

export class KnownTopic {
  address: Address;
  version: number;
  /** Whether its last value may be set; undefined: not asked since the version moved. */
  #mayRetain: boolean | undefined = undefined;

  constructor(address: Address, version: number) {
    this.address = address;
    this.version = version;
  }

  renew(session: Session): void {
    const { topic, topicBytes } = this.address;
    this.version = session.addressVersion;
    this.address = session.address(topic, topicBytes);
    this.#mayRetain = undefined;
  }

  mayRetain(session: Session, security: Security): boolean {
    return (this.#mayRetain ??= security.allows(session.principal, 'retain', this.address.topic));
  }
}

export class TopicAddresses {
  readonly #slots: (KnownTopic | undefined)[];
  readonly #scratch: Uint8Array;
  #last: KnownTopic | undefined = undefined;

  /** `maxSlots`: a power of two. `scratch`: as long as the longest topic; shared between sessions. */
  constructor(maxSlots: number, scratch: Uint8Array) {
    this.#slots = Array.from({ length: maxSlots }, () => undefined);
    this.#scratch = scratch;
  }

  /** The topic in the path from its `from`-th segment on (`path`: index of the first Uri-Path); undefined: it is none. */
  find(session: Session, options: readonly CoapOption[], path: number, from: number): KnownTopic | undefined {
    const last = this.#last;
    const known = last !== undefined && isPath(options, path + from, last.address.topicBytes) ? last : this.#lookUp(session, options, from);
    if (known === undefined) return undefined;
    if (known.version !== session.addressVersion) known.renew(session);
    this.#last = known;
    return known;
  }

  #lookUp(session: Session, options: readonly CoapOption[], from: number): KnownTopic | undefined {
    const scratch = this.#scratch;
    const length = joinPath(options, from, scratch);
    if (length <= 0) return undefined;
    const slot = hashOf(scratch, length) & (this.#slots.length - 1);
    const there = this.#slots[slot];
    if (there !== undefined && equals(there.address.topicBytes, scratch, length)) return there;
    const topicBytes = scratch.slice(0, length);
    const topic = textValue(topicBytes);
    if (topic === undefined) return undefined;
    const known = new KnownTopic(session.address(topic, topicBytes), session.addressVersion);
    if (known.address.outcome === Outcome.accepted) this.#slots[slot] = known;
    return known;
  }
}

/** Whether the segments from option `at` on, with slashes between them, are `topic`. */
function isPath(options: readonly CoapOption[], at: number, topic: Uint8Array): boolean {
  let t = 0;
  for (let i = at; i < options.length; i++) {
    const { number, value } = options[i]!;
    if (number !== OptionNumber.uriPath) break;
    if (i > at && topic[t++] !== slash) return false;
    if (t + value.length > topic.length) return false;
    for (let j = 0; j < value.length; j++) {
      const byte = value[j]!;
      // A slash of its own would make two levels of one segment.
      if (byte !== topic[t++] || byte === slash) return false;
    }
  }
  return t === topic.length && t > 0;
}

/** FNV-1a, 32 bits. A peer that makes topics collide slows only itself. */
function hashOf(bytes: Uint8Array, length: number): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = 0; i < length; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  // The low bits choose the slot: fold the better mixed high ones in.
  return (hash ^ (hash >>> 15)) & 0x3fff_ffff;
}

function equals(own: Uint8Array, bytes: Uint8Array, length: number): boolean {
  if (own.length !== length) return false;
  for (let i = length - 1; i >= 0; i--) if (own[i] !== bytes[i]) return false;
  return true;
}
