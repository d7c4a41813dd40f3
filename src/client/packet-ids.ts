// Which packet identifiers are in use by this side: one space for PUBLISH, SUBSCRIBE and UNSUBSCRIBE (MQTT 5 §2.2.1).

const highest = 0xffff;

export class PacketIds {
  readonly #used = new Set<number>();
  #last = 0;

  get isFull(): boolean {
    return this.#used.size === highest;
  }

  /** Takes a free one, not the one that was freed last: a late answer to it must find nobody. @throws RangeError when none is free */
  take(): number {
    if (this.isFull) throw new RangeError('all packet identifiers are in use');
    do this.#last = (this.#last % highest) + 1;
    while (this.#used.has(this.#last));
    this.#used.add(this.#last);
    return this.#last;
  }

  free(id: number): void {
    this.#used.delete(id);
  }
}
