// The moments at which a broker that promises too early is caught: right after it said something, and before it wrote it down.

export const moments = ['acknowledgement', 'delivery', 'welcome', 'subscription'] as const;
export type Moment = (typeof moments)[number];

export class Moments {
  #awaited: { readonly moment: Moment; readonly task: () => void } | undefined;

  /** Runs `task` at once when it happens next. */
  at(moment: Moment, task: () => void): void {
    this.#awaited = { moment, task };
  }

  /** Says that it happens now. */
  now(moment: Moment): void {
    if (this.#awaited?.moment !== moment) return;
    const { task } = this.#awaited;
    this.#awaited = undefined;
    task();
  }

  forget(): void {
    this.#awaited = undefined;
  }
}
