// Sessions that clients may resume by their ID (RFC 5246 §7.3), bounded in number and age.

import type { KeyObject } from 'node:crypto';
import type { DtlsIdentity } from './endpoint.ts';
import type { Suite } from './suites.ts';

export type Resumable = {
  readonly master: KeyObject;
  readonly suite: Suite;
  readonly hasExtendedMasterSecret: boolean;
  readonly serverName: string | undefined;
  readonly identity: DtlsIdentity;
  /** Monotonic; never later than what proved the identity. */
  readonly expiresAt: number;
};

export class ResumptionCache {
  /** The one whose use is longest ago first. */
  readonly #entries = new Map<string, Resumable>();

  get size(): number {
    return this.#entries.size;
  }

  keep(id: string, entry: Resumable, most: number): void {
    if (most === 0) return;
    if (this.#entries.size >= most) this.#entries.delete(this.#entries.keys().next().value!);
    this.#entries.set(id, entry);
  }

  find(id: string, now: number): Resumable | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined) return undefined;
    this.#entries.delete(id);
    if (entry.expiresAt <= now) return undefined;
    this.#entries.set(id, entry);
    return entry;
  }

  drop(id: string): void {
    this.#entries.delete(id);
  }

  forget(matches: (identity: DtlsIdentity) => boolean): void {
    for (const [id, { identity }] of this.#entries) if (matches(identity)) this.#entries.delete(id);
  }
}
