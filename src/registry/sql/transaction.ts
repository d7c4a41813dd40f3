// One transaction that writes: its revision, and what it has changed. What runs it begins and ends the database's own transaction.

import type { Kind } from '../entries.ts';
import { systemScope } from '../entries.ts';
import type { Change } from '../registry.ts';
import { RegistryFailure } from './failure.ts';
import { row, rows, type Steps } from './statement.ts';

/** Of one kind and tenant; more are told as one change of `many`. */
const maxNamedChanges = 100;
/** How far back changes are kept: who looks less often is told that anything may have changed. */
export const keptRevisions = 10_000;
const pruneEvery = 256;

export type Noted = Pick<Change, 'what'> & { readonly kind: Kind; readonly tenant: string; readonly id: string };

export class Transaction {
  readonly revision: number;
  readonly nowMs: number;
  readonly #tenants = new Set<string>([systemScope]);
  readonly #changes: Noted[] = [];

  private constructor(revision: number, nowMs: number) {
    this.revision = revision;
    this.nowMs = nowMs;
  }

  /**
   * Takes the next revision. This one row is also the lock that makes writers wait for each other in PostgreSQL, so that revisions
   * are seen in their order.
   */
  static *begin(schema: number, nowMs: number): Steps<Transaction> {
    const state = yield* row('UPDATE registry_state SET revision = revision + 1 RETURNING revision, schema_version', []);
    if (state === undefined) throw new RegistryFailure('damaged', 'the registry has lost its state');
    checkSchema(Number(state['schema_version']), schema);
    return new Transaction(state['revision'] as number, nowMs);
  }

  get hasChanges(): boolean {
    return this.#changes.length > 0;
  }

  note(what: Noted['what'], kind: Kind, tenant: string, id: string): void {
    this.#changes.push({ what, kind, tenant, id });
  }

  *knowsTenant(tenant: string): Steps<boolean> {
    if (this.#tenants.has(tenant)) return true;
    const found = yield* row('SELECT version FROM tenants WHERE tenant = ? AND id = ?', [systemScope, tenant]);
    if (found !== undefined) this.#tenants.add(tenant);
    return found !== undefined;
  }

  forgetTenant(tenant: string): void {
    this.#tenants.delete(tenant);
  }

  /** Writes down what has changed, for those who are told; must come last. */
  *end(): Steps<void> {
    let n = 0;
    for (const { kind, tenant, id, what } of collapsed(this.#changes)) {
      yield* rows('INSERT INTO registry_changes (revision, n, kind, tenant, id, what) VALUES (?, ?, ?, ?, ?, ?)', [
        this.revision,
        n++,
        kind,
        tenant,
        id,
        what,
      ]);
    }
    if (this.revision % pruneEvery !== 0 || this.revision <= keptRevisions) return;
    const oldest = this.revision - keptRevisions;
    yield* rows('DELETE FROM registry_changes WHERE revision < ?', [oldest]);
    yield* rows('UPDATE registry_state SET changes_from = ?', [oldest]);
  }
}

/** @throws RegistryFailure 'later-version' */
export function checkSchema(found: number, known: number): void {
  if (found <= known) return;
  const what = `the registry was written by a later version of Heliograph (schema ${found}, this one knows ${known}); start that version`;
  throw new RegistryFailure('later-version', what);
}

type Told = Omit<Noted, 'id'> & { readonly id: string | null };

function collapsed(changes: readonly Noted[]): Told[] {
  if (changes.length <= maxNamedChanges) return [...changes];
  const groups = new Map<string, Noted[]>();
  for (const change of changes) {
    const key = `${change.kind} ${change.tenant}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [change]);
    else group.push(change);
  }
  return [...groups.values()].flatMap((group): Told[] => {
    if (group.length <= maxNamedChanges) return group;
    const { kind, tenant } = group[0]!;
    return [{ kind, tenant, id: null, what: 'many' }];
  });
}
