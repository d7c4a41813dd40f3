// What `heliograph data backup` and `check` do about everything in a data directory that is not messages: the registry, the users of
// an earlier release, keys and certificates, the audit log. A node may run on it meanwhile.

import type { Dirent } from 'node:fs';
import * as fs from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isReadableByOthers, makePrivateDirectory, writePrivateFile } from '../base/private-file.ts';
import { UserError } from '../base/user-error.ts';
import { RegistryFailure } from '../registry/sql/failure.ts';
import { auditPath, oscorePath, pkiPath, registryPath, usersFilePath } from './paths.ts';
import { registryProblem } from './registry-of.ts';

export type TrustCopy = {
  /** Bytes of the registry's file; undefined: there is none here (a new directory, or the registry is in PostgreSQL). */
  readonly registryBytes: number | undefined;
  /** Other files, and their bytes. */
  readonly files: number;
  readonly bytes: number;
};

export type TrustFinding = { readonly where: string; readonly what: string; readonly fix: string };

/**
 * Copies it all into the directory `target`, which is there; every file has mode 0600. The registry comes first: a key that is made
 * meanwhile is in the copy although nothing there asks for it, and not the other way round.
 * @throws UserError
 */
export async function copyTrust(dataDir: string, target: string): Promise<TrustCopy> {
  let registryBytes: number | undefined;
  const registry = registryPath(dataDir);
  if (await isFile(registry)) registryBytes = await copyRegistryTo(registry, registryPath(target));
  let files = 0;
  let bytes = 0;
  for (const path of await privateFiles(dataDir)) {
    const size = await copyPrivate(path, join(target, path.slice(dataDir.length + 1)));
    if (size === undefined) continue;
    files++;
    bytes += size;
  }
  const numbers = await copyNumbers(oscorePath(dataDir), oscorePath(target));
  return { registryBytes, files: files + (numbers === 0 ? 0 : 1), bytes: bytes + numbers };
}

/** The numbers of OSCORE, far ahead: used twice, one would lay open what was sent. Returns its bytes; 0: there are none. */
async function copyNumbers(path: string, target: string): Promise<number> {
  if (!(await isFile(path))) return 0;
  const { numbersForBackup } = await import('../security/oscore/sequence-store.ts');
  const text = numbersForBackup(path, await fs.readFile(path, 'utf8'));
  await makePrivateDirectory(dirname(target));
  await writePrivateFile(target, text);
  return text.length;
}

/** What is wrong with the registry, and which secrets others may read. Changes nothing. */
export async function trustFindings(dataDir: string): Promise<TrustFinding[]> {
  const findings: TrustFinding[] = [];
  const registry = registryPath(dataDir);
  if (await isFile(registry)) {
    const { registryFaults } = await import('../registry/sqlite/registry-tools.ts');
    for (const fault of registryFaults(registry)) {
      findings.push({ where: registry, what: fault.message, fix: registryProblem(fault).fix ?? 'restore a backup of the registry' });
    }
  }
  for (const path of [...((await isFile(registry)) ? [registry] : []), ...(await privateFiles(dataDir))]) {
    // What is in them is shown to everybody anyway.
    if (/\.(crt|cer|crl)$/.test(path)) continue;
    if (await isReadableByOthers(path)) findings.push({ where: path, what: 'others than its owner may read it', fix: `chmod 600 ${path}` });
  }
  return findings;
}

/** @throws UserError */
export async function compactRegistryOf(registry: string): Promise<{ readonly bytesBefore: number; readonly bytesAfter: number }> {
  const { compactRegistry } = await import('../registry/sqlite/registry-tools.ts');
  return orUserError(registry, () => compactRegistry(registry));
}

async function copyRegistryTo(registry: string, target: string): Promise<number> {
  const { copyRegistry } = await import('../registry/sqlite/registry-tools.ts');
  return orUserError(registry, () => copyRegistry(registry, target));
}

function orUserError<T>(registry: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof RegistryFailure) throw registryProblem(error, registry);
    throw error;
  }
}

/** Users, keys and the audit log, without drafts and locks; not the token of the running node, which means nothing elsewhere. */
async function privateFiles(dataDir: string): Promise<string[]> {
  const found: string[] = [];
  const users = basename(usersFilePath(dataDir));
  for (const name of await namesIn(dataDir)) {
    if (name === users || name.startsWith(`${users}.imported`)) found.push(join(dataDir, name));
  }
  for (const directory of [pkiPath(dataDir), auditPath(dataDir)]) {
    for (const entry of await entriesIn(directory)) {
      if (entry.isFile() && !entry.name.startsWith('.') && !entry.name.endsWith('.lock')) found.push(join(entry.parentPath, entry.name));
    }
  }
  return found;
}

/** Undefined: it has gone meanwhile. */
async function copyPrivate(path: string, target: string): Promise<number | undefined> {
  try {
    const content = await fs.readFile(path);
    await makePrivateDirectory(dirname(target));
    await writePrivateFile(target, content);
    return content.length;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && !(await isFile(path))) return undefined;
    throw new UserError(`The backup cannot be written: ${(error as Error).message}`, {
      where: path,
      fix: 'see that this user may read the data directory, and that the disk has room',
      cause: error,
    });
  }
}

async function isFile(path: string): Promise<boolean> {
  return fs.stat(path).then(
    (facts) => facts.isFile(),
    () => false,
  );
}

async function namesIn(directory: string): Promise<string[]> {
  return (await entriesIn(directory, false)).map(({ name }) => name);
}

async function entriesIn(directory: string, recursive = true): Promise<Dirent[]> {
  try {
    return await fs.readdir(directory, { recursive, withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new UserError(`The data directory cannot be read: ${(error as Error).message}`, { where: directory, cause: error });
  }
}
