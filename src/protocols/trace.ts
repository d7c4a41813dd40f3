// Watching one client: each protocol says its packets in words, for an operator.

/** Who watches. Handed in by the composition root. */
export interface Trace {
  /** Moves when `wants` may answer otherwise than before; connections that are not watched look at nothing else. */
  readonly version: number;
  /** `clientId`: as the protocol names its clients (AMQP: the container id). */
  wants(clientId: string): boolean;
  packet(clientId: string, direction: 'in' | 'out', words: string): void;
}

export const noTrace: Trace = {
  version: 0,
  wants: () => false,
  packet() {},
};
