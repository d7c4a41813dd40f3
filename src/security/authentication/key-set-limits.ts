// How keys of issuers are fetched and kept. Apart from them, so that the configuration can tell without loading what checks tokens.

export type KeySetLimits = {
  /** Keys that are older are fetched again, while they still count. */
  readonly refreshMs: number;
  /** Keys that are older count no more. */
  readonly keepMs: number;
  /** Least time between two fetches, also for keys that are not known: tokens are made by anybody. */
  readonly pauseMs: number;
  readonly timeoutMs: number;
  readonly maxBytes: number;
};

export const defaultKeySetLimits: KeySetLimits = {
  refreshMs: 15 * 60_000,
  keepMs: 24 * 3_600_000,
  pauseMs: 10_000,
  timeoutMs: 5_000,
  maxBytes: 256 * 1024,
};
