// Those who speak one protocol in a history, as the scenario drives them.

export interface Drivable {
  /** Connects, unless it is connected. */
  connect(): void;
  /** Its process or network is gone, and comes back by itself. */
  drop(): void;
  /** What carries it, if there is one now. */
  readonly link: { stalled: boolean; unstall(): void } | undefined;
}

export interface Cast {
  readonly clients: readonly Drivable[];
  /** Until then they publish. */
  traffic(untilMs: number): void;
  /** The faults are over. */
  calm?(): void;
  /** After the calm. */
  problems(): string[];
}
