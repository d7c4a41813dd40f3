// A client and the server in conversation, without a network: what the client hears is in the words of the trace.

import { ManualClock } from '../../../base/clock.ts';
import { silentLog } from '../../../base/log.ts';
import { SeededRandom } from '../../../base/random.ts';
import type { Version } from '../codec/index.ts';
import { FrameReader } from '../codec/index.ts';
import { MqttConnection } from '../connection.ts';
import type { MqttOptions } from '../options.ts';
import { MqttServer } from '../server.ts';
import { noTrace, type Trace } from '../../trace.ts';
import { packetInWords } from '../trace.ts';
import * as packets from './client-packets.ts';
import { FakeBroker, type FakeSession } from './fake-broker.ts';
import { FakeSecurity } from './fake-security.ts';
import { FakeWire } from './fake-wire.ts';
import { defaultMqttOptions } from './options.ts';

/** Lets the reader cut whatever comes. */
const anything = { verdicts: new Uint8Array(256), minimalLengths: true };

export class Dialogue {
  readonly version: Version;
  readonly clock = new ManualClock();
  readonly broker = new FakeBroker();
  readonly security = new FakeSecurity();
  readonly server: MqttServer;
  readonly wire = new FakeWire();
  readonly connection: MqttConnection;
  /** One byte at a time. */
  readonly #bytewise: boolean;
  #gone = false;

  constructor(version: Version, { options, trace, bytewise }: { options?: Partial<MqttOptions>; trace?: Trace; bytewise?: boolean } = {}) {
    this.version = version;
    this.#bytewise = bytewise ?? false;
    this.server = new MqttServer({
      broker: this.broker,
      security: this.security,
      clock: this.clock,
      random: new SeededRandom(1),
      log: silentLog,
      options: { ...defaultMqttOptions, ...options },
      trace: trace ?? noTrace,
    });
    this.connection = new MqttConnection(this.server, this.wire);
  }

  /** Connects, and forgets what was said so far. */
  static connected(
    version: Version,
    more: ConstructorParameters<typeof Dialogue>[1] & { connect?: Parameters<typeof packets.connect>[1] } = {},
  ): Dialogue {
    const dialogue = new Dialogue(version, more);
    dialogue.send(packets.connect(version, more.connect));
    const heard = dialogue.heard();
    if (dialogue.connection.state !== 'connected') throw new Error(`not connected: ${heard.join('; ')}`);
    dialogue.broker.takeCalls();
    dialogue.security.questions = [];
    return dialogue;
  }

  get session(): FakeSession {
    return this.broker.session;
  }

  /** The client's bytes; several packets in one piece. The bytes are overwritten afterwards, as a socket's buffer would be. */
  send(...pieces: readonly Uint8Array[]): void {
    const bytes = new Uint8Array(Buffer.concat(pieces));
    if (this.#bytewise) for (const byte of bytes) this.connection.receive(Uint8Array.of(byte));
    else this.connection.receive(bytes);
    bytes.fill(0xee);
  }

  /** The server's packets since the last time, in words, and `closed` when the wire was told to close. */
  heard(): string[] {
    const words: string[] = [];
    const reader = new FrameReader(anything, Infinity);
    reader.push(this.wire.takeBytes(), {
      packet: (firstByte, bytes, start, end) => {
        words.push(packetInWords(this.version, 'server', firstByte, bytes, start, end));
        return true;
      },
    });
    if (this.wire.ended !== undefined) words.push(this.wire.ended);
    return words;
  }

  asked(): string[] {
    return this.broker.takeCalls();
  }

  /** Time passes; a deadline fires when it is reached. */
  advance(ms: number): void {
    const endMs = this.clock.monotonicMs() + ms;
    while (this.wire.deadlineMs <= endMs) {
      this.clock.advance(Math.max(0, this.wire.deadlineMs - this.clock.monotonicMs()));
      this.wire.deadlineMs = Infinity;
      this.connection.onDeadline();
    }
    this.clock.advance(endMs - this.clock.monotonicMs());
  }

  /** The wire is gone. */
  lose(): void {
    if (this.#gone) throw new Error('gone already');
    this.#gone = true;
    this.connection.onClosed();
  }

  /** A call of the consumer by the broker. */
  fromBroker(call: (consumer: FakeSession['consumer']) => unknown): void {
    const { session } = this;
    session.inCall(() => call(session.consumer));
  }

  metric(name: string, label?: string): number {
    let sum = 0;
    for (const sample of this.server.counters.samples()) {
      if (sample.name !== name || sample.type === 'histogram') continue;
      if (label === undefined || Object.values(sample.labels ?? {}).includes(label)) sum += sample.value;
    }
    return sum;
  }
}
