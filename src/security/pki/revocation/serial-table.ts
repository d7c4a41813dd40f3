// Serial numbers of a CRL, each with a byte: 100,000 of them in about 3 MB, found in constant time.

import { maxSerialBytes } from '../certificate-facts.ts';

const width = maxSerialBytes + 1;
const firstCapacity = 16;

export class SerialTable {
  #size = 0;
  #records: Buffer;
  /** Places in `#records`, plus one; a power of two, at most half full. */
  #slots: Uint32Array;
  readonly #seed: number;
  readonly #probe = Buffer.alloc(maxSerialBytes);

  /** `seed`: so that nobody outside can choose numbers that are slow to find. `expected`: so many fit without growing, which takes time. */
  constructor(seed: number, expected = 0) {
    this.#seed = seed >>> 0;
    let capacity = firstCapacity;
    while (capacity < expected) capacity *= 2;
    this.#records = Buffer.alloc(capacity * width);
    this.#slots = new Uint32Array(capacity * 2);
  }

  get size(): number {
    return this.#size;
  }

  get bytes(): number {
    return this.#records.length + this.#slots.byteLength;
  }

  /** `serial`: hex of at most 20 bytes. A number that is there gets the new value. */
  set(serial: string, value: number): void {
    const slot = this.#find(serial);
    const place = this.#slots[slot]!;
    if (place !== 0) {
      this.#records[place * width - 1] = value;
      return;
    }
    if ((this.#size + 1) * width > this.#records.length) {
      this.#grow();
      this.set(serial, value);
      return;
    }
    this.#probe.copy(this.#records, this.#size * width);
    this.#slots[slot] = ++this.#size;
    this.#records[this.#size * width - 1] = value;
  }

  get(serial: string): number | undefined {
    if (serial.length > maxSerialBytes * 2) return undefined;
    const place = this.#slots[this.#find(serial)]!;
    return place === 0 ? undefined : this.#records[place * width - 1];
  }

  *[Symbol.iterator](): Generator<readonly [serial: string, value: number]> {
    for (let i = 0; i < this.#size; i++) {
      const record = this.#records.subarray(i * width, i * width + width);
      yield [record.toString('hex', 0, maxSerialBytes).replace(/^0+(?=.)/, ''), record[maxSerialBytes]!];
    }
  }

  /** The slot that holds the number, or the free one where it belongs; the number is in `#probe` then. */
  #find(serial: string): number {
    const probe = this.#probe.fill(0);
    const digits = serial.padStart(maxSerialBytes * 2, '0');
    probe.write(digits, 'hex');
    return this.#place(probe, 0);
  }

  #place(bytes: Buffer, from: number): number {
    const mask = this.#slots.length - 1;
    let slot = hash(bytes, from, this.#seed) & mask;
    for (;;) {
      const place = this.#slots[slot]!;
      if (place === 0) return slot;
      const at = (place - 1) * width;
      if (this.#records.compare(bytes, from, from + maxSerialBytes, at, at + maxSerialBytes) === 0) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #grow(): void {
    const records = Buffer.alloc(this.#records.length * 2);
    this.#records.copy(records);
    this.#records = records;
    this.#slots = new Uint32Array(this.#slots.length * 2);
    for (let i = 0; i < this.#size; i++) this.#slots[this.#place(records, i * width)] = i + 1;
  }
}

/** FNV-1a with a seed, and a last stir. */
function hash(bytes: Buffer, from: number, seed: number): number {
  let value = 0x811c9dc5 ^ seed;
  for (let i = from; i < from + maxSerialBytes; i++) value = Math.imul(value ^ bytes[i]!, 0x01000193);
  value ^= value >>> 15;
  return Math.imul(value, 0x2c1b3c6d) >>> 0;
}
