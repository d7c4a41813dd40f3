// Answers that take long: traces, exports, files under way. Who asked was let in when they began; when that does not hold any more,
// they end (a token that was taken back, a device that was disabled, a role that is gone).

import type { ServerResponse } from 'node:http';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Caller, CallerStanding } from './api/caller.ts';
import type { Permission } from './api/permission.ts';

/** Half of the two seconds in which a revocation must hold. */
const everyMs = 1000;

type Open = {
  readonly permission: Permission | undefined;
  readonly caller: Caller;
  readonly standing: CallerStanding;
  isAsked: boolean;
};

export class Standing {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #open = new Map<ServerResponse, Open>();
  #timer: NodeJS.Timeout | undefined;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Until the answer is over. `permission`: what it wants, too, where that is known. */
  watch(response: ServerResponse, caller: Caller, permission?: Permission): void {
    const { standing } = caller;
    if (standing === undefined || response.destroyed || response.writableFinished) return;
    if (!this.#open.has(response)) response.once('close', () => this.#remove(response));
    this.#open.set(response, { permission, caller, standing, isAsked: false });
    this.#timer ??= setInterval(() => this.look(), everyMs).unref();
  }

  /** Looks at all of them. */
  look(): void {
    for (const [response, open] of this.#open) {
      // One that waits for an answer is not asked about again meanwhile.
      if (!open.isAsked) void this.#lookAt(response, open);
    }
  }

  get size(): number {
    return this.#open.size;
  }

  async #lookAt(response: ServerResponse, open: Open): Promise<void> {
    const { permission, caller, standing } = open;
    open.isAsked = true;
    try {
      const isPast = (standing.untilMs ?? Infinity) <= this.#clock.wallMs();
      const now = isPast ? undefined : await standing.again();
      if (now !== undefined && (permission === undefined || now.may(permission))) return;
      if (response.destroyed) return;
      this.#log.info('admin.answer.cut', { caller: caller.name });
      response.destroy();
    } catch (error) {
      this.#log.error('admin.standing.failed', { error: (error as Error).message });
    } finally {
      open.isAsked = false;
    }
  }

  #remove(response: ServerResponse): void {
    this.#open.delete(response);
    if (this.#open.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
