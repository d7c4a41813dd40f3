// What PostgreSQL and the way to it may refuse, in the registry's words.

import type { RegistryErrorCode } from '../registry.ts';
import { RegistryFailure } from '../sql/failure.ts';

/** Two transactions stood in each other's way, and one was undone: doing it again helps. */
const retried = ['40001', '40P01'];

/** SQLSTATE, or its first two characters, the class: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const states: Readonly<Record<string, RegistryErrorCode>> = {
  '53100': 'full',
  XX001: 'damaged',
  XX002: 'damaged',
  '08': 'unavailable', // connection exception
  '25': 'unavailable', // a standby takes no writes
  '28': 'unavailable', // not let in
  '3D': 'unavailable', // no such database
  '3F': 'unavailable', // no such schema
  '40': 'unavailable', // undone, more than once
  '42501': 'unavailable', // a right is missing
  '53': 'unavailable', // no memory, no connections
  '55': 'unavailable', // locked
  '57': 'unavailable', // shutting down, cancelled
  '58': 'unavailable', // errors of its system
};

const words: Readonly<Partial<Record<RegistryErrorCode, string>>> = {
  unavailable: 'the registry in PostgreSQL cannot be used now',
  damaged: 'the registry in PostgreSQL is damaged; restore a backup',
  full: 'no space left on the disk of PostgreSQL; free some',
};

/** What a call of the driver threw, as one of ours; a statement that PostgreSQL does not take is a bug and thrown on as it is. */
export function postgresFailure(error: unknown): RegistryFailure {
  if (error instanceof RegistryFailure) return error;
  const state = sqlState(error);
  const code = state === undefined ? 'unavailable' : (states[state] ?? states[state.slice(0, 2)]);
  if (code === undefined) throw error;
  return new RegistryFailure(code, `${words[code]}: ${error instanceof Error ? error.message || error.name : String(error)}`, error);
}

export function isWorthRetrying(error: unknown): boolean {
  const cause = error instanceof RegistryFailure ? error.cause : error;
  return retried.includes(sqlState(cause) ?? '');
}

/** Only what the server itself has said has one; the rest is trouble on the way to it. */
function sqlState(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('severity' in error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
