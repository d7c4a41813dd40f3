// What a listener of any wire tells of itself in status and system topics.

import type { Negotiated } from './negotiated.ts';

export interface ListenerCounters {
  /** Connections, peers or sessions that are open now. */
  readonly active: number;
  /** How many there were. */
  readonly accepted: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Newcomers that were not taken, by reason. */
  readonly refused: Readonly<Record<string, number>>;
  /** What handshakes agreed on, with how often. */
  readonly handshakes: readonly (Negotiated & { readonly count: number })[];
}
