// What was done to this system, by whom, and whether it went through. Everything that concerns security and every change by the
// management interface is told here, once, by the code that decided it.

/** Who did it. */
export type Actor =
  | { readonly kind: 'principal'; readonly tenant: string; readonly id: string; readonly method?: string }
  /** Somebody who has not proved who it is; `claimed` is what it says, cut, and only if it is an account that exists. */
  | { readonly kind: 'stranger'; readonly claimed?: string }
  /** Somebody who may read the data directory of this node. */
  | { readonly kind: 'local' }
  /** The node itself: a renewal, a rotation, a limit. */
  | { readonly kind: 'node' };

export type AuditEvent = {
  readonly actor: Actor;
  /** `<room>.<what>.<done>` as in `certificate.issue`, `session.disconnect`, `policy.update`, `authentication.fail`. */
  readonly action: string;
  /** What it was done to, as a path: `device/main/pump-7`, `authority/<id>`, `listener/mqtts`. Empty: nothing in particular. */
  readonly target: string;
  /** Address and port it came from; empty: from this node. */
  readonly from: string;
  /** refused: it was not allowed, or made no sense. failed: it was, and went wrong. */
  readonly outcome: 'done' | 'refused' | 'failed';
  /** Facts for whoever reads it later: never a secret, never a payload. Short. */
  readonly details?: Readonly<Record<string, string | number | boolean>>;
};

export interface Audit {
  /** Never waits and never fails the caller; what cannot be written is counted, told in the log, and makes the node not ready. */
  record(event: AuditEvent): void;
}

/** Where the log ends. Whoever keeps it elsewhere can later show that nothing was cut off the end. */
export type AuditHead = { readonly seq: number; readonly hash: string };

/** Which entries; absent: all. */
export type AuditQuery = {
  /** Entries behind this sequence number. */
  readonly afterSeq?: number | undefined;
  readonly fromMs?: number | undefined;
  readonly untilMs?: number | undefined;
  /** Begins with. */
  readonly action?: string | undefined;
  readonly target?: string | undefined;
  /** Exactly, as actorText writes it: `main/alice`, `(local)`. */
  readonly actor?: string | undefined;
  readonly outcome?: string | undefined;
};

/** For tests and tools that change nothing. */
export const noAudit: Audit = { record: () => {} };
