// One after the other where the same thing is concerned, side by side otherwise.

export class KeyedTurns {
  readonly #last = new Map<string, Promise<void>>();

  /** Keys for which something runs or waits. */
  get size(): number {
    return this.#last.size;
  }

  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    let release!: () => void;
    const turn = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.#last.set(key, turn);
    try {
      await before;
      return await task();
    } finally {
      if (this.#last.get(key) === turn) this.#last.delete(key);
      release();
    }
  }
}
