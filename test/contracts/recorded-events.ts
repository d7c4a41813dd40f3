// Listens to a journal and lets a test wait for what it says.

import type { JournalError, JournalEvents } from '../../src/store/journal.ts';

export type Told = 'durable' | 'stalled' | 'resumed' | 'failed';

export class RecordedEvents implements JournalEvents {
  /** Everything told, in order. */
  readonly told: Told[] = [];
  readonly durableRows: number[] = [];
  readonly errors: JournalError[] = [];
  /** True while the test is within a call to the journal: nothing may be told then. */
  inCall = false;
  readonly #waiting = new Set<{ ready: () => boolean; resolve: () => void }>();

  get durableRow(): number {
    return this.durableRows.at(-1) ?? 0;
  }

  durable(row: number): void {
    this.durableRows.push(row);
    this.#tell('durable');
  }

  stalled(error: JournalError): void {
    this.errors.push(error);
    this.#tell('stalled');
  }

  resumed(): void {
    this.#tell('resumed');
  }

  failed(error: JournalError): void {
    this.errors.push(error);
    this.#tell('failed');
  }

  /** Waits until every row up to `row` was told to be durable. */
  untilDurable(row: number): Promise<void> {
    return this.#until(() => this.durableRow >= row);
  }

  /** Waits until `what` was told `times` times in all. */
  untilTold(what: Told, times = 1): Promise<void> {
    return this.#until(() => this.told.filter((told) => told === what).length >= times);
  }

  #until(ready: () => boolean): Promise<void> {
    if (ready()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.add({ ready, resolve }));
  }

  #tell(what: Told): void {
    if (this.inCall) throw new Error(`'${what}' was told from within a call to the journal`);
    this.told.push(what);
    for (const waiter of this.#waiting) {
      if (!waiter.ready()) continue;
      this.#waiting.delete(waiter);
      waiter.resolve();
    }
  }
}
