// A loop with listeners and plain clients on loopback, all closed at the end of a test.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { SystemClock } from '../../../src/base/clock.ts';
import type { Log } from '../../../src/base/log.ts';
import { silentLog } from '../../../src/base/log.ts';
import type { AcceptLimits } from '../../../src/net/accept-limits.ts';
import { Listener, type Endpoint } from '../../../src/net/listener.ts';
import { NetLoop, type LoopOptions } from '../../../src/net/loop.ts';
import { LineProtocol } from './line-protocol.ts';

export const generousLimits: AcceptLimits = {
  maxConnections: 1000,
  maxConnectionsPerAddress: Infinity,
  connectionsPerSecond: Infinity,
  connectionBurst: 1000,
  handshakeTimeoutMs: 10_000,
  maxPendingHandshakes: 100,
  closeTimeoutMs: 5000,
  keepAliveMs: 60_000,
  backlog: 511,
};

export type EndpointChanges = Partial<Omit<Endpoint, 'limits'>> & { readonly limits?: Partial<AcceptLimits> };

export class Stand {
  readonly protocol = new LineProtocol();
  readonly errors: unknown[] = [];
  readonly loop: NetLoop;
  readonly #listeners: Listener[] = [];
  readonly #clients: { destroy(): unknown }[] = [];

  readonly #useHandles: boolean;

  constructor(t: TestContext, { useHandles = true, ...options }: Partial<LoopOptions> & { readonly useHandles?: boolean } = {}) {
    this.#useHandles = useHandles;
    const log: Log = { ...silentLog, error: (event, fields) => this.errors.push(`${event}: ${fields?.['error']}`) };
    this.loop = new NetLoop({ clock: new SystemClock(), log, highWaterBytes: 256 * 1024, lowWaterBytes: 64 * 1024, ...options });
    t.after(() => this.close());
  }

  async listen(changes: EndpointChanges = {}): Promise<Listener> {
    const listener = new Listener(
      {
        name: 'test',
        protocol: this.protocol,
        kind: 'tcp',
        host: '127.0.0.1',
        port: 0,
        useHandles: this.#useHandles,
        ...changes,
        limits: { ...generousLimits, ...changes.limits },
      },
      this.loop,
    );
    this.#listeners.push(listener);
    await listener.start();
    return listener;
  }

  async client(listener: Listener, host = '127.0.0.1'): Promise<LineClient> {
    const socket = connect({ host, port: listener.address!.port, allowHalfOpen: true });
    await once(socket, 'connect');
    return this.adopt(new LineClient(socket));
  }

  adopt<Client extends { destroy(): unknown }>(client: Client): Client {
    this.#clients.push(client);
    return client;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.destroy();
    for (const listener of this.#listeners) await listener.drain(performance.now());
    this.loop.stop();
  }
}

/** Reads what a server says, line by line. */
export class LineClient {
  readonly socket: Socket;
  text = '';
  closed = false;
  ended = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => {
      this.text += bytes.toString('latin1');
    });
    socket.on('end', () => {
      this.ended = true;
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
    });
  }

  say(text: string): void {
    this.socket.write(text);
  }

  async ask(line: string): Promise<string> {
    const from = this.text.length;
    this.say(`${line}\n`);
    await until(() => this.text.includes('\n', from));
    return this.text.slice(from, this.text.indexOf('\n', from));
  }

  destroy(): void {
    this.socket.destroy();
  }
}

/** Lets the event loop run until `condition` holds. @throws when it does not within a time no machine needs */
export async function until(condition: () => boolean, what = condition.toString()): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited too long for ${what}`);
    await turn();
  }
}
