// The unsettled deliveries of one direction of a session, by delivery-id: which link each belongs to, and the number by which that
// link knows it. Delivery-ids are consecutive, so that nearly all look-ups are an index into a ring; what stays unsettled while the
// ring goes round is moved aside.

import { isBefore, serialAdd, serialDistance } from './serial.ts';

const firstSlots = 16;
const maxSlots = 8192;
/** Most sessions are of one direction: what holds nothing costs nothing. Never written to. */
const noNumbers = new Uint32Array(0);
const noOwners: never[] = [];

type Aside<L> = { readonly owner: L; readonly key: number };

/** Called for each delivery of a range. Returns whether it is settled now, and to be forgotten. */
export type Visitor<L> = (owner: L, key: number, deliveryId: number) => boolean;

export class DeliveryTable<L> {
  #ids = noNumbers;
  #keys = noNumbers;
  /** undefined: the slot is free. */
  #owners: (L | undefined)[] = noOwners;
  /** Older ones, in any order. */
  #aside: Map<number, Aside<L>> | undefined = undefined;
  #size = 0;
  /** The delivery-id after the last that was added. */
  #next = 0;

  get size(): number {
    return this.#size;
  }

  /** Delivery-ids are added in their order; gaps are fine. `key`: 0 to 4,294,967,295. */
  add(deliveryId: number, owner: L, key: number): void {
    if (this.#owners.length === 0) this.#resize(firstSlots);
    if (this.#size > 0) {
      // A peer that numbers its deliveries as it likes.
      if (isBefore(deliveryId, this.#next)) return this.#addLate(deliveryId, owner, key);
      this.#passTo(deliveryId);
    }
    const slot = deliveryId & (this.#owners.length - 1);
    this.#owners[slot] = owner;
    this.#ids[slot] = deliveryId;
    this.#keys[slot] = key;
    this.#size++;
    this.#next = serialAdd(deliveryId, 1);
  }

  #addLate(deliveryId: number, owner: L, key: number): void {
    this.remove(deliveryId);
    (this.#aside ??= new Map()).set(deliveryId, { owner, key });
    this.#size++;
  }

  /** The ring goes on to `deliveryId`: nothing that is older than the ring is long may stay in it. */
  #passTo(deliveryId: number): void {
    const passed = serialDistance(this.#next, deliveryId) + 1;
    for (let i = Math.min(passed, this.#owners.length) - 1; i >= 0; i--) {
      const slot = (deliveryId - i) & (this.#owners.length - 1);
      const there = this.#owners[slot];
      if (there === undefined) continue;
      if (this.#owners.length < maxSlots) {
        this.#resize(this.#owners.length * 2);
        return this.#passTo(deliveryId);
      }
      (this.#aside ??= new Map()).set(this.#ids[slot]!, { owner: there, key: this.#keys[slot]! });
      this.#owners[slot] = undefined;
    }
  }

  /** Whose it is; undefined: it is not here. */
  ownerOf(deliveryId: number): L | undefined {
    const slot = this.#slotOf(deliveryId);
    return slot >= 0 ? this.#owners[slot] : this.#aside?.get(deliveryId)?.owner;
  }

  /** Forgets one. Returns whether it was there. */
  remove(deliveryId: number): boolean {
    const slot = this.#slotOf(deliveryId);
    if (slot >= 0) this.#owners[slot] = undefined;
    else if (this.#aside?.delete(deliveryId) !== true) return false;
    this.#size--;
    return true;
  }

  /** Visits what is here of `first` to `last`, in order, and forgets what the visitor says is settled. Returns how many it visited. */
  visit(first: number, last: number, visitor: Visitor<L>): number {
    if (this.#size === 0) return 0;
    let visited = 0;
    const aside = this.#aside;
    if (aside !== undefined && aside.size > 0) visited += visitAside(aside, first, last, visitor, () => this.#size--);
    // Nothing else is further back than the ring is long, and nothing was added from `#next` on.
    const slots = this.#owners.length;
    let id = serialDistance(first, this.#next) > slots ? serialAdd(this.#next, -slots) : first;
    const end = isBefore(last, this.#next) ? serialAdd(last, 1) : this.#next;
    for (; isBefore(id, end); id = serialAdd(id, 1)) {
      const slot = this.#slotOf(id);
      if (slot < 0) continue;
      visited++;
      // What is settled makes room for others: visitors add, and the ring may be another one now.
      if (visitor(this.#owners[slot]!, this.#keys[slot]!, id)) this.remove(id);
    }
    return visited;
  }

  clear(): void {
    this.#owners = noOwners;
    this.#aside = undefined;
    this.#size = 0;
  }

  /** Forgets all that belongs to `owner`. */
  removeAll(owner: L): void {
    for (const [slot, there] of this.#owners.entries()) {
      if (there !== owner) continue;
      this.#owners[slot] = undefined;
      this.#size--;
    }
    if (this.#aside === undefined) return;
    for (const [id, entry] of this.#aside) if (entry.owner === owner && this.#aside.delete(id)) this.#size--;
  }

  #slotOf(deliveryId: number): number {
    const slot = deliveryId & (this.#owners.length - 1);
    return this.#owners[slot] !== undefined && this.#ids[slot] === deliveryId >>> 0 ? slot : -1;
  }

  #resize(slots: number): void {
    const ids = new Uint32Array(slots);
    const keys = new Uint32Array(slots);
    const owners: (L | undefined)[] = Array.from({ length: slots }, () => undefined);
    for (let old = 0; old < this.#owners.length; old++) {
      const owner = this.#owners[old];
      if (owner === undefined) continue;
      const slot = this.#ids[old]! & (slots - 1);
      owners[slot] = owner;
      ids[slot] = this.#ids[old]!;
      keys[slot] = this.#keys[old]!;
    }
    this.#ids = ids;
    this.#keys = keys;
    this.#owners = owners;
  }
}

function visitAside<L>(aside: Map<number, Aside<L>>, first: number, last: number, visitor: Visitor<L>, settled: () => void): number {
  let visited = 0;
  const visit = (id: number, entry: Aside<L> | undefined): void => {
    if (entry === undefined) return;
    visited++;
    if (visitor(entry.owner, entry.key, id) && aside.delete(id)) settled();
  };
  // Whichever is less to look at: a peer that settles one by one must not pay for all that it has not settled.
  if (serialDistance(first, last) < aside.size) for (let id = first; !isBefore(last, id); id = serialAdd(id, 1)) visit(id, aside.get(id));
  else for (const [id, entry] of aside) if (!isBefore(id, first) && !isBefore(last, id)) visit(id, entry);
  return visited;
}
