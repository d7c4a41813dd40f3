// Where requests wait until it is known who asks. Bounded in number, and in bytes: those of one peer, and those of all.

import { optionsLength } from '../codec/message-body.ts';
import type { CoapMessage } from '../codec/message.ts';
import type { House } from './house.ts';

/** What a request takes of memory besides its bytes. */
const overheadBytes = 256;

export class WaitingRoom<One extends object> {
  readonly #house: House;
  /** With the bytes of each, in the order in which they came. */
  readonly #inside = new Map<One, number>();
  #bytes = 0;

  constructor(house: House) {
    this.#house = house;
  }

  get size(): number {
    return this.#inside.size;
  }

  /** Returns false when there is no room. One is let in whatever its size, where all together have room for it. */
  enter(one: One, bytes: number): boolean {
    const { options, counters } = this.#house;
    const isFull = this.#inside.size >= options.maxWaitingRequests || this.#bytes + bytes > options.maxWaitingPeerBytes;
    if ((isFull && this.#inside.size > 0) || counters.waitingBytes + bytes > options.maxWaitingBytes) {
      counters.requestsNotWaited++;
      return false;
    }
    this.#inside.set(one, bytes);
    this.#add(bytes);
    return true;
  }

  leave(one: One): void {
    const bytes = this.#inside.get(one);
    if (bytes === undefined) return;
    this.#inside.delete(one);
    this.#add(-bytes);
  }

  /** All that wait, and lets them go. */
  empty(): One[] {
    const all = [...this.#inside.keys()];
    this.#inside.clear();
    this.#add(-this.#bytes);
    return all;
  }

  #add(bytes: number): void {
    this.#bytes += bytes;
    this.#house.counters.waitingBytes += bytes;
  }
}

export function waitingBytes({ options, payload }: Pick<CoapMessage, 'options' | 'payload'>): number {
  return overheadBytes + optionsLength(options) + payload.length;
}
