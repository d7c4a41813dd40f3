// Lets only so many password checks run at a time. Each takes a core for tens of milliseconds and a thread of the pool that
// file access needs too: without this gate a flood of guesses would be a way to stop the broker.

export type GateLimits = {
  /** Checks that run at the same time. */
  readonly running: number;
  /** Checks that wait; what comes on top is refused. */
  readonly waiting: number;
  /** Of these, how many may come from one address, so that one flood does not take the whole line. */
  readonly waitingPerAddress: number;
};

type Entry = { readonly address: string; readonly work: () => Promise<void> };

export class PasswordGate {
  readonly #limits: GateLimits;
  readonly #line: Entry[] = [];
  readonly #perAddress = new Map<string, number>();
  #running = 0;

  constructor(limits: GateLimits) {
    this.#limits = limits;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#line.length;
  }

  /** Runs `work` now or when its turn comes; false when the line is full and it will never run. `work` must not reject. */
  enter(address: string, work: () => Promise<void>): boolean {
    if (this.#running < this.#limits.running) {
      this.#run(work);
      return true;
    }
    const already = this.#perAddress.get(address) ?? 0;
    if (this.#line.length >= this.#limits.waiting || already >= this.#limits.waitingPerAddress) return false;
    this.#perAddress.set(address, already + 1);
    this.#line.push({ address, work });
    return true;
  }

  #run(work: () => Promise<void>): void {
    this.#running++;
    void work().finally(() => {
      this.#running--;
      const next = this.#line.shift();
      if (next === undefined) return;
      const left = this.#perAddress.get(next.address)! - 1;
      if (left === 0) this.#perAddress.delete(next.address);
      else this.#perAddress.set(next.address, left);
      this.#run(next.work);
    });
  }
}
