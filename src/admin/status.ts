// The state of a node as `/api/status` tells it and `heliograph status` shows it. The composition root gathers it.

export type LedgerStatus = {
  readonly accepted: number;
  /** Found in the journal at start. */
  readonly recovered: number;
  readonly delivered: number;
  readonly queued: number;
  readonly expired: number;
  /** By reason. */
  readonly dropped: Readonly<Record<string, number>>;
};

export type Status = {
  readonly name: string;
  readonly version: string;
  /** As the broker says: starting, serving, draining, stopped, failed. */
  readonly state: string;
  readonly startedAtMs: number;
  readonly uptimeSeconds: number;
  /** Why it does not serve; empty when it does. */
  readonly notReady: readonly string[];
  /** What an acknowledged message survives. */
  readonly durability: string;
  readonly listeners: readonly {
    readonly name: string;
    readonly kind: string;
    readonly host: string;
    readonly port: number;
    /** Open now; absent for the management listeners. */
    readonly connections?: number;
    readonly accepted?: number;
    readonly refused?: number;
    /** TLS handshakes that were done, by what was agreed on. */
    readonly handshakes?: readonly { readonly version: string; readonly cipher: string; readonly group: string; readonly count: number }[];
  }[];
  readonly connections: number;
  readonly sessions: { readonly total: number; readonly connected: number };
  readonly subscriptions: number;
  readonly retained: number;
  /** The books of all queues together. */
  readonly ledger: LedgerStatus;
  readonly journal: readonly {
    readonly shard: number;
    readonly rows: number;
    readonly bytes: number;
    readonly storedBytes: number;
    readonly commits: number;
    readonly commitMs: number;
    /** The last error, while appends wait for the disk. */
    readonly stalled?: string;
  }[];
  readonly tenants: readonly {
    readonly tenant: string;
    readonly sessions: number;
    readonly connected: number;
    readonly subscriptions: number;
    readonly retained: number;
    readonly queued: number;
  }[];
  readonly certificates: readonly { readonly name: string; readonly notAfterMs: number }[];
  /** What ends, as it was seen a few minutes ago; absent: not looked at yet. */
  readonly expiry?: {
    readonly atMs: number;
    /** Valid certificates of peers that end within so many days. */
    readonly peers: readonly { readonly days: number; readonly count: number }[];
    /** Of them, those that end first. */
    readonly first: readonly { readonly tenant: string; readonly owner: string; readonly fingerprint: string; readonly endMs: number }[];
    /** Certificates of servers, authorities, revocation lists. */
    readonly endings: readonly { readonly kind: string; readonly name: string; readonly endMs: number }[];
  };
};

/** What the two sides of the books differ by; anything but 0 is a broken invariant. */
export function imbalanceOf(ledger: LedgerStatus): number {
  return ledger.accepted + ledger.recovered - ledger.delivered - ledger.queued - ledger.expired - droppedOf(ledger);
}

export function droppedOf({ dropped }: LedgerStatus): number {
  return Object.values(dropped).reduce((sum, count) => sum + count, 0);
}
