// One MQTT client on a real socket. Its packets are encoded and decoded by the tests' own codec (test/harness), so that it can
// also say what is wrong.

import { connect as connectTcp, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls, TLSSocket, type ConnectionOptions } from 'node:tls';
import { createWebSocketStream, WebSocket } from 'ws';

import { decode } from '../harness/decode.ts';
import { encode } from '../harness/encode.ts';

import type { ClientPacket, Connect, PacketType, Publish, ServerPacket, Version } from '../harness/packet.ts';

type PeerOptions = {
  /** Default 5. */
  readonly version?: Version;
  /** Over TLS with these options. */
  readonly tls?: ConnectionOptions;
  /** Over secure WebSocket, whoever the server is. */
  readonly wss?: boolean;
  /** Does not close its side when the broker closes its own. */
  readonly allowHalfOpen?: boolean;
};

/** What is waited for comes within a blink; this only ends a wait for what never comes. */
const limitMs = 20_000;

export class Peer {
  readonly version: Version;
  readonly socket: Duplex;
  /** Packets that nobody has looked at. */
  readonly inbox: ServerPacket[] = [];
  /** Called instead of keeping a PUBLISH in the inbox. */
  onPublish: ((packet: ServerPacket) => void) | undefined;
  /** Called instead of keeping any other packet; returns whether it has taken it. */
  onPacket: ((packet: ServerPacket) => boolean) | undefined;
  /** Answers PUBLISH and PUBREL by itself. */
  acknowledges = false;
  /** The broker has ended its side, or the connection is broken. */
  ended = false;
  closed = false;
  bytesReceived = 0;
  #pending: Uint8Array = new Uint8Array(0);
  #failure: Error | undefined;
  readonly #waiters = new Set<() => void>();
  #nextId = 1;

  constructor(socket: Duplex, version: Version) {
    this.socket = socket;
    this.version = version;
    if (socket instanceof Socket) socket.setNoDelay(true);
    socket.on('data', (bytes: Uint8Array) => this.#received(bytes));
    // A reset is an end, too.
    socket.on('error', () => {});
    socket.on('end', () => {
      this.ended = true;
      this.#wake();
    });
    socket.on('close', () => {
      this.ended = this.closed = true;
      this.#wake();
    });
  }

  /** A connection on which nothing has been said. */
  static async open(port: number, { version = 5, tls, wss = false, allowHalfOpen = false }: PeerOptions = {}): Promise<Peer> {
    if (wss) return new Peer(await openWebSocket(port), version);
    const to = { port, host: '127.0.0.1', allowHalfOpen };
    const socket = tls === undefined ? connectTcp(to) : connectTls({ ...to, ...tls });
    await new Promise<void>((resolve, reject) => {
      socket.once(tls === undefined ? 'connect' : 'secureConnect', () => resolve());
      socket.once('error', reject);
    });
    return new Peer(socket, version);
  }

  /** A client whose CONNECT was accepted. Clean start unless `fields` say otherwise. */
  static async connect(port: number, fields: Omit<Connect, 'type'> = {}, options: PeerOptions = {}): Promise<Peer> {
    const peer = await Peer.open(port, options);
    peer.send({ type: 'connect', ...fields });
    const connack = await peer.next('connack');
    if (connack.reason !== 0) throw new Error(`CONNACK with reason 0x${connack.reason!.toString(16)}`);
    return peer;
  }

  /** A client with a session that outlives its connection. */
  static durable(port: number, clientId: string, options: PeerOptions = {}): Promise<Peer> {
    const properties = { sessionExpiryInterval: 3600 };
    return Peer.connect(port, { clientId, clean: false, ...(options.version === 4 ? {} : { properties }) }, options);
  }

  send(packet: ClientPacket): void {
    this.write(encode(packet, this.version));
  }

  write(bytes: Uint8Array | string): void {
    if (!this.socket.destroyed) this.socket.write(bytes);
  }

  /** Publishes; above QoS 0 resolves with the reason of PUBACK or PUBREC, and completes the exchange. */
  async publish(topic: string, payload: string, qos: 0 | 1 | 2 = 0, fields: Partial<Publish> = {}): Promise<number> {
    if (qos === 0) {
      this.send({ type: 'publish', topic, payload, ...fields });
      return 0;
    }
    const id = this.nextId();
    this.send({ type: 'publish', topic, payload, qos, id, ...fields });
    const { reason = 0 } = await this.next(qos === 1 ? 'puback' : 'pubrec');
    if (qos === 1 || reason >= 0x80) return reason;
    this.send({ type: 'pubrel', id });
    await this.next('pubcomp');
    return reason;
  }

  async subscribe(filter: string, qos: 0 | 1 | 2 = 0): Promise<void> {
    this.send({ type: 'subscribe', id: this.nextId(), subscriptions: [{ filter, qos }] });
    const { reasons } = await this.next('suback');
    if (reasons?.[0] !== qos) throw new Error(`SUBACK with reason 0x${reasons?.[0]?.toString(16)}`);
  }

  /** The next packet of this type; those of other types stay for others. */
  async next(type: PacketType, withinMs = limitMs): Promise<ServerPacket> {
    let found = -1;
    await this.#until(() => (found = this.inbox.findIndex((packet) => packet.type === type)) >= 0, type.toUpperCase(), withinMs);
    return this.inbox.splice(found, 1)[0]!;
  }

  /** Resolves when the broker has ended the connection. */
  async end(withinMs = limitMs): Promise<void> {
    await this.#until(() => this.ended, 'the end of the connection', withinMs);
  }

  /** Says goodbye. */
  async disconnect(): Promise<void> {
    this.send({ type: 'disconnect' });
    this.socket.end();
    await this.end();
    this.socket.destroy();
  }

  /** Vanishes, over TCP with a reset. */
  drop(): void {
    if (this.socket instanceof Socket && !(this.socket instanceof TLSSocket)) this.socket.resetAndDestroy();
    else this.socket.destroy();
  }

  nextId(): number {
    const id = this.#nextId;
    this.#nextId = id === 65_535 ? 1 : id + 1;
    return id;
  }

  async #until(condition: () => boolean, what: string, withinMs: number): Promise<void> {
    const deadlineMs = performance.now() + withinMs;
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      if (condition()) return;
      if (this.ended) throw new Error(`expected ${what}, but the broker has ended the connection${this.#left()}`);
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) throw new Error(`no ${what} within ${withinMs} ms${this.#left()}`);
      await this.#news(leftMs);
    }
  }

  #left(): string {
    return this.inbox.length === 0
      ? ''
      : `; there are: ${this.inbox
          .slice(0, 5)
          .map(({ type, reason }) => `${type} ${reason ?? ''}`)
          .join(', ')}`;
  }

  #news(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiters.delete(done);
        resolve();
      };
      const timer = setTimeout(done, withinMs);
      this.#waiters.add(done);
    });
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter();
  }

  #received(bytes: Uint8Array): void {
    this.bytesReceived += bytes.length;
    try {
      this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
      for (let whole = decode(this.#pending, this.version); whole !== undefined; whole = decode(this.#pending, this.version)) {
        this.#pending = this.#pending.subarray(whole.end);
        this.#take(whole.packet);
      }
    } catch (error) {
      this.#failure ??= error as Error;
    }
    this.#wake();
  }

  #take(packet: ServerPacket): void {
    if (this.acknowledges) {
      if (packet.type === 'publish' && packet.qos === 1) this.send({ type: 'puback', id: packet.id! });
      else if (packet.type === 'publish' && packet.qos === 2) this.send({ type: 'pubrec', id: packet.id! });
      else if (packet.type === 'pubrel') {
        this.send({ type: 'pubcomp', id: packet.id! });
        return;
      }
    }
    if (packet.type === 'publish' && this.onPublish !== undefined) this.onPublish(packet);
    else if (this.onPacket?.(packet) !== true) this.inbox.push(packet);
  }
}

async function openWebSocket(port: number): Promise<Duplex> {
  const webSocket = new WebSocket(`wss://127.0.0.1:${port}/mqtt`, 'mqtt', { rejectUnauthorized: false });
  await new Promise<void>((resolve, reject) => {
    webSocket.once('open', () => resolve());
    webSocket.once('error', reject);
  });
  return createWebSocketStream(webSocket);
}
