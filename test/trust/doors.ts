// Every way into the broker: what is shown there, and the connection that comes of it.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Agent as HttpAgent, request as httpRequest, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { createWebSocketStream, WebSocket } from 'ws';

import { ScramClient } from '../../src/security/authentication/testing/scram-client.ts';
import { Peer } from '../process/peer.ts';

import type { Duplex } from 'node:stream';
import type { Connect, ServerPacket } from '../harness/packet.ts';
import type { Account, Certified, ListenerName, World } from './world.ts';

/** What a live connection is, whatever it speaks. */
export interface Line {
  /** It can still do what its account may do. */
  works(): Promise<void>;
  /** Resolves when the broker has ended it. */
  over(): Promise<void>;
  close(): void;
}

export type Door = {
  /** `listener by proof`. */
  readonly name: string;
  readonly listener: ListenerName;
  readonly proof: 'password' | 'scram' | 'certificate' | 'psk' | 'jwt' | 'api-token';
  /** Rejects when the account is refused. */
  readonly open: (world: World, account: Account) => Promise<Line>;
};

/** Its messages go to its own branch and come back. */
export class MqttLine implements Line {
  readonly peer: Peer;
  readonly topic: string;
  #sent = 0;

  private constructor(peer: Peer, topic: string) {
    this.peer = peer;
    this.topic = topic;
    peer.acknowledges = true;
  }

  static async over(socket: Duplex, account: Account, connect: Omit<Connect, 'type'>, exchange?: ScramClient): Promise<MqttLine> {
    const peer = new Peer(socket, 5);
    try {
      peer.send({ type: 'connect', clientId: account.id, ...connect });
      if (exchange !== undefined) {
        const { properties } = await peer.next('auth');
        const data = exchange.final(Buffer.from(properties.authenticationData as string));
        const answer = { authenticationMethod: 'SCRAM-SHA-256', authenticationData: data };
        peer.send({ type: 'auth', reason: 0x18, properties: answer });
      }
      const { reason } = await peer.next('connack');
      if (reason !== 0) throw new Error(`CONNACK with reason 0x${reason!.toString(16)}`);
      const line = new MqttLine(peer, `dev/${account.id}/x`);
      return line;
    } catch (error) {
      peer.drop();
      throw error;
    }
  }

  /** As many connections subscribe to their own branch first. */
  async listen(): Promise<this> {
    await this.peer.subscribe(this.topic, 1);
    return this;
  }

  async works(): Promise<void> {
    const payload = `m${++this.#sent}`;
    assert.equal(await this.peer.publish(this.topic, payload, 1), 0);
    for (;;) {
      const { payload: got } = await this.peer.next('publish');
      if (got === payload) return;
    }
  }

  async over(): Promise<void> {
    await this.peer.end();
    const told = this.peer.inbox.find(({ type }: ServerPacket) => type === 'disconnect');
    // Administrative action.
    assert.equal(told?.reason, 0x98, 'the peer is told why');
  }

  close(): void {
    this.peer.drop();
  }
}

async function mqtt(socket: Duplex, account: Account, connect: Omit<Connect, 'type'> = {}, exchange?: ScramClient): Promise<Line> {
  return (await MqttLine.over(socket, account, connect, exchange)).listen();
}

/** Requests on one connection that stays open. */
class HttpLine implements Line {
  readonly #ask: () => Promise<number>;
  readonly #good: number;
  readonly #close: () => void;

  constructor(ask: () => Promise<number>, good: number, close: () => void) {
    this.#ask = ask;
    this.#good = good;
    this.#close = close;
  }

  async works(): Promise<void> {
    const status = await this.#ask();
    if (status !== this.#good) throw new Error(`status ${status}`);
  }

  /** A request is refused, or the connection is gone. */
  async over(): Promise<void> {
    for (;;) {
      const status = await this.#ask().catch(() => 401);
      if (status === 401 || status === 403) return;
      assert.equal(status, this.#good);
    }
  }

  close(): void {
    this.#close();
  }
}

/** A stream that lasts until its reader leaves. */
class StreamLine implements Line {
  readonly #ended: Promise<void>;
  readonly #close: () => void;
  #isOver = false;

  constructor(ended: Promise<void>, close: () => void) {
    this.#ended = ended.then(() => {
      this.#isOver = true;
    });
    this.#close = close;
  }

  works(): Promise<void> {
    return this.#isOver ? Promise.reject(new Error('the stream has ended')) : Promise.resolve();
  }

  over(): Promise<void> {
    return this.#ended;
  }

  close(): void {
    this.#close();
  }
}

export function tlsOptions(world: World, certified?: Certified): ConnectionOptions {
  const own = certified === undefined ? {} : { key: certified.privateKey, cert: certified.certificate + certified.chain };
  return { host: '127.0.0.1', servername: 'localhost', ca: world.root, ...own };
}

export async function overTcp(port: number): Promise<Duplex> {
  const socket = connectTcp({ port, host: '127.0.0.1' });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return socket;
}

export async function overTls(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connectTls({ port, ...options });
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', () => resolve());
    socket.once('error', reject);
  });
  return socket;
}

export async function overWebSocket(url: string, options: ConnectionOptions = {}, subprotocol = 'mqtt'): Promise<Duplex> {
  const webSocket = new WebSocket(url, subprotocol, options as object);
  await new Promise<void>((resolve, reject) => {
    webSocket.once('open', () => resolve());
    webSocket.once('error', reject);
  });
  return createWebSocketStream(webSocket);
}

type Head = {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
};

/** `agent`: the one connection. */
export function ask(isSecure: boolean, options: RequestOptions, { path, method = 'GET', headers = {}, body }: Head): Promise<number> {
  return new Promise((resolve, reject) => {
    const made = (isSecure ? httpsRequest : httpRequest)({ ...options, path, method, headers }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode!));
      response.on('error', reject);
    });
    made.on('error', reject);
    made.end(body);
  });
}

async function httpLine(
  isSecure: boolean,
  port: number,
  localAddress: string,
  head: Head,
  good: number,
  tls: ConnectionOptions = {},
): Promise<Line> {
  const agent = isSecure ? new HttpsAgent({ keepAlive: true, maxSockets: 1 }) : new HttpAgent({ keepAlive: true, maxSockets: 1 });
  const options = { host: '127.0.0.1', port, agent, localAddress, ...(tls as object) };
  const line = new HttpLine(
    () => ask(isSecure, options, head),
    good,
    () => agent.destroy(),
  );
  try {
    await line.works();
  } catch (error) {
    agent.destroy();
    throw error;
  }
  return line;
}

async function streamLine(
  isSecure: boolean,
  port: number,
  localAddress: string,
  headers: Record<string, string>,
  tls: ConnectionOptions = {},
): Promise<Line> {
  const options = {
    host: '127.0.0.1',
    port,
    localAddress,
    agent: false as const,
    ...(tls as object),
    path: '/api/trace?client=nobody',
    headers,
  };
  return new Promise((resolve, reject) => {
    const made = (isSecure ? httpsRequest : httpRequest)(options, (response) => {
      response.resume();
      if (response.statusCode !== 200) {
        reject(new Error(`status ${response.statusCode}`));
        return;
      }
      const ended = new Promise<void>((done) => response.once('close', done));
      response.once('data', () => resolve(new StreamLine(ended, () => made.destroy())));
      response.on('error', () => {});
    });
    made.on('error', reject);
    made.end();
  });
}

function bearer(account: Account): Record<string, string> {
  return { authorization: `Bearer ${account.apiToken}` };
}

const byPassword = ({ tenant, id, password }: Account): Omit<Connect, 'type'> => ({
  username: tenant === 'main' ? id : `${tenant}/${id}`,
  password,
});

/** Any request to renew that is no request: what counts is whether its sender is listened to. */
const notRequest: Head = {
  path: '/.well-known/est/simplereenroll',
  method: 'POST',
  headers: { 'content-type': 'application/pkcs10' },
  body: Buffer.from('nothing').toString('base64'),
};

const one = '/api/v1/devices?limit=1';

export const mqttDoors: readonly Door[] = [
  {
    name: 'mqtt by password',
    listener: 'mqtt',
    proof: 'password',
    open: async (world, account) => mqtt(await overTcp(world.port('mqtt')), account, byPassword(account)),
  },
  {
    name: 'mqtt by SCRAM',
    listener: 'mqtt',
    proof: 'scram',
    async open(world, account) {
      const client = new ScramClient(byPassword(account).username as string, account.password, randomBytes(18).toString('hex'));
      const properties = { authenticationMethod: 'SCRAM-SHA-256', authenticationData: client.first() };
      return mqtt(await overTcp(world.port('mqtt')), account, { properties }, client);
    },
  },
  {
    name: 'mqtt by token',
    listener: 'token',
    proof: 'jwt',
    open: async (world, account) => mqtt(await overTcp(world.port('token')), account, { username: 'token', password: account.jwt }),
  },
  {
    name: 'mqtts by certificate',
    listener: 'mqtts',
    proof: 'certificate',
    open: async (world, account) => mqtt(await overTls(world.port('mqtts'), tlsOptions(world, account.certified)), account),
  },
  {
    name: 'mqtts by pre-shared key',
    listener: 'psk',
    proof: 'psk',
    async open(world, account) {
      const identity = account.tenant === 'main' ? account.id : `${account.tenant}/${account.id}`;
      const pskCallback = () => ({ psk: Buffer.from(account.psk, 'hex'), identity });
      const options = { host: '127.0.0.1', pskCallback, checkServerIdentity: () => undefined } as ConnectionOptions;
      return mqtt(await overTls(world.port('psk'), options), account);
    },
  },
  {
    name: 'ws by password',
    listener: 'ws',
    proof: 'password',
    open: async (world, account) => mqtt(await overWebSocket(`ws://127.0.0.1:${world.port('ws')}/mqtt`), account, byPassword(account)),
  },
  {
    name: 'wss by certificate',
    listener: 'wss',
    proof: 'certificate',
    async open(world, account) {
      const { host: _, ...options } = tlsOptions(world, account.certified);
      return mqtt(await overWebSocket(`wss://localhost:${world.port('wss')}/mqtt`, options), account);
    },
  },
];

export const httpDoors: readonly Door[] = [
  {
    name: 'est by certificate',
    listener: 'est',
    proof: 'certificate',
    // 400: it is listened to, and what it says is no request.
    open: (world, account) => httpLine(true, world.port('est'), world.address(), notRequest, 400, tlsOptions(world, account.certified)),
  },
  {
    name: 'https by certificate',
    listener: 'https',
    proof: 'certificate',
    open: (world, account) =>
      httpLine(true, world.port('https'), world.address(), { path: one }, 200, tlsOptions(world, account.certified)),
  },
  {
    name: 'http by API token',
    listener: 'admin',
    proof: 'api-token',
    open: (world, account) => httpLine(false, world.port('admin'), world.address(), { path: one, headers: bearer(account) }, 200),
  },
];

/** Traces are for the whole node, so only the tenant main has them. */
export const streamDoors: readonly Door[] = [
  {
    name: 'https, a stream by certificate',
    listener: 'https',
    proof: 'certificate',
    open: (world, account) => streamLine(true, world.port('https'), world.address(), {}, tlsOptions(world, account.certified)),
  },
  {
    name: 'http, a stream by API token',
    listener: 'admin',
    proof: 'api-token',
    open: (world, account) => streamLine(false, world.port('admin'), world.address(), bearer(account)),
  },
];

const credentials = {
  password: 'password',
  scram: 'password',
  jwt: undefined,
  psk: 'psk',
  certificate: 'certificate',
  'api-token': 'api-token',
} as const;

/** An account that fits the door. */
export function accountFor(world: World, { proof, listener }: Door, tenant = 'main', roles: readonly string[] = []): Promise<Account> {
  const needed = credentials[proof];
  const isManagement = listener === 'admin' || listener === 'https';
  const all = isManagement ? ['viewer', ...roles] : roles;
  return world.account({ tenant, ...(all.length > 0 && { roles: all }), ...(needed !== undefined && { has: [needed] }) });
}
