// A client in a transcript: says a packet, expects one. One object is one network connection; connecting again is a new one.
//
//   const c = h.connect('alice', { clean: false });          CONNECT, and expects CONNACK
//   c.subscribe('a/+', { qos: 1 });                          SUBSCRIBE, and expects SUBACK
//   c.send({ type: 'publish', topic: 'a/b', qos: 1, id: 7 }).expect('puback', { id: 7 });
//   c.expect('publish', { topic: 'a/b', payload: '', qos: 1 });
//   c.raw('c0 01 00').expectClosed(0x81);
//
// Everything the server sends is decoded strictly (decode.ts) and watched (watch.ts); a failure prints the transcript.

import assert from 'node:assert/strict';

import { decode } from './decode.ts';
import { encode } from './encode.ts';
import { describe, mismatch } from './match.ts';
import { hex } from './packet.ts';
import { Watch } from './watch.ts';

import type { Expected } from './match.ts';
import type { Bytes, ClientPacket, Connect, PacketType, Publish, ServerPacket, Subscription, Version } from './packet.ts';

/** The client's end of a connection in memory. Every call lets the server finish what follows from it. */
export interface Link {
  send(bytes: Uint8Array): void;
  /** The network fails: the server sees the end of the connection. */
  drop(): void;
  readonly closed: boolean;
  /** Bytes are no longer taken from the server, as by a peer that does not read. */
  stall(on: boolean): void;
  /** The server has stopped reading. */
  readonly paused: boolean;
}

type SubscribeOptions = Omit<Subscription, 'filter'> & { id?: number; subscriptionIdentifier?: number };

export class TestClient {
  readonly version: Version;
  /** Answers PUBLISH and PUBREL by itself, as a client without limits would. */
  autoAcknowledge = false;
  /** Most bytes that reach the server at a time. */
  inPieces = Infinity;
  readonly #link: Link;
  readonly #watch = new Watch();
  readonly #transcript: string[] = [];
  #pending: Uint8Array = new Uint8Array(0);
  #inbox: ServerPacket[] = [];
  #failure: unknown;
  #nextId = 1;

  constructor(version: Version, open: (onBytes: (bytes: Uint8Array) => void) => Link) {
    this.version = version;
    this.#link = open((bytes) => this.#received(bytes));
  }

  // -- saying ------------------------------------------------------------------------------------------------------------

  send(packet: ClientPacket): this {
    this.#transcript.push(`→ ${describe(packet)}`);
    this.#watch.sent(packet);
    return this.sendBytes(encode(packet, this.version));
  }

  /** Bytes as hexadecimal digits. */
  raw(digits: string): this {
    const bytes = hex(digits);
    this.#transcript.push(`→ ${digits}`);
    return this.sendBytes(bytes);
  }

  /** Several packets that reach the server in one piece. */
  sendTogether(...packets: ClientPacket[]): this {
    for (const packet of packets) {
      this.#transcript.push(`→ ${describe(packet)}`);
      this.#watch.sent(packet);
    }
    return this.sendBytes(Buffer.concat(packets.map((packet) => encode(packet, this.version))));
  }

  /** Bytes as they are, outside the transcript. */
  sendBytes(bytes: Uint8Array): this {
    for (let at = 0; at < bytes.length || at === 0; at += this.inPieces) this.#link.send(bytes.subarray(at, at + this.inPieces));
    this.check();
    return this;
  }

  /** Sends CONNECT; the answer is for the test to expect. */
  connect(fields: Omit<Connect, 'type'> = {}): this {
    return this.send({ type: 'connect', ...fields });
  }

  /** Publishes and, above QoS 0, completes the exchange with the server. */
  publish(topic: string, payload: Bytes = '', fields: Partial<Publish> = {}): this {
    const qos = fields.qos ?? 0;
    const id = qos === 0 ? undefined : (fields.id ?? this.nextId());
    this.send({ type: 'publish', topic, payload, ...fields, ...(id === undefined ? {} : { id }) });
    if (qos === 1) this.take('puback', { id: id! });
    if (qos === 2) {
      this.take('pubrec', { id: id! });
      this.send({ type: 'pubrel', id: id! });
      this.take('pubcomp', { id: id! });
    }
    return this;
  }

  /** Subscribes to one filter and expects what was asked for to be granted. */
  subscribe(filter: string, options: SubscribeOptions = {}): this {
    const { id = this.nextId(), subscriptionIdentifier, ...rest } = options;
    const properties = subscriptionIdentifier === undefined ? {} : { properties: { subscriptionIdentifier } };
    this.send({ type: 'subscribe', id, subscriptions: [{ filter, ...rest }], ...properties });
    this.take('suback', { id, reasons: [options.qos ?? 0] });
    return this;
  }

  unsubscribe(...filters: string[]): this {
    const id = this.nextId();
    this.send({ type: 'unsubscribe', id, filters });
    this.take('unsuback', { id });
    return this;
  }

  /** Says goodbye and waits for the server to close. */
  disconnect(reason?: number): this {
    this.send({ type: 'disconnect', ...(reason === undefined ? {} : { reason }) });
    return this.expectClosed();
  }

  /** The network fails. */
  drop(): void {
    this.#transcript.push('→ (connection lost)');
    this.#link.drop();
  }

  /** Stops, or starts again, to take what the server sends. */
  stall(on = true): this {
    this.#link.stall(on);
    this.check();
    return this;
  }

  nextId(): number {
    const id = this.#nextId;
    this.#nextId = id === 65_535 ? 1 : id + 1;
    return id;
  }

  // -- expecting ---------------------------------------------------------------------------------------------------------

  /** The next packet is this one. Chains; `take` and `next` return the packet. */
  expect(type: PacketType, expected: Expected = {}): this {
    const packet = this.next(type);
    const problem = mismatch(packet, type, expected);
    if (problem !== undefined) this.#fail(problem);
    return this;
  }

  /** The next packet, whatever it is (or of the given type). */
  next(type?: PacketType): ServerPacket {
    this.check();
    const packet = this.#inbox.shift();
    if (packet === undefined) this.#fail(`expected ${type?.toUpperCase() ?? 'a packet'}, got nothing${this.closed ? '; closed' : ''}`);
    if (type !== undefined && packet.type !== type) this.#fail(`expected ${type.toUpperCase()}, got ${describe(packet)}`);
    return packet;
  }

  /** The first packet that fits, wherever it stands among those not yet looked at. */
  take(type: PacketType, expected: Expected = {}): ServerPacket {
    this.check();
    const at = this.#inbox.findIndex((packet) => mismatch(packet, type, expected) === undefined);
    if (at < 0) {
      const near = this.#inbox.find((packet) => packet.type === type);
      this.#fail(near === undefined ? `expected ${type.toUpperCase()}, not there` : mismatch(near, type, expected)!);
    }
    return this.#inbox.splice(at, 1)[0]!;
  }

  /** Everything not yet looked at. */
  takeAll(): ServerPacket[] {
    this.check();
    return this.#inbox.splice(0);
  }

  expectNothing(): this {
    this.check();
    if (this.#inbox.length > 0) this.#fail(`expected nothing, got ${this.#inbox.map(describe).join('; ')}`);
    if (this.closed) this.#fail('expected nothing, but the server closed the connection');
    return this;
  }

  /**
   * The server has closed the connection. With a reason, MQTT 5 clients must have been told it in DISCONNECT; without one,
   * a DISCONNECT may or may not have come. Nothing else may be left to look at.
   */
  expectClosed(reason?: number | readonly number[]): this {
    this.check();
    const last = this.#inbox[0];
    if (this.version === 5 && (reason !== undefined || last?.type === 'disconnect')) {
      const packet = this.next('disconnect');
      const allowed = typeof reason === 'number' ? [reason] : reason;
      if (allowed !== undefined && !allowed.includes(packet.reason!)) {
        this.#fail(`expected DISCONNECT ${allowed.map((r) => `0x${r.toString(16)}`).join(' or ')}, got ${describe(packet)}`);
      }
    }
    if (this.#inbox.length > 0) this.#fail(`expected the end, got ${this.#inbox.map(describe).join('; ')}`);
    if (!this.closed) this.#fail('expected the server to close the connection');
    return this;
  }

  /** Nothing has come that was not looked at. */
  get quiet(): boolean {
    return this.#inbox.length === 0;
  }

  get closed(): boolean {
    return this.#link.closed;
  }

  /** The server has stopped reading from this client. */
  get paused(): boolean {
    return this.#link.paused;
  }

  get transcript(): string {
    return this.#transcript.join('\n');
  }

  // -- inside ------------------------------------------------------------------------------------------------------------

  #received(bytes: Uint8Array): void {
    // What goes wrong here would vanish in the server's call stack: keep it for the test's next step.
    try {
      this.#pending = Buffer.concat([this.#pending, bytes]);
      for (let whole = decode(this.#pending, this.version); whole !== undefined; whole = decode(this.#pending, this.version)) {
        this.#pending = this.#pending.subarray(whole.end);
        this.#transcript.push(`← ${describe(whole.packet)}`);
        const packet = this.#watch.received(whole.packet);
        this.#inbox.push(packet);
        if (this.autoAcknowledge) this.#acknowledge(packet);
      }
    } catch (error) {
      this.#failure ??= error;
    }
  }

  #acknowledge(packet: ServerPacket): void {
    if (packet.type === 'publish' && packet.qos === 1) this.send({ type: 'puback', id: packet.id! });
    else if (packet.type === 'publish' && packet.qos === 2) this.send({ type: 'pubrec', id: packet.id! });
    else if (packet.type === 'pubrel') this.send({ type: 'pubcomp', id: packet.id! });
  }

  /** @throws AssertionError when the server broke a rule that is watched */
  check(): void {
    if (this.#failure === undefined) return;
    this.#fail((this.#failure as Error).message);
  }

  #fail(problem: string): never {
    assert.fail(`${problem}\n\nTranscript (→ client, ← server):\n${this.transcript}`);
  }
}
