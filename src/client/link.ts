// One connection: packets in and out over a wire, and the keep-alive. It knows nothing of sessions.

import { Output } from '../base/output.ts';
import {
  DecodeError,
  decodePacket,
  firstBytesFrom,
  firstBytesOfConnack,
  FrameReader,
  type ReasonCode,
  writePacket,
  type Packet,
  type Version,
} from '../protocols/mqtt/codec/index.ts';
import { ClientError } from './client-error.ts';
import type { OpenWire, Wire, WireEvents } from './wire.ts';

export interface LinkEvents {
  /** The wire is there: time to say CONNECT. */
  opened(): void;
  packet(packet: Packet): void;
  /** The wire takes more again. */
  writable(): void;
  /** Once, and the last of the events. */
  closed(error: ClientError): void;
}

/** Runs a task later; returns how to call it off. */
export type Schedule = (ms: number, task: () => void) => () => void;

export type LinkOptions = {
  readonly version: Version;
  /** Largest packet taken, fixed header included. */
  readonly maxPacketBytes: number;
  readonly schedule: Schedule;
};

/** Above so many unsent bytes the link takes no more publishes. */
const highWaterBytes = 256 * 1024;

export class Link implements WireEvents {
  /** Of the packets that the server takes, as it says in CONNACK. */
  maxOutBytes = Infinity;
  readonly #options: LinkOptions;
  readonly #events: LinkEvents;
  readonly #reader: FrameReader;
  readonly #output = new Output(() => queueMicrotask(() => this.#flush()));
  readonly #wire: Wire;
  #open = true;
  #failure: ClientError | undefined;
  #wasWritable = true;
  #callOffPing: (() => void) | undefined;
  #sentSincePing = false;
  #receivedSincePing = false;
  #awaitsPong = false;

  constructor(open: OpenWire, options: LinkOptions, events: LinkEvents) {
    this.#options = options;
    this.#events = events;
    this.#reader = new FrameReader(firstBytesOfConnack(options.version), options.maxPacketBytes);
    this.#wire = open(this);
  }

  get writable(): boolean {
    this.#wasWritable = this.#open && this.#wire.bufferedBytes + this.#output.pendingBytes < highWaterBytes;
    return this.#wasWritable;
  }

  /** Returns false, having sent nothing, when the packet is larger than the server takes (publishes: see packetFits). */
  send(packet: Packet): boolean {
    if (!this.#open) return true;
    this.#sentSincePing = true;
    return writePacket(this.#output, this.#options.version, packet, this.maxOutBytes);
  }

  /** After CONNACK. 0: no keep-alive. */
  connected(keepAliveSec: number): void {
    this.#reader.accept = firstBytesFrom('server', this.#options.version);
    if (keepAliveSec > 0) this.#watch(keepAliveSec * 500);
  }

  /** Sends what there is, and closes. */
  end(): void {
    this.#flush();
    this.#stop();
    this.#wire.end();
  }

  /** Closes now; `error` is what `closed` will tell. */
  drop(error: ClientError): void {
    if (!this.#open) return this.#wire.destroy();
    this.#failure = error;
    this.#stop();
    this.#wire.destroy();
  }

  /** Tells the server what it did wrong, where the version has words for it, and closes. */
  refuse(error: DecodeError): void {
    if (this.#options.version === 5) this.send({ type: 'disconnect', reason: error.reason });
    this.#failure = new ClientError('protocol', `the server broke the protocol: ${error.message}`, { reason: error.reason });
    this.end();
  }

  pause(): void {
    this.#wire.pause();
  }

  resume(): void {
    this.#wire.resume();
  }

  opened(): void {
    if (this.#open) this.#events.opened();
  }

  data(bytes: Uint8Array): void {
    if (!this.#open) return;
    this.#receivedSincePing = true;
    const error = this.#reader.push(bytes, { packet: (first, body, start, end) => this.#take(first, body, start, end) });
    if (error !== undefined && this.#open) this.refuse(error);
  }

  drained(): void {
    if (!this.#wasWritable && this.writable) this.#events.writable();
  }

  closed(error: ClientError | undefined): void {
    this.#stop();
    this.#events.closed(this.#failure ?? error ?? new ClientError('disconnected', 'the server closed the connection'));
  }

  #take(firstByte: number, bytes: Uint8Array, start: number, end: number): boolean {
    const packet = decodePacket(firstByte, bytes, start, end, this.#options.version, 'server');
    if (packet instanceof DecodeError) this.refuse(packet);
    else if (packet.type === 'pingresp') this.#awaitsPong = false;
    else this.#events.packet(packet);
    return this.#open;
  }

  /** Every half of the keep-alive: something must have been sent [MQTT-3.1.2-20], and something have come back. */
  #watch(everyMs: number): void {
    this.#callOffPing = this.#options.schedule(everyMs, () => {
      if (this.#awaitsPong && !this.#receivedSincePing) {
        this.drop(new ClientError('timeout', 'the server has fallen silent'));
        return;
      }
      if (!this.#sentSincePing || !this.#receivedSincePing) {
        this.#awaitsPong = true;
        this.send({ type: 'pingreq' });
      }
      this.#sentSincePing = this.#receivedSincePing = false;
      this.#watch(everyMs);
    });
  }

  #flush(): void {
    const chunks = this.#output.takeChunks();
    if (this.#open) for (const chunk of chunks) this.#wire.write(chunk);
  }

  #stop(): void {
    this.#open = false;
    this.#callOffPing?.();
    this.#callOffPing = undefined;
  }
}

/** The error of a server that uses what it was not allowed to. */
export function serverMistake(reason: ReasonCode, what: string): DecodeError {
  return new DecodeError(reason, what);
}
