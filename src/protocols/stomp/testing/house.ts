// Clients that talk through the real broker, on a clock, turns and a journal that a test moves by hand.

import { silentLog } from '../../../base/log.ts';
import { SeededRandom } from '../../../base/random.ts';
import { allowAll, TestBroker, type TestBrokerOptions } from '../../../broker/testing/test-broker.ts';
import { defaultConfig } from '../../../config.ts';
import type { Security } from '../../../security/security.ts';
import { noTrace, type Trace } from '../../trace.ts';
import { encodeFrame, Frame, FrameReader, type Header } from '../codec/index.ts';
import { StompConnection } from '../connection.ts';
import type { StompOptions } from '../options.ts';
import { StompServer } from '../server.ts';
import { stompOptions } from '../settings.ts';
import { FakeWire } from './fake-wire.ts';

export const testOptions: StompOptions = stompOptions(defaultConfig().stomp, defaultConfig());

export type HouseOptions = Partial<StompOptions> & { readonly security?: Security; readonly trace?: Trace };

export class House {
  readonly test: TestBroker;
  readonly server: StompServer;

  constructor(test: TestBroker, { security = allowAll, trace = noTrace, ...options }: HouseOptions = {}) {
    const { broker, clock, turn } = test;
    const product = { name: 'Heliograph', version: '1' };
    this.test = test;
    this.server = new StompServer(
      { broker, security, clock, random: new SeededRandom(1), log: silentLog, turn, trace, product },
      { ...testOptions, ...options },
    );
  }

  static async open(options: HouseOptions = {}, broker: TestBrokerOptions = {}): Promise<House> {
    const { security } = options;
    return new House(await TestBroker.start({ ...(security && { security }), ...broker }), options);
  }

  /** A peer that has said nothing. */
  peer(): Peer {
    return new Peer(this);
  }

  /** A client that was sent CONNECTED. */
  client(headers: Readonly<Record<string, string>> = {}): Peer {
    const peer = this.peer();
    peer.say('CONNECT', { 'accept-version': '1.2', host: 'h', ...headers });
    const [connected] = peer.hear();
    if (connected?.command !== 'CONNECTED') throw new Error(`not connected: ${connected?.get('message')}`);
    return peer;
  }
}

type Headers = Readonly<Record<string, string>> | readonly Header[];

export class Peer {
  readonly wire = new FakeWire();
  readonly connection: StompConnection;
  readonly house: House;
  readonly #reader = new FrameReader({ maxHeadBytes: 1e6, maxHeaders: 1000, maxBodyBytes: 1e7 });

  constructor(house: House) {
    this.house = house;
    this.connection = new StompConnection(house.server, this.wire);
  }

  /** Says a frame and lets everything happen that follows from it. */
  say(command: string, headers: Headers = {}, body: Uint8Array | string = ''): this {
    return this.bytes(frameOf(command, headers, body));
  }

  /** The same, but the turn does not end. */
  begin(command: string, headers: Headers = {}, body: Uint8Array | string = ''): this {
    if (this.wire.ended === undefined) this.connection.receive(frameOf(command, headers, body));
    return this;
  }

  bytes(bytes: Uint8Array): this {
    if (this.wire.ended === undefined) this.connection.receive(bytes);
    this.house.test.settle();
    return this;
  }

  /** The frames that were sent to it since the last time. */
  hear(): Frame[] {
    const frames: Frame[] = [];
    const fault = this.#reader.push(this.wire.takeBytes(), {
      frame: (frame) => {
        const body = Buffer.from(frame.buffer.subarray(frame.start, frame.end));
        frames.push(new Frame(frame.command, frame.headers, body));
        return true;
      },
    });
    if (fault !== undefined) throw new Error(`the server sent what is no frame: ${fault.details}`);
    return frames;
  }

  /** What was sent to it, a line each: the command, its most telling header, its body. */
  words(): string[] {
    return this.hear().map((frame) => {
      const telling = frame.get('receipt-id') ?? frame.get('destination') ?? '';
      const error = frame.command === 'ERROR' ? `${frame.get('message')}` : '';
      const body = frame.command === 'MESSAGE' ? textOf(frame) : '';
      return [frame.command, telling, error, body].filter((word) => word !== '').join(' ');
    });
  }

  /** The wire goes. */
  vanish(): void {
    this.connection.onClosed();
    this.house.test.settle();
  }
}

export function textOf({ buffer, start, end }: Frame): string {
  return Buffer.from(buffer.subarray(start, end)).toString();
}

function frameOf(command: string, headers: Headers, body: Uint8Array | string): Buffer {
  return encodeFrame(command, Array.isArray(headers) ? (headers as readonly Header[]) : Object.entries(headers), body);
}
