// How a command finds the node it is to ask, and who it says it is. The token of the data directory goes only to the node that
// published it, never to an address that was typed in.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { basic } from '../admin/admin-client.ts';
import type { AdminAccess } from '../admin/admin-client.ts';
import { findLocalAccess } from '../admin/local-access.ts';
import { isLoopback } from '../config/relations.ts';
import { UserError } from '../base/user-error.ts';
import { pkiPath } from '../node/paths.ts';
import { passwordVariable, tokenVariable, type AccessOptions } from './access-options.ts';
import { configOf } from './config-of.ts';

/** @throws UserError when there is nothing to ask, or a file cannot be read */
export async function accessOf(options: AccessOptions, environment: NodeJS.ProcessEnv): Promise<AdminAccess> {
  const dataDir = configOf(options).node.dataDir;
  const local = options.url === undefined || options.user === undefined ? await findLocalAccess(dataDir) : undefined;
  const url = options.url ?? local?.url;
  if (url === undefined) {
    throw new UserError('No broker runs on this data directory.', {
      where: dataDir,
      fix: 'start it with "heliograph serve", name another one with --data, or, where admin.localAccess is false, with --url and --user',
    });
  }
  const authorization = authorizationOf(options, environment, url, local);
  const parsed = URL.parse(url);
  if (authorization !== undefined && parsed?.protocol === 'http:' && !isLoopback(parsed.hostname.replace(/^\[(.*)\]$/, '$1'))) {
    process.stderr.write(`Warning: ${parsed.host} is asked without TLS: who can read on the way learns how you sign in.\n`);
  }
  return { url, authorization, authority: await authorityOf(options.ca, dataDir) };
}

function authorizationOf(
  options: AccessOptions,
  environment: NodeJS.ProcessEnv,
  url: string,
  local: { readonly token: string; readonly url: string } | undefined,
): string | undefined {
  if (options.user !== undefined) {
    const password = environment[passwordVariable];
    if (password === undefined)
      throw new UserError('There is no password for --user.', { fix: `put it into the environment as ${passwordVariable}` });
    return basic(options.user, password);
  }
  const token = environment[tokenVariable];
  if (token !== undefined && token !== '') return `Bearer ${token}`;
  const isSame = local !== undefined && URL.parse(local.url)?.origin === URL.parse(url)?.origin;
  return isSame ? `Bearer ${local.token}` : undefined;
}

async function authorityOf(file: string | undefined, dataDir: string): Promise<string | undefined> {
  try {
    return await readFile(file ?? join(pkiPath(dataDir), 'ca.crt'), 'utf8');
  } catch (error) {
    if (file === undefined) return undefined;
    throw new UserError(`The authority's file cannot be read: ${(error as Error).message}`, { where: file, fix: 'check the path of --ca' });
  }
}
