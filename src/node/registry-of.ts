// The registry that a configuration names, for the node and for the command line.

import { readFile } from 'node:fs/promises';
import { makePrivateDirectory } from '../base/private-file.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { UserError } from '../base/user-error.ts';
import type { Config } from '../config.ts';
import type { Registry, RegistryError, RegistryErrorCode, Result } from '../registry/registry.ts';
import { registryPath } from './paths.ts';

export type RegistryServices = {
  readonly clock: Clock;
  readonly log?: Log;
  /** False: for a process that ends when its work is done. */
  readonly thread: boolean;
};

/** Each kind is loaded only where it is used. @throws UserError */
export async function openRegistryOf(config: Config, services: RegistryServices): Promise<Registry> {
  return config.registry.kind === 'postgres' ? openPostgres(config, services) : openSqlite(config, services);
}

async function openSqlite(config: Config, services: RegistryServices): Promise<Registry> {
  const { SqliteRegistry } = await import('../registry/sqlite/sqlite-registry.ts');
  await makePrivateDirectory(config.node.dataDir);
  return opened(SqliteRegistry.open({ ...services, path: registryPath(config.node.dataDir) }), registryPath(config.node.dataDir));
}

async function openPostgres(config: Config, services: RegistryServices): Promise<Registry> {
  const { PostgresRegistry } = await import('../registry/postgres/postgres-registry.ts');
  const { urlFile, caFile, schema, connections } = config.registry;
  const url = (await contentOf(urlFile!)).trim();
  if (!URL.canParse(url)) {
    // The text may hold a password: it is not repeated.
    throw new UserError('The address of PostgreSQL cannot be read.', {
      where: urlFile!,
      fix: 'write postgresql://user:password@host:port/database',
    });
  }
  const ca = caFile === undefined ? undefined : await contentOf(caFile);
  return opened(await PostgresRegistry.open({ ...services, connection: { url, ca, schema, connections } }), urlFile!);
}

async function contentOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new UserError(`A file of the registry's settings cannot be read: ${(error as Error).message}`, {
      where: file,
      fix: 'check the path, and that this user may read the file',
      cause: error,
    });
  }
}

function opened(result: Result<Registry>, where: string): Registry {
  if (result.ok) return result.value;
  throw registryProblem(result.error, where);
}

const fixes: Partial<Record<RegistryErrorCode, string>> = {
  unavailable: 'see that it can be reached, and that this user may use it; then try again',
  full: 'free some space, then try again',
  damaged: 'restore a backup of the registry',
  'later-version': 'start that version',
  conflict: 'look at it again, then decide again',
};

/** What the registry refused, for whoever sits at the terminal. */
export function registryProblem(error: Pick<RegistryError, 'message'> & { readonly code?: RegistryErrorCode }, where?: string): UserError {
  const fix = error.code === undefined ? undefined : fixes[error.code];
  const text = error.message.charAt(0).toUpperCase() + error.message.slice(1);
  return new UserError(/[.!?]$/.test(text) ? text : `${text}.`, {
    ...(where !== undefined && { where }),
    ...(fix !== undefined && { fix }),
  });
}
