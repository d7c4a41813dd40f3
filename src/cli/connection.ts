// Which broker a client command connects to, how, and as whom.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { getJson } from '../admin/admin-client.ts';
import type { Status } from '../admin/status.ts';
import { secureRandom } from '../base/secure-random.ts';
import { UserError } from '../base/user-error.ts';
import { endpointOf, parseEndpoint, type ClientOptions, type Endpoint, type EndpointUrl, type TlsSettings } from '../client/index.ts';
import { isLoopback } from '../config/relations.ts';
import { pkiPath } from '../node/paths.ts';
import { accessOf } from './admin-access.ts';
import { passwordVariable } from './access-options.ts';
import { configOf } from './config-of.ts';
import type { ConnectionOptions } from './connection-options.ts';
import { exitCodes } from './exit-codes.ts';
import { wrongUsage } from './wrong-usage.ts';

const versions = { '5': 5, '3.1.1': 4, '3.1': 3 } as const;
const securePort = 8883;

export type Connection = Pick<ClientOptions, 'endpoint' | 'tls' | 'version' | 'clientId' | 'keepAliveSec'> & {
  readonly endpoint: Endpoint;
  readonly username?: string;
  readonly password?: string;
};

/** @throws UserError when options contradict each other or a file cannot be read */
export async function connectionOf(options: ConnectionOptions, environment: NodeJS.ProcessEnv): Promise<Connection> {
  const { endpoint, ...fromUrl } = await endpointFor(options);
  const version = versions[options.mqttVersion];
  const username = options.user ?? fromUrl.username;
  const password =
    username === undefined ? undefined : (options.password ?? fromUrl.password ?? (await passwordFor(username, environment)));
  return {
    endpoint,
    version,
    keepAliveSec: options.keepalive,
    // The server chooses one for a client of version 5 only.
    clientId: options.id ?? (version === 5 ? '' : `heliograph-${Buffer.from(secureRandom.bytes(6)).toString('hex')}`),
    ...(endpoint.transport === 'tls' || endpoint.transport === 'wss' ? { tls: await tlsSettings(options) } : {}),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  };
}

async function endpointFor(options: ConnectionOptions): Promise<EndpointUrl> {
  const { url, host, port, cafile, cert } = options;
  if (url !== undefined) {
    if (host !== undefined || port !== undefined) throw wrongUsage('--url does not go with --host and --port.', 'give one or the other');
    const parsed = parseEndpoint(url);
    if (parsed === undefined) throw wrongUsage(`"${url}" is not the address of a broker.`, 'write it like mqtt://localhost:1883');
    return parsed;
  }
  const isSecure = cafile !== undefined || cert !== undefined || options.insecure === true || port === securePort;
  const nobody = { username: undefined, password: undefined };
  if (host === undefined && port === undefined) {
    const local = await localEndpoint(options, isSecure);
    if (local !== undefined) return { endpoint: local, ...nobody };
  }
  const transport = isSecure ? 'tls' : 'tcp';
  return { endpoint: endpointOf(transport, host ?? 'localhost', port ?? (isSecure ? securePort : 1883)), ...nobody };
}

/** Where the broker of the data directory listens, if one runs there and this user may ask it. */
async function localEndpoint(options: ConnectionOptions, isSecure: boolean): Promise<Endpoint | undefined> {
  let status: Status;
  try {
    const place = {
      ...(options.config === undefined ? {} : { config: options.config }),
      ...(options.data === undefined ? {} : { data: options.data }),
    };
    status = (await getJson(await accessOf(place, {}), '/api/status')) as Status;
  } catch (error) {
    // No broker, or none that may be asked: then the default is as good as any. A data directory that was named must be right.
    if (error instanceof UserError && error.exitCode !== exitCodes.wrongUsage) return undefined;
    throw error;
  }
  const near = status.listeners.filter(({ host, port }) => port > 0 && (isLoopback(host) || host === '::' || host === '0.0.0.0'));
  for (const kind of isSecure ? (['tls', 'wss'] as const) : (['tcp', 'ws', 'tls', 'wss'] as const)) {
    const listener = near.find((each) => each.kind === kind);
    if (listener !== undefined) return endpointOf(kind, 'localhost', listener.port);
  }
  return undefined;
}

async function tlsSettings(options: ConnectionOptions): Promise<TlsSettings> {
  const { cafile, cert, key, insecure } = options;
  if ((cert === undefined) !== (key === undefined)) throw wrongUsage('--cert and --key belong together.', 'give both');
  const extraCa = await localAuthority(options);
  return {
    ...(cafile === undefined ? {} : { ca: await read(cafile, '--cafile') }),
    ...(extraCa === undefined ? {} : { extraCa }),
    ...(cert === undefined ? {} : { cert: await read(cert, '--cert') }),
    ...(key === undefined ? {} : { key: await read(key, '--key') }),
    ...(insecure === undefined ? {} : { insecure }),
  };
}

/** The one of the data directory. */
async function localAuthority(options: ConnectionOptions): Promise<string | undefined> {
  try {
    return await readFile(join(pkiPath(configOf(options).node.dataDir), 'ca.crt'), 'utf8');
  } catch (error) {
    if (error instanceof UserError) throw error;
    return undefined;
  }
}

async function read(file: string, option: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new UserError(`The file of ${option} cannot be read: ${(error as Error).message}`, {
      where: file,
      fix: 'check the path',
      cause: error,
    });
  }
}

async function passwordFor(username: string, environment: NodeJS.ProcessEnv): Promise<string | undefined> {
  const given = environment[passwordVariable];
  if (given !== undefined || !process.stdin.isTTY) return given;
  const { askPassword } = await import('./password-input.ts');
  return askPassword(`Password of ${username}: `);
}
