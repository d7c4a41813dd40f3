// Who watches one peer's frames.

/** Handed in by the composition root. The same shape as MQTT's, with the container id as the client's name. */
export interface Trace {
  /** Moves when `wants` may answer otherwise than before; connections that are not watched look at nothing else. */
  readonly version: number;
  wants(clientId: string): boolean;
  packet(clientId: string, direction: 'in' | 'out', words: string): void;
}

export const noTrace: Trace = {
  version: 0,
  wants: () => false,
  packet() {},
};
