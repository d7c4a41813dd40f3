// What has changed since a revision, as the writers wrote it down (transaction.ts).

import type { Kind } from '../entries.ts';
import type { Change } from '../registry.ts';
import { RegistryFailure } from './failure.ts';
import { row, rows, type Steps } from './statement.ts';
import { tables } from './tables.ts';
import { checkSchema } from './transaction.ts';

/** Revisions read at a time; each has a thousand changes at most. */
const revisionsAtATime = 100;

/** Where the registry is: the last revision. */
export function* currentRevision(schema: number): Steps<number> {
  const state = yield* row('SELECT revision, schema_version FROM registry_state', []);
  if (state === undefined) throw new RegistryFailure('damaged', 'the registry has lost its state');
  checkSchema(Number(state['schema_version']), schema);
  return state['revision'] as number;
}

/** The changes after revision `since`, some of them; `upTo` is where to go on, `more` whether there are others by now. */
export function* changesSince(since: number, schema: number): Steps<{ changes: Change[]; upTo: number; more: boolean }> {
  const state = yield* row('SELECT revision, changes_from, schema_version FROM registry_state', []);
  if (state === undefined) throw new RegistryFailure('damaged', 'the registry has lost its state');
  checkSchema(Number(state['schema_version']), schema);
  const now = state['revision'] as number;
  if (now === since) return { changes: [], upTo: now, more: false };
  // Behind what was kept, or a registry that was put back from a backup.
  if (since + 1 < (state['changes_from'] as number) || now < since) return { changes: [everything(now)], upTo: now, more: false };
  const upTo = Math.min(now, since + revisionsAtATime);
  const text = 'SELECT revision, kind, tenant, id, what FROM registry_changes WHERE revision > ? AND revision <= ? ORDER BY revision, n';
  const found = yield* rows(text, [since, upTo]);
  const changes = found.map((each): Change => ({
    version: each['revision'] as number,
    kind: each['kind'] as Kind,
    tenant: each['tenant'] as string,
    id: (each['id'] as string | null) ?? undefined,
    what: each['what'] as Change['what'],
  }));
  // A kind that this release does not know has no one who could ask for it.
  return { changes: changes.filter(({ kind }) => Object.hasOwn(tables, kind!)), upTo, more: upTo < now };
}

function everything(version: number): Change {
  return { version, kind: undefined, tenant: undefined, id: undefined, what: 'many' };
}
