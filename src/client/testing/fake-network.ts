// A network and a time that stand still until a test moves them. The server's side of a connection reads whole packets.

import { Output } from '../../base/output.ts';
import {
  DecodeError,
  decodePacket,
  firstBytesFrom,
  firstBytesOfConnect,
  FrameReader,
  writePacket,
  type Packet,
  type Version,
} from '../../protocols/mqtt/codec/index.ts';
import { ClientError } from '../client-error.ts';
import type { Schedule } from '../link.ts';
import type { OpenWire, Wire, WireEvents } from '../wire.ts';

export class FakeTime {
  #nowMs = 0;
  #tasks: { readonly atMs: number; readonly task: () => void }[] = [];

  readonly schedule: Schedule = (ms, task) => {
    const entry = { atMs: this.#nowMs + ms, task };
    this.#tasks.push(entry);
    return () => (this.#tasks = this.#tasks.filter((each) => each !== entry));
  };

  get armed(): number {
    return this.#tasks.length;
  }

  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const next = this.#tasks.toSorted((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#tasks = this.#tasks.filter((each) => each !== next);
      this.#nowMs = next.atMs;
      next.task();
    }
    this.#nowMs = untilMs;
  }
}

/** The server's side of one connection. */
export class FakeConnection implements Wire {
  readonly version: Version;
  /** What the client said, without what `next` has taken. */
  readonly received: Packet[] = [];
  /** Set by a test, to let the wire look full. */
  bufferedBytes = 0;
  paused = false;
  /** How the client closed: in order, or at once. */
  closed: 'ended' | 'destroyed' | undefined;
  readonly #events: WireEvents;
  readonly #reader = new FrameReader(firstBytesOfConnect, 1 << 20);

  constructor(version: Version, events: WireEvents) {
    this.version = version;
    this.#events = events;
  }

  write(bytes: Uint8Array): void {
    const error = this.#reader.push(bytes, {
      packet: (firstByte, body, start, end) => {
        const packet = decodePacket(firstByte, body, start, end, this.version, 'client');
        if (packet instanceof DecodeError) throw new Error(packet.message);
        this.#reader.accept = firstBytesFrom('client', this.version);
        this.received.push(packet);
        return true;
      },
    });
    if (error !== undefined) throw new Error(error.message);
  }

  end(): void {
    this.closed ??= 'ended';
    queueMicrotask(() => this.#events.closed(undefined));
  }

  destroy(): void {
    if (this.closed !== undefined) return;
    this.closed = 'destroyed';
    queueMicrotask(() => this.#events.closed(undefined));
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  /** The wire is there. */
  open(): void {
    this.#events.opened();
  }

  drain(): void {
    this.bufferedBytes = 0;
    this.#events.drained();
  }

  /** The server says these, in one piece. */
  send(...packets: Packet[]): void {
    const output = new Output(() => {});
    for (const packet of packets) writePacket(output, this.version, packet);
    this.raw(Buffer.concat(output.takeChunks()));
  }

  raw(bytes: Uint8Array): void {
    this.#events.data(bytes);
  }

  /** The network breaks. */
  cut(error?: ClientError): void {
    this.closed ??= 'destroyed';
    this.#events.closed(error ?? new ClientError('disconnected', 'cut'));
  }

  /** What the client said since the last call. */
  async heard(): Promise<Packet[]> {
    await settled();
    return this.received.splice(0);
  }
}

export class FakeNetwork {
  readonly connections: FakeConnection[] = [];
  readonly #version: Version;

  constructor(version: Version) {
    this.#version = version;
  }

  readonly openWire: OpenWire = (events) => {
    const connection = new FakeConnection(this.#version, events);
    this.connections.push(connection);
    return connection;
  };

  get last(): FakeConnection {
    return this.connections.at(-1)!;
  }
}

/** Everything that was going to happen without time or network has happened. */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
