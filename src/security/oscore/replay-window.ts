// Which numbers of a sender were accepted already (RFC 8613 §7.4): the newest, and those of a window below it one by one. What is
// older than the window counts as accepted.

export class ReplayWindow {
  readonly #size: number;
  /** By number modulo size: 1 is accepted. */
  readonly #seen: Uint8Array;
  #newest = -1;

  constructor(size: number) {
    this.#size = size;
    this.#seen = new Uint8Array(size);
  }

  /** -1: none yet. */
  get newest(): number {
    return this.#newest;
  }

  isNew(sequence: number): boolean {
    if (sequence > this.#newest) return true;
    return sequence > this.#newest - this.#size && this.#seen[sequence % this.#size] === 0;
  }

  /** Only what `isNew`. */
  accept(sequence: number): void {
    const gap = sequence - this.#newest;
    if (gap >= this.#size) this.#seen.fill(0);
    else for (let between = this.#newest + 1; between < sequence; between++) this.#seen[between % this.#size] = 0;
    this.#seen[sequence % this.#size] = 1;
    if (gap > 0) this.#newest = sequence;
  }

  /** Everything up to `sequence` counts as accepted, and nothing above. */
  closeUpTo(sequence: number): void {
    this.#newest = sequence;
    this.#seen.fill(1);
  }

  /** The window as text: from the newest down, `1` is accepted. */
  toText(): string {
    let text = '';
    for (let i = 0; i < this.#size && this.#newest - i >= 0; i++) text += this.#seen[(this.#newest - i) % this.#size];
    return text;
  }

  /** What `toText` gave, perhaps of a window of another size. */
  restore(newest: number, text: string): void {
    this.#newest = newest;
    this.#seen.fill(0);
    for (let i = 0; i < this.#size && newest - i >= 0; i++) this.#seen[(newest - i) % this.#size] = text[i] === '0' ? 0 : 1;
  }
}
