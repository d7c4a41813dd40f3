// A double-ended queue on a ring that doubles when full. Empty, it gives back what a burst made it take.

const firstCapacity = 8;
/** An empty ring larger than this is given back. */
const keptCapacity = 256;

export class Fifo<T extends object> {
  #ring: (T | undefined)[] | undefined;
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The element at `index` from the front. */
  at(index: number): T | undefined {
    if (index >= this.#length) return undefined;
    const ring = this.#ring!;
    return ring[(this.#head + index) & (ring.length - 1)];
  }

  push(value: T): void {
    const ring = this.#room();
    ring[(this.#head + this.#length) & (ring.length - 1)] = value;
    this.#length++;
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const ring = this.#ring!;
    const value = ring[this.#head];
    ring[this.#head] = undefined;
    this.#head = (this.#head + 1) & (ring.length - 1);
    this.#length--;
    if (this.#length === 0 && ring.length > keptCapacity) this.clear();
    return value;
  }

  /** Removes every element for which `test` holds; the order of the others stays. */
  removeWhere(test: (value: T) => boolean): void {
    const rest = this.#length;
    for (let i = 0; i < rest; i++) {
      const value = this.shift()!;
      if (!test(value)) this.push(value);
    }
  }

  clear(): void {
    this.#ring = undefined;
    this.#head = 0;
    this.#length = 0;
  }

  /** A copy; much faster than iterating. */
  toArray(): T[] {
    const ring = this.#ring;
    if (ring === undefined) return [];
    const end = this.#head + this.#length;
    const first = ring.slice(this.#head, end);
    return (end <= ring.length ? first : first.concat(ring.slice(0, end - ring.length))) as T[];
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let i = 0; i < this.#length; i++) yield this.at(i)!;
  }

  #room(): (T | undefined)[] {
    const ring = this.#ring;
    if (ring === undefined) return (this.#ring = emptyRing<T>(firstCapacity));
    if (this.#length < ring.length) return ring;
    const larger = emptyRing<T>(ring.length * 2);
    for (let i = 0; i < this.#length; i++) larger[i] = ring[(this.#head + i) & (ring.length - 1)];
    this.#head = 0;
    return (this.#ring = larger);
  }
}

/** A loop is many times faster than Array.from. */
export function emptyRing<T>(capacity: number): (T | undefined)[] {
  const ring: (T | undefined)[] = [];
  for (let i = 0; i < capacity; i++) ring.push(undefined);
  return ring;
}
