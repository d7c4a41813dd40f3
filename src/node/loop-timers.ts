import { Timers, type Timer, type TimerTask } from '../base/timers.ts';
import type { NetLoop } from '../net/loop.ts';

/** Deadlines that the loop keeps: whoever arms one need not know who wakes it. */
export class LoopTimers extends Timers {
  readonly #loop: NetLoop;

  constructor(loop: NetLoop) {
    super();
    this.#loop = loop;
  }

  override at(deadlineMs: number, task: TimerTask): Timer {
    const timer = this.#loop.timers.at(deadlineMs, task);
    this.#loop.wakeAt(deadlineMs);
    return timer;
  }

  override cancel(timer: Timer | undefined): void {
    this.#loop.timers.cancel(timer);
  }

  override nextDeadlineMs(): number {
    return this.#loop.timers.nextDeadlineMs();
  }

  /** The loop does this. */
  override advance(): void {}

  override get size(): number {
    return this.#loop.timers.size;
  }
}
