// Brings the tables in PostgreSQL up to date. Several nodes may start at the same time: one does it, the others wait for it.

import { RegistryFailure } from '../sql/failure.ts';
import { row, rows, type Steps } from '../sql/statement.ts';
import { checkSchema } from '../sql/transaction.ts';
import type { Database } from './database.ts';
import { migrations } from './migrations.ts';

/** @throws RegistryFailure */
export async function migrate(database: Database, schema: string): Promise<void> {
  // One transaction for each version, so that a node that dies in between leaves a version and not a part of one.
  for (let version = -1; version < migrations.length;) {
    version = await database.transaction(async (run) => ({ value: await run(oneVersion(schema)), commit: true }));
  }
}

function* oneVersion(schema: string): Steps<number> {
  yield* rows('SELECT pg_advisory_xact_lock(hashtext(?))', [`heliograph ${schema}`]);
  const encoding = yield* row('SHOW server_encoding', []);
  if (encoding?.['server_encoding'] !== 'UTF8') {
    throw new RegistryFailure('unavailable', 'the database of the registry must have the encoding UTF8');
  }
  // Only if it is missing: to make one takes a right that is not needed otherwise.
  const there = yield* row('SELECT nspname FROM pg_namespace WHERE nspname = ?', [schema]);
  if (there === undefined) yield* rows(`CREATE SCHEMA ${schema}`, []);
  const table = yield* row('SELECT tablename FROM pg_tables WHERE schemaname = ? AND tablename = ?', [schema, 'registry_state']);
  const state = table && (yield* row('SELECT schema_version FROM registry_state', []));
  const version = state === undefined ? 0 : (state['schema_version'] as number);
  checkSchema(version, migrations.length);
  if (version === migrations.length) return version;
  for (const statement of migrations[version]!.split(';')) if (statement.trim() !== '') yield* rows(statement, []);
  yield* rows('UPDATE registry_state SET schema_version = ?', [version + 1]);
  return version + 1;
}
