// A network connection between a simulated client and the node: bytes arrive in order or not at all, in any pieces and after
// any delay; either end may find it broken before the other does.

import { Output } from '../src/base/output.ts';
import type { Connection, Protocol, Wire, WireFacts } from '../src/protocols/protocol.ts';
import { between, chance } from './random-choices.ts';
import type { World } from './world.ts';

export interface LinkEnd {
  receive(bytes: Uint8Array): void;
  lost(): void;
}

/** As the node's net does: above it a connection is told when its output has drained again. */
export const highWaterBytes = 16 * 1024;
const lowWaterBytes = 4 * 1024;
/** What a network holds before the sender's output backs up. */
const inFlightBytes = 8 * 1024;

const facts: WireFacts = { listener: 'sim', remoteAddress: '198.51.100.1', remotePort: 1, secure: true, peerCertificate: undefined };

export class SimLink implements Wire {
  readonly output: Output;
  readonly facts = facts;
  readonly #world: World;
  readonly #client: LinkEnd;
  readonly #connection: Connection;
  #toServer: Uint8Array[] = [];
  #toClient: Uint8Array[] = [];
  #pauses = 0;
  #deadlineMs = Infinity;
  #serverOpen = true;
  #clientOpen = true;
  #closing = false;
  #high = false;
  #busyToServer = false;
  #busyToClient = false;
  /** The client does not read, or its network does not carry. */
  stalled = false;
  largestOutput = 0;

  constructor(world: World, protocol: Protocol, client: LinkEnd) {
    this.#world = world;
    this.#client = client;
    this.output = new Output(() => world.turn.atEnd(() => this.#flush()));
    this.#connection = protocol.connect(this);
  }

  get open(): boolean {
    return this.#clientOpen;
  }

  // --- The client's end

  send(bytes: Uint8Array): void {
    if (!this.#clientOpen) return;
    this.#toServer.push(bytes);
    this.#carryToServer();
  }

  /** The client's process or network is gone; the node notices some time later. */
  drop(): void {
    if (!this.#clientOpen) return;
    this.#clientOpen = false;
    const noticeMs = chance(this.#world.random, 0.5) ? 0 : between(this.#world.random, 1, 3000);
    this.#world.after(noticeMs, () => this.#serverLost());
    this.#client.lost();
  }

  /** The node is gone: nobody tells it anything, the client notices. */
  nodeGone(): void {
    this.#serverOpen = false;
    this.#loseClient(between(this.#world.random, 0, 500));
  }

  #carryToServer(): void {
    if (this.#busyToServer || this.#toServer.length === 0 || this.#pauses > 0) return;
    this.#busyToServer = true;
    this.#world.afterLatency(() => {
      this.#busyToServer = false;
      if (!this.#serverOpen || this.#closing || this.#pauses > 0) return;
      const piece = this.#cut(this.#toServer);
      this.#connection.receive(piece);
      this.#carryToServer();
    });
  }

  /** Some of what waits: a packet may come in pieces, or several at once. */
  #cut(queue: Uint8Array[]): Uint8Array {
    const { random } = this.#world;
    const all = Buffer.concat(queue);
    const length = chance(random, 0.2) ? 1 + random.below(all.length) : all.length;
    queue.length = 0;
    if (length < all.length) queue.push(all.subarray(length));
    // The node must copy what it keeps: what it was given is overwritten afterwards, as a socket's buffer is.
    const piece = Uint8Array.from(all.subarray(0, length));
    this.#world.turn.atEnd(() => piece.fill(0xee));
    return piece;
  }

  // --- The node's end

  pause(): void {
    this.#pauses++;
  }

  resume(): void {
    this.#pauses--;
    this.#carryToServer();
  }

  setDeadline(monotonicMs: number): void {
    this.#deadlineMs = monotonicMs;
    if (monotonicMs !== Infinity) this.#world.at(monotonicMs, () => this.#deadline(monotonicMs));
  }

  #deadline(monotonicMs: number): void {
    if (!this.#serverOpen || this.#deadlineMs !== monotonicMs) return;
    this.#connection.onDeadline();
  }

  close(): void {
    this.#closing = true;
    this.#world.turn.atEnd(() => this.#flush());
    this.#world.afterLatency(() => this.#closed());
  }

  abort(): void {
    this.#closing = true;
    this.output.takeChunks();
    this.#world.afterLatency(() => this.#closed());
  }

  #closed(): void {
    this.#serverLost();
    this.#loseClient(between(this.#world.random, 0, 100));
  }

  #serverLost(): void {
    if (!this.#serverOpen) return;
    this.#serverOpen = false;
    this.#connection.onClosed();
  }

  #loseClient(inMs: number): void {
    this.#world.after(inMs, () => {
      if (!this.#clientOpen) return;
      this.#clientOpen = false;
      this.#client.lost();
    });
  }

  #flush(): void {
    if (!this.#serverOpen) return;
    this.largestOutput = Math.max(this.largestOutput, this.output.pendingBytes);
    if (this.output.pendingBytes > highWaterBytes) this.#high = true;
    if (this.output.unsentBytes > inFlightBytes) return;
    for (const chunk of this.output.takeChunks()) {
      this.output.unsentBytes += chunk.length;
      this.#toClient.push(chunk.slice());
    }
    this.#carryToClient();
  }

  #carryToClient(): void {
    if (this.#busyToClient || this.#toClient.length === 0) return;
    this.#busyToClient = true;
    this.#world.afterLatency(() => {
      this.#busyToClient = false;
      if (this.stalled && this.#clientOpen) return;
      if (this.#toClient.length === 0) return;
      const piece = this.#cut(this.#toClient).slice();
      this.output.unsentBytes -= piece.length;
      if (this.#clientOpen) this.#client.receive(piece);
      if (this.#serverOpen) this.#flush();
      if (this.#serverOpen && !this.#closing && this.#high && this.output.pendingBytes < lowWaterBytes) {
        this.#high = false;
        this.#connection.onDrained();
      }
      this.#carryToClient();
    });
  }

  /** The client reads again. */
  unstall(): void {
    this.stalled = false;
    this.#carryToClient();
  }
}
