// A peer and the broker's side in conversation, without a network: what the peer hears comes as objects or in words.

import { ManualClock } from '../../../base/clock.ts';
import { silentLog } from '../../../base/log.ts';
import { SeededRandom } from '../../../base/random.ts';
import type { BrokerPort } from '../../../broker/port.ts';
import type { Method } from '../../../security/security.ts';
import { FakeSecurity } from '../../mqtt/testing/fake-security.ts';
import { FakeWire } from '../../mqtt/testing/fake-wire.ts';
import type { WireFacts } from '../../protocol.ts';
import type { Attach, Performative } from '../codec/index.ts';
import { AmqpConnection } from '../connection.ts';
import type { AmqpOptions } from '../options.ts';
import { AmqpServer } from '../server.ts';
import type { Trace } from '../../trace.ts';
import { FakeBroker, type FakeSession } from './fake-broker.ts';
import { type Heard, inWords, Listener } from './frame-words.ts';
import { defaultAmqpOptions } from './options.ts';
import * as frames from './peer-frames.ts';

/** Tasks of the end of the turn, run by whoever plays the event loop. */
export class ManualTurn {
  #tasks: (() => void)[] = [];

  atEnd(task: () => void): void {
    this.#tasks.push(task);
  }

  end(): void {
    for (let i = 0; i < this.#tasks.length; i++) this.#tasks[i]!();
    this.#tasks = [];
  }
}

export type DialogueOptions = {
  readonly options?: Partial<AmqpOptions>;
  readonly facts?: Partial<WireFacts>;
  readonly accepts?: readonly Method[];
  readonly bytewise?: boolean;
  readonly trace?: Trace;
  /** Instead of the fake one. */
  readonly broker?: BrokerPort;
  readonly turn?: ManualTurn;
  readonly clock?: ManualClock;
  /** One that has other connections. */
  readonly server?: AmqpServer;
};

export class Dialogue {
  readonly clock: ManualClock;
  readonly turn: ManualTurn;
  readonly broker = new FakeBroker();
  readonly security = new FakeSecurity();
  readonly server: AmqpServer;
  readonly wire = new FakeWire();
  readonly connection: AmqpConnection;
  readonly #bytewise: boolean;
  readonly #listener = new Listener();
  #wasEnded = false;

  constructor(more: DialogueOptions = {}) {
    const { options, facts, accepts = ['anonymous'], bytewise = false, trace } = more;
    this.clock = more.clock ?? new ManualClock();
    this.turn = more.turn ?? new ManualTurn();
    this.#bytewise = bytewise;
    this.server =
      more.server ??
      new AmqpServer({
        broker: more.broker ?? this.broker,
        security: this.security,
        clock: this.clock,
        random: new SeededRandom(1),
        log: silentLog,
        turn: this.turn,
        options: { ...defaultAmqpOptions, ...options },
        accepts: () => accepts,
        ...(trace !== undefined && { trace }),
      });
    Object.assign(this.wire.facts, facts);
    this.connection = new AmqpConnection(this.server, this.wire);
  }

  /** Header and open are exchanged, and what was said is forgotten. */
  static opened(more: DialogueOptions & { readonly open?: Partial<Extract<Performative, { type: 'open' }>> } = {}): Dialogue {
    const dialogue = new Dialogue(more);
    dialogue.send(frames.header(), frames.frame(0, { ...frames.open, ...more.open }));
    const heard = dialogue.heard();
    if (dialogue.connection.state !== 'opened') throw new Error(`not opened: ${heard.join('; ')}`);
    dialogue.asked();
    return dialogue;
  }

  /** And a session on channel 0. */
  static begun(more: Parameters<typeof Dialogue.opened>[0] = {}): Dialogue {
    const dialogue = Dialogue.opened(more);
    dialogue.send(frames.frame(0, frames.begin));
    dialogue.heard();
    return dialogue;
  }

  /** And a link on handle 0, on which the peer sends. */
  static sending(attach: Partial<Attach> = {}, more: Parameters<typeof Dialogue.opened>[0] = {}): Dialogue {
    const dialogue = Dialogue.begun(more);
    dialogue.send(frames.frame(0, frames.senderAttach(attach)));
    const heard = dialogue.heard();
    if (!heard.some((words) => words.startsWith('flow 0'))) throw new Error(`not attached: ${heard.join('; ')}`);
    dialogue.asked();
    return dialogue;
  }

  get session(): FakeSession {
    return this.broker.session;
  }

  /** The peer's bytes, and the end of the turn. They are overwritten afterwards, as a socket's buffer would be. */
  send(...pieces: readonly Uint8Array[]): void {
    const bytes = new Uint8Array(Buffer.concat(pieces));
    if (this.#bytewise) for (const byte of bytes) this.connection.receive(Uint8Array.of(byte));
    else this.connection.receive(bytes);
    bytes.fill(0xee);
    this.turn.end();
  }

  say(channel: number, performative: Performative): void {
    this.send(frames.frame(channel, performative));
  }

  /** The broker's frames since the last time, and `closed` once when the wire was told to close. */
  frames(): Heard[] {
    return this.#listener.hear(this.wire.takeBytes());
  }

  /** The same in words. */
  heard(): string[] {
    const words = this.frames().map(inWords);
    if (this.wire.ended !== undefined && !this.#wasEnded) {
      this.#wasEnded = true;
      words.push(this.wire.ended);
    }
    return words;
  }

  asked(): string[] {
    return this.broker.takeCalls();
  }

  /** A call by the broker, and the end of the turn. */
  fromBroker(call: (session: FakeSession) => void, session: FakeSession = this.session): void {
    this.broker.inCall(() => call(session));
    this.turn.end();
  }

  /** Time passes; a deadline fires when it is reached. */
  advance(ms: number): void {
    const endMs = this.clock.monotonicMs() + ms;
    while (this.wire.deadlineMs <= endMs) {
      this.clock.advance(Math.max(0, this.wire.deadlineMs - this.clock.monotonicMs()));
      this.wire.deadlineMs = Infinity;
      this.connection.onDeadline();
      this.turn.end();
    }
    this.clock.advance(endMs - this.clock.monotonicMs());
  }

  /** The wire is gone. */
  lose(): void {
    this.connection.onClosed();
    this.turn.end();
  }
}
