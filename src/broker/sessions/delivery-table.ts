// The deliveries under way to one peer, by delivery id.
//
// Ids are given in turn, so a ring does here what a Map would. A Map that is filled and emptied for every message copies itself
// again and again, and its copies keep each other and what was in them alive until the next full collection: it cost half of the
// throughput of QoS 1 and pauses of 20 ms.

import { emptyRing } from '../queues/fifo.ts';
import type { Entry } from '../queues/queue.ts';

const maxId = 65_535;
const firstSlots = 16;
/** An empty ring larger than this is given back. */
const keptSlots = 256;

export class DeliveryTable {
  size = 0;
  /** An entry is at its id modulo the length, a power of two. Ids whose place is taken are passed over. */
  #ring: (Entry | undefined)[] | undefined = undefined;
  #lastId = 0;
  /** How often the ids have begun again. */
  #lap = 0;

  get(id: number): Entry | undefined {
    const ring = this.#ring;
    if (ring === undefined) return undefined;
    const entry = ring[id & (ring.length - 1)];
    return entry !== undefined && entry.deliveryId === id ? entry : undefined;
  }

  /** Gives the entry the next free id. There must be one: fewer than 65,535 are under way. */
  add(entry: Entry): void {
    const ring = this.#room();
    const mask = ring.length - 1;
    let id = this.#lastId;
    do {
      if (id === maxId) {
        id = 0;
        this.#lap++;
      }
      id++;
    } while (ring[id & mask] !== undefined);
    ring[id & mask] = entry;
    this.#lastId = id;
    entry.deliveryId = id;
    entry.deliveryLap = this.#lap;
    this.size++;
  }

  /** Takes in an entry with the id it had before a restart. The entries of a queue come in the order in which they were sent. */
  recover(entry: Entry): void {
    const id = entry.deliveryId;
    // Only a damaged journal knows an id twice.
    const twin = this.get(id);
    if (twin !== undefined) this.delete(twin);
    let ring = this.#room();
    while (ring[id & (ring.length - 1)] !== undefined) ring = this.#grow(ring);
    ring[id & (ring.length - 1)] = entry;
    if (id <= this.#lastId) this.#lap++;
    this.#lastId = id;
    entry.deliveryLap = this.#lap;
    this.size++;
  }

  delete(entry: Entry): void {
    const ring = this.#ring!;
    ring[entry.deliveryId & (ring.length - 1)] = undefined;
    this.size--;
    if (this.size === 0 && ring.length > keptSlots) this.#ring = undefined;
  }

  /** All of them, in the order in which they were first sent. */
  inOrder(): Entry[] {
    if (this.size === 0) return [];
    const entries = this.#ring!.filter((entry) => entry !== undefined);
    return entries.sort((a, b) => a.deliveryLap - b.deliveryLap || a.deliveryId - b.deliveryId);
  }

  #room(): (Entry | undefined)[] {
    const ring = this.#ring;
    if (ring === undefined) return (this.#ring = emptyRing<Entry>(firstSlots));
    if (this.size < ring.length / 2 || ring.length > maxId) return ring;
    return this.#grow(ring);
  }

  #grow(ring: readonly (Entry | undefined)[]): (Entry | undefined)[] {
    const larger = emptyRing<Entry>(ring.length * 2);
    for (const entry of ring) if (entry !== undefined) larger[entry.deliveryId & (larger.length - 1)] = entry;
    return (this.#ring = larger);
  }
}
