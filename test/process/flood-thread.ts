// The thread of flood.ts: bytes that were computed beforehand, as fast as sockets take them.

import { connect, type Socket } from 'node:net';
import { workerData } from 'node:worker_threads';

import { encode } from '../harness/encode.ts';
import { place, type FloodOptions } from './flood.ts';

const options = workerData as FloodOptions & { readonly counters: Int32Array };
const { counters, qos, version, window } = options;
const burstBytes = 32 * 1024;
const pollMs = 20;
const connack = 2;
const puback = 4;
const pubrec = 5;
const pubcomp = 7;
const pubrelHeader = 0x62;

const stopped = (): boolean => Atomics.load(counters, place.stop) === 1;

class Publisher {
  readonly #socket: Socket;
  readonly #name: string;
  /** Two halves of the window: one is sent again when all its acknowledgements have come. */
  readonly #bursts: { readonly bytes: Uint8Array; readonly messages: number; open: number }[] = [];
  #pending: Uint8Array = new Uint8Array(0);
  #connected = false;
  #done = false;

  constructor(index: number) {
    this.#name = `${options.prefix}/${index}`;
    const payload = 'x'.repeat(options.payloadBytes);
    const one = encode({ type: 'publish', topic: this.#name, payload, qos, id: 1 }, version).length;
    const perBurst = qos === 0 ? Math.max(1, Math.floor(burstBytes / one)) : window / 2;
    for (let half = 0; half < (qos === 0 ? 1 : 2); half++) {
      const packets: Uint8Array[] = [];
      for (let i = 0; i < perBurst; i++) {
        packets.push(
          encode({ type: 'publish', topic: this.#name, payload, qos, ...(qos === 0 ? {} : { id: half * perBurst + i + 1 }) }, version),
        );
      }
      this.#bursts.push({ bytes: Buffer.concat(packets), messages: perBurst, open: 0 });
    }
    this.#socket = connect({ port: options.port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('connect', () => this.#socket.write(encode({ type: 'connect', clientId: `flood ${this.#name}` }, version)));
    this.#socket.on('data', (bytes: Uint8Array) => this.#received(bytes));
    this.#socket.on('drain', () => this.send());
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => {
      if (!this.#done) Atomics.add(counters, place.closed, 1);
      this.#done = true;
    });
  }

  get done(): boolean {
    return this.#done;
  }

  /** Sends what may be sent, until the socket is full. */
  send(): void {
    if (!this.#connected || this.#done) return;
    if (stopped()) return this.#finish();
    for (;;) {
      const burst = this.#bursts.find(({ open }) => open === 0);
      if (burst === undefined || this.#socket.writableNeedDrain) return;
      if (qos > 0) burst.open = burst.messages;
      Atomics.add(counters, place.sent, burst.messages);
      if (!this.#socket.write(burst.bytes)) return;
    }
  }

  #finish(): void {
    if (this.#bursts.some(({ open }) => open > 0) || this.#done) return;
    this.#done = true;
    this.#socket.end(encode({ type: 'disconnect' }, version));
  }

  #received(bytes: Uint8Array): void {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    const released: Uint8Array[] = [];
    for (let answer = firstAnswer(this.#pending); answer !== undefined; answer = firstAnswer(this.#pending)) {
      this.#take(answer, released);
      this.#pending = this.#pending.subarray(answer.end);
    }
    if (released.length > 0) this.#socket.write(Buffer.concat(released));
    this.send();
  }

  #take({ type, id, refused }: Answer, released: Uint8Array[]): void {
    if (type === connack) {
      this.#connected = true;
      Atomics.add(counters, place.connected, 1);
    } else if (type === pubrec && !refused) {
      released.push(Uint8Array.of(pubrelHeader, 2, id >> 8, id & 0xff));
    } else if (type === puback || type === pubrec || type === pubcomp) {
      this.#bursts[id > window / 2 ? 1 : 0]!.open--;
      Atomics.add(counters, refused ? place.refused : place.acknowledged, 1);
    }
  }
}

type Answer = { readonly type: number; readonly id: number; readonly refused: boolean; readonly end: number };

/** The first whole packet, as far as it matters here; those with reason strings can be longer than 127 bytes. */
function firstAnswer(bytes: Uint8Array): Answer | undefined {
  if (bytes.length < 2) return undefined;
  const isLong = bytes[1]! >= 0x80;
  const start = isLong ? 3 : 2;
  if (bytes.length < start) return undefined;
  const end = start + (bytes[1]! & 0x7f) + (isLong ? bytes[2]! * 128 : 0);
  if (bytes.length < end) return undefined;
  const type = bytes[0]! >> 4;
  const refused = end > start + 2 && bytes[start + 2]! >= 0x80;
  return { type, id: bytes[start]! * 256 + bytes[start + 1]!, refused, end };
}

const publishers = Array.from({ length: options.publishers }, (_, index) => new Publisher(index));
const poll = setInterval(() => {
  if (!stopped()) return;
  for (const publisher of publishers) publisher.send();
  if (publishers.every(({ done }) => done)) clearInterval(poll);
}, pollMs);
