// A body that comes in parts: one piece of memory that grows as bytes arrive, never on the word of a peer alone.

import { noBytes } from '../codec/option-values.ts';

const smallest = 2048;

export class BodyBuffer {
  #bytes: Uint8Array = noBytes;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** What it takes of memory. */
  get capacity(): number {
    return this.#bytes.length;
  }

  /** What it would take of memory with `more` bytes in it. */
  capacityWith(more: number, limit: number): number {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return this.#bytes.length;
    return Math.max(needed, Math.min(limit, Math.max(smallest, 2 * this.#bytes.length)));
  }

  /** Copies `part` behind what is there. The caller has seen to it that it may grow; `limit` is the most that is ever needed. */
  append(part: Uint8Array, limit: number): void {
    const capacity = this.capacityWith(part.length, limit);
    if (capacity !== this.#bytes.length) {
      const grown = new Uint8Array(capacity);
      grown.set(this.bytes());
      this.#bytes = grown;
    }
    this.#bytes.set(part, this.#length);
    this.#length += part.length;
  }

  /** Whether `part` is what already stands at `offset`. */
  holds(offset: number, part: Uint8Array): boolean {
    if (offset + part.length > this.#length) return false;
    for (let i = 0; i < part.length; i++) if (this.#bytes[offset + i] !== part[i]) return false;
    return true;
  }

  /** All of it; not copied. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}
