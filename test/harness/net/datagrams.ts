// A loop with UDP listeners and plain UDP clients on loopback, all closed at the end of a test, and a protocol that does what it is told.

import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { SystemClock } from '../../../src/base/clock.ts';
import { silentLog } from '../../../src/base/log.ts';
import type { DatagramLimits } from '../../../src/net/datagram-limits.ts';
import { NetLoop, type LoopOptions } from '../../../src/net/loop.ts';
import { UdpListener, type UdpEndpoint } from '../../../src/net/udp-listener.ts';
import type { DatagramPath, DatagramPeer, DatagramProtocol } from '../../../src/protocols/datagram.ts';

export const generousDatagramLimits: DatagramLimits = {
  maxPeers: 10_000,
  maxPeersPerAddress: Infinity,
  newPeersPerSecond: Infinity,
  newPeerBurst: 10_000,
  idleMs: 600_000,
  maxDatagramBytes: 1152,
  receiveBufferBytes: 4 * 1024 * 1024,
  sendBufferBytes: 1024 * 1024,
  maxQueuedBytes: 4 * 1024 * 1024,
};

/** Answers each datagram with itself; some words do something. */
export class EchoPeer implements DatagramPeer {
  readonly path: DatagramPath;
  readonly seen: string[] = [];
  isIdle = true;
  deadlines = 0;
  closed = 0;
  toldToGo = 0;
  /** Does not close when the node goes down. */
  isStubborn = false;

  constructor(path: DatagramPath) {
    this.path = path;
  }

  receive(bytes: Uint8Array, isMulticast: boolean): void {
    const text = Buffer.from(bytes).toString('latin1');
    this.seen.push(isMulticast ? `${text} by multicast` : text);
    if (text === 'break') throw new Error('broken');
    if (text === 'busy') this.isIdle = false;
    if (text === 'stubborn') this.isStubborn = true;
    const [word, ms] = text.split(' ');
    if (word === 'deadline') this.path.setDeadline(Number(ms));
    if (word === 'close') this.path.close();
    this.path.send(Buffer.from(bytes));
  }

  onDeadline(): void {
    this.deadlines++;
  }

  onClosed(): void {
    this.closed++;
  }

  shutDown(): void {
    this.toldToGo++;
    if (!this.isStubborn) this.path.close();
  }
}

export class EchoProtocol implements DatagramProtocol {
  readonly name = 'echo';
  readonly peers: EchoPeer[] = [];

  open(path: DatagramPath): EchoPeer {
    const peer = new EchoPeer(path);
    this.peers.push(peer);
    return peer;
  }
}

export type UdpChanges = Partial<Omit<UdpEndpoint, 'limits'>> & { readonly limits?: Partial<DatagramLimits> };

export class DatagramStand {
  readonly protocol = new EchoProtocol();
  readonly errors: unknown[] = [];
  readonly loop: NetLoop;
  readonly #listeners: { drain(deadlineMs: number): Promise<boolean> }[] = [];
  readonly #clients: UdpClient[] = [];

  constructor(t: TestContext, options: Partial<LoopOptions> = {}) {
    const log = { ...silentLog, error: (_event: string, fields?: Record<string, unknown>) => this.errors.push(fields?.['error']) };
    this.loop = new NetLoop({ clock: new SystemClock(), log, highWaterBytes: 256 * 1024, lowWaterBytes: 64 * 1024, ...options });
    t.after(() => this.close());
  }

  async listen(changes: UdpChanges = {}): Promise<UdpListener> {
    const limits = { ...generousDatagramLimits, ...changes.limits };
    const listener = new UdpListener({ name: 'test', protocol: this.protocol, host: '127.0.0.1', port: 0, ...changes, limits }, this.loop);
    this.adopt(listener);
    await listener.start();
    return listener;
  }

  adopt(listener: { drain(deadlineMs: number): Promise<boolean> }): void {
    this.#listeners.push(listener);
  }

  async client(port: number, host = '127.0.0.1'): Promise<UdpClient> {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    socket.bind(0, host.includes(':') ? '::1' : '127.0.0.1');
    await once(socket, 'listening');
    const client = new UdpClient(socket, port, host);
    this.#clients.push(client);
    return client;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    for (const listener of this.#listeners) await listener.drain(performance.now());
    this.loop.stop();
  }
}

export class UdpClient {
  readonly socket: Socket;
  readonly heard: string[] = [];
  readonly #port: number;
  readonly #host: string;

  constructor(socket: Socket, port: number, host: string) {
    this.socket = socket;
    this.#port = port;
    this.#host = host;
    socket.on('message', (bytes) => this.heard.push(bytes.toString('latin1')));
  }

  say(text: string, host = this.#host): void {
    this.socket.send(Buffer.from(text, 'latin1'), this.#port, host);
  }

  /** Resolves when the system has it. */
  sent(text: string): Promise<void> {
    return new Promise((resolve) => {
      this.socket.send(Buffer.from(text, 'latin1'), this.#port, this.#host, () => resolve());
    });
  }

  /** Loopback loses nothing as long as few are under way. */
  async ask(text: string): Promise<string> {
    const before = this.heard.length;
    this.say(text);
    while (this.heard.length === before) await once(this.socket, 'message');
    return this.heard[before]!;
  }

  close(): void {
    try {
      this.socket.close();
    } catch {
      // Closed already.
    }
  }
}
