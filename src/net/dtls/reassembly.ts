// Puts messages together again from fragments that come in any order, twice, or overlapping (RFC 6347 §4.2.3). What it keeps grows
// only by bytes that were really received: the length a header claims costs nothing.

import type { Fragment } from './handshake-message.ts';

/** Messages that may arrive before the one that is due; the longest flight of a client has five. */
const maxAhead = 8;
/** Pieces of one message: with less than a hundred bytes each, something is wrong. */
const maxParts = 160;

type Part = { readonly offset: number; readonly bytes: Uint8Array };
type Partial = { readonly type: number; readonly length: number; have: number; readonly parts: Part[] };

export type WholeMessage = { readonly type: number; readonly sequence: number; readonly body: Uint8Array };

export type ReassemblyLimits = { readonly messageBytes: number; readonly handshakeBytes: number };

export class Reassembly {
  readonly #limits: ReassemblyLimits;
  readonly #partials = new Map<number, Partial>();
  #due: number;
  #held = 0;

  /** `due`: the message_seq that comes next. */
  constructor(due: number, limits: ReassemblyLimits) {
    this.#due = due;
    this.#limits = limits;
  }

  get due(): number {
    return this.#due;
  }

  /** Bytes it keeps. */
  get held(): number {
    return this.#held;
  }

  /** False: refused, because it contradicts, comes too far ahead, or is too much. Old ones are true: they are only repeated. */
  add({ type, length, sequence, offset, bytes }: Fragment): boolean {
    if (sequence < this.#due) return true;
    if (sequence >= this.#due + maxAhead || length > this.#limits.messageBytes) return false;
    let partial = this.#partials.get(sequence);
    if (partial === undefined) {
      partial = { type, length, have: 0, parts: [] };
      this.#partials.set(sequence, partial);
    }
    if (partial.type !== type || partial.length !== length) return false;
    return this.#insert(partial, offset, bytes);
  }

  /** What comes next, when it is whole. */
  take(): WholeMessage | undefined {
    const sequence = this.#due;
    const partial = this.#partials.get(sequence);
    if (partial === undefined || partial.have < partial.length) return undefined;
    this.#partials.delete(sequence);
    this.#held -= partial.have;
    this.#due++;
    return { type: partial.type, sequence, body: Buffer.concat(partial.parts.map(({ bytes }) => bytes)) };
  }

  /** Copies the bytes that are not there yet: what came first stays. `parts` are in order and do not overlap. */
  #insert(partial: Partial, offset: number, bytes: Uint8Array): boolean {
    const end = offset + bytes.length;
    const { parts } = partial;
    let from = offset;
    for (let i = 0; i <= parts.length && from < end; i++) {
      const part = parts[i];
      const gapEnd = Math.min(end, part?.offset ?? end);
      if (gapEnd > from) {
        const more = gapEnd - from;
        if (parts.length >= maxParts || this.#held + more > this.#limits.handshakeBytes) return false;
        parts.splice(i, 0, { offset: from, bytes: new Uint8Array(bytes.subarray(from - offset, gapEnd - offset)) });
        partial.have += more;
        this.#held += more;
        from = gapEnd;
      } else if (part !== undefined) {
        from = Math.max(from, part.offset + part.bytes.length);
      }
    }
    return true;
  }
}
