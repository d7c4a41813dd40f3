// Publishes of one client whose acknowledgement must wait: for the journal, or for an earlier publish that waits for it. They
// are answered in the order in which they came [MQTT-4.6.0-2] [MQTT-4.6.0-3]. Empty while every answer is immediate, and then
// holds no memory.
//
// A publish is known by its key, a small integer that is also the token given to the broker: the packet id for QoS 2, the
// packet id plus 65,536 for QoS 1.

const qos1Bit = 0x1_0000;
const codeShift = 17;
/** No reason code: the answer is not known yet. */
const undecided = 0xff;
const firstSlots = 16;
/** A ring this small is not worth giving back. */
const keptSlots = 64;

export function ackKey(qos: 1 | 2, packetId: number): number {
  return qos === 1 ? packetId | qos1Bit : packetId;
}

/** A decided answer as `next` returns it: three numbers in one. */
export function qosOf(answer: number): 1 | 2 {
  return (answer & qos1Bit) === 0 ? 2 : 1;
}

export function packetIdOf(answer: number): number {
  return answer & 0xffff;
}

export function reasonOf(answer: number): number {
  return answer >>> codeShift;
}

export class AckOrder {
  #ring: Uint32Array | undefined = undefined;
  #head = 0;
  /** Publishes that wait. */
  length = 0;

  /** Queues a publish whose answer the broker will give later. */
  wait(key: number): void {
    this.#push(key | (undecided << codeShift));
  }

  /** Queues a publish whose answer is known but must come after the earlier ones. */
  follow(key: number, reason: number): void {
    this.#push(key | (reason << codeShift));
  }

  /** The broker's answer to the earliest undecided publish with that key. Returns false when there is none. */
  decide(key: number, reason: number): boolean {
    const ring = this.#ring;
    if (ring === undefined) return false;
    const mask = ring.length - 1;
    // The broker answers in order, shard by shard: the first entry is nearly always the one.
    const waiting = key | (undecided << codeShift);
    for (let i = 0; i < this.length; i++) {
      const slot = (this.#head + i) & mask;
      if (ring[slot] !== waiting) continue;
      ring[slot] = key | (reason << codeShift);
      return true;
    }
    return false;
  }

  /** Whether a publish with that key waits for the broker. */
  isWaiting(key: number): boolean {
    const ring = this.#ring;
    if (ring === undefined) return false;
    const waiting = key | (undecided << codeShift);
    for (let i = 0; i < this.length; i++) if (ring[(this.#head + i) & (ring.length - 1)] === waiting) return true;
    return false;
  }

  /** Takes the first publish's answer, or returns -1 when it is not decided. */
  next(): number {
    if (this.length === 0) return -1;
    const ring = this.#ring!;
    const answer = ring[this.#head]!;
    if (answer >>> codeShift === undecided) return -1;
    this.#head = (this.#head + 1) & (ring.length - 1);
    this.length--;
    return answer;
  }

  /** Gives memory back after a burst. For a moment when the client is idle. */
  shrink(): void {
    if (this.length > 0 || (this.#ring?.length ?? 0) <= keptSlots) return;
    this.#ring = undefined;
    this.#head = 0;
  }

  #push(entry: number): void {
    const ring = this.#ring;
    if (ring === undefined || this.length === ring.length) this.#grow();
    this.#ring![(this.#head + this.length) & (this.#ring!.length - 1)] = entry;
    this.length++;
  }

  #grow(): void {
    const old = this.#ring;
    if (old === undefined) {
      this.#ring = new Uint32Array(firstSlots);
      return;
    }
    const grown = new Uint32Array(old.length * 2);
    for (let i = 0; i < this.length; i++) grown[i] = old[(this.#head + i) & (old.length - 1)]!;
    this.#ring = grown;
    this.#head = 0;
  }
}
