// Turns of the simulated event loop: one event, then what was put off to its end.

import type { Turn } from '../src/broker/turn.ts';

export class SimTurn implements Turn {
  #end: (() => void)[] = [];
  #later: (() => void)[] = [];

  atEnd(task: () => void): void {
    this.#end.push(task);
  }

  later(task: () => void): void {
    this.#later.push(task);
  }

  get idle(): boolean {
    return this.#end.length === 0 && this.#later.length === 0;
  }

  /** Ends the present turn. */
  end(): void {
    while (this.#end.length > 0) {
      const tasks = this.#end;
      this.#end = [];
      for (const task of tasks) task();
    }
  }

  /** Begins a turn with what was put off to later ones. Returns false when there was nothing. */
  begin(): boolean {
    if (this.#later.length === 0) return false;
    const tasks = this.#later;
    this.#later = [];
    for (const task of tasks) task();
    return true;
  }

  /** The process is gone, and all it had planned. */
  clear(): void {
    this.#end = [];
    this.#later = [];
  }
}
