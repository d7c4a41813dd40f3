// The two ways to the management API: over HTTP to the node that the options name, or to the same application in this process when no
// node runs on the data directory.

import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { challengeHeader, findLocalAccess, proofOf } from '../admin/local-access.ts';
import { sendRequest, type AdminAccess } from '../admin/admin-client.ts';
import { UserError } from '../base/user-error.ts';
import type { AccessOptions } from './access-options.ts';
import { accessOf } from './admin-access.ts';
import type { Transport } from './api-client.ts';
import { configOf } from './config-of.ts';
import type { OfflineApi } from '../node/offline-api.ts';

/** Characters of an answer of /healthz. */
const maxAliveLength = 4096;

/** @throws UserError when there is nothing to ask */
export async function transportOf(options: AccessOptions, environment: NodeJS.ProcessEnv): Promise<Transport> {
  const isElsewhere = options.url !== undefined;
  const config = configOf(options);
  const local = isElsewhere ? undefined : await findLocalAccess(config.node.dataDir);
  if (isElsewhere || local !== undefined) {
    const access = await accessOf(options, environment);
    const live = overHttp(access);
    if (local === undefined || (await answers(access, local.token))) return live;
  }
  // Who wants to act as somebody must not find out later that it was as nobody in particular, past the second person that was wanted.
  if (options.user !== undefined) {
    throw new UserError('No broker was found to sign in to.', {
      where: config.node.dataDir,
      fix: 'start it, name its management interface with --url, or leave out --user to act as whoever may write to the data directory',
    });
  }
  const { openOfflineApi } = await import('../node/offline-api.ts');
  return inProcess(await openOfflineApi(config), config.node.dataDir);
}

/**
 * A node that was killed leaves its address behind, and whoever listens there now would be sent passwords; one that is slow or busy is
 * there all the same.
 */
async function answers(access: AdminAccess, token: string): Promise<boolean> {
  const challenge = randomBytes(24).toString('base64url');
  try {
    const stranger = { ...access, authorization: undefined };
    const headers = { [challengeHeader]: challenge };
    const { body } = await sendRequest(stranger, { method: 'GET', path: '/healthz', headers, body: undefined });
    return (await proofIn(body)) === proofOf(token, challenge);
  } catch (error) {
    if (((error as Error).cause as NodeJS.ErrnoException | undefined)?.code === 'ECONNREFUSED') return false;
    throw error;
  }
}

async function proofIn(body: Readable): Promise<unknown> {
  let text = '';
  for await (const piece of body.setEncoding('utf8')) {
    text += piece as string;
    if (text.length > maxAliveLength) return undefined;
  }
  try {
    return (JSON.parse(text) as { readonly proof?: unknown } | null)?.proof;
  } catch {
    return undefined;
  }
}

function overHttp(access: AdminAccess): Transport {
  return {
    isLive: true,
    where: access.url,
    send: ({ method, url, headers, body }) => sendRequest(access, { method, path: url, headers, body }),
    close: async () => {},
  };
}

function inProcess(api: OfflineApi, where: string): Transport {
  return {
    isLive: false,
    where,
    async send({ method, url, headers, body }) {
      await api.prepare(method, url);
      const payload = body === undefined || typeof body === 'string' ? body : Readable.from(body);
      const response = await api.inject({
        method,
        url,
        headers: { ...headers },
        payloadAsStream: true,
        ...(payload !== undefined && { payload }),
      });
      return { status: response.statusCode, headers: response.headers, body: response.stream() };
    },
    close: () => api.close(),
  };
}
