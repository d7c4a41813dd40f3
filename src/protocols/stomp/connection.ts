// One STOMP connection: which state it is in, what may happen there, and how it ends. What a connected client may say is in
// connected.ts; what CONNECT asks for in terms.ts.
//
//   awaitingConnect → authenticating → attaching → connected → closing → closed
//
// From every state but the last two a fault, a deadline or the broker leads to `closing`, the wire to `closed`. Frames that come before
// CONNECT or a SUBSCRIBE is answered are kept as bytes, within a limit, and reading stops meanwhile.

import { type CloseReason, type Consumer, Outcome, type Session } from '../../broker/port.ts';
import type { Principal } from '../../security/security.ts';
import type { Connection, Wire } from '../protocol.ts';
import { Brake, ReadingBrake } from '../reading-brake.ts';
import { Beats } from './beats.ts';
import { type Frame, FrameReader, type FrameSink, StompFault } from './codec/index.ts';
import { Connected } from './connected.ts';
import type { State } from './connection-state.ts';
import { type ClientCommand, clientCommands } from './counters.ts';
import { PeerWriter } from './peer-writer.ts';
import { closeFault, credentialsFault, outcomeFault } from './reasons.ts';
import type { StompServer } from './server.ts';
import { connectionAttachRequest, credentialsOf, type Terms, termsOf } from './terms.ts';

const closed: State = { kind: 'closed' };
const commands: ReadonlySet<string> = new Set(clientCommands);

export class StompConnection implements Connection, Consumer, FrameSink {
  /** Nothing is delivered to the connection's own session. */
  readonly congested = true;
  readonly #server: StompServer;
  readonly #wire: Wire;
  readonly #brake: ReadingBrake;
  readonly #reader: FrameReader;
  readonly #writer: PeerWriter;
  readonly #serial: number;
  #state: State = { kind: 'awaitingConnect' };
  /** The state, while it is `connected`. */
  #live: Connected | undefined = undefined;
  #beats: Beats | undefined = undefined;
  /** What came and is not looked at yet. */
  #early: Uint8Array[] = [];
  #earlyBytes = 0;
  #isLater = false;

  constructor(server: StompServer, wire: Wire) {
    const { options, counters, parts } = server;
    this.#server = server;
    this.#wire = wire;
    this.#serial = server.nextSerial++;
    this.#brake = new ReadingBrake(wire, counters);
    this.#writer = new PeerWriter(server, wire.output);
    // CONNECT has no body.
    this.#reader = new FrameReader({ maxHeadBytes: options.maxConnectBytes, maxHeaders: options.maxHeaders, maxBodyBytes: 0 });
    counters.connections++;
    wire.setDeadline(parts.clock.monotonicMs() + options.connectTimeoutMs);
  }

  get state(): State['kind'] {
    return this.#state.kind;
  }

  // ---- From the wire

  receive(bytes: Uint8Array): void {
    if (this.#isOver) return;
    this.#server.counters.receivedBytes += bytes.length;
    this.#beats?.heard();
    if (this.#isStalled || this.#earlyBytes > 0) this.#keep(bytes);
    else this.#take(bytes);
    this.#checkLoad();
  }

  /** See FrameSink. */
  frame(frame: Frame): boolean {
    if (commands.has(frame.command)) this.#server.counters.received[frame.command as ClientCommand]++;
    const live = this.#live;
    if (live === undefined) this.#connect(frame);
    else {
      this.#writer.received(frame);
      const fault = live.frame(frame);
      if (fault !== undefined) this.#fail(fault, frame.get('receipt'));
    }
    return !this.#isOver && !this.#isStalled;
  }

  onDrained(): void {
    if (this.#isOver) return;
    this.#brake.release(Brake.output);
    this.#live?.onDrained();
  }

  onDeadline(): void {
    if (this.#isOver) return;
    const beats = this.#beats;
    if (beats === undefined) return this.#fail(new StompFault('time-out', 'the handshake took too long'));
    if (this.#brake.excusesSilence) beats.heard();
    if (beats.isSilent) {
      this.#server.counters.heartBeatsMissed++;
      return this.#fail(new StompFault('heart-beat missed', 'nothing was heard for twice the time that was agreed on'));
    }
    if (beats.isExpired) return this.#fail(new StompFault('credentials expired', 'what proved who the client is has expired'));
    if (beats.takeTurn()) {
      if (!this.#writer.wrote) this.#writer.beat();
      this.#writer.wrote = false;
    }
    this.#wire.setDeadline(beats.deadlineMs);
  }

  onClosed(): void {
    const state = this.#state;
    const { counters } = this.#server;
    counters.connections--;
    this.#move(closed);
    if (state.kind === 'connected') {
      counters.lost++;
      state.close();
      state.session.detach(false);
    } else if (state.kind === 'closing') {
      state.session?.detach(false);
    } else if (state.kind !== 'closed') {
      counters.connectsAbandoned++;
    }
  }

  shutDown(): void {
    if (!this.#isOver) this.#fail(closeFault('shuttingDown'));
  }

  // ---- From the broker. Nothing here may call it back.

  attached(outcome: Outcome, session: Session | undefined): void {
    const state = this.#state;
    if (state.kind !== 'attaching') {
      session?.detach(false);
      return;
    }
    if (outcome !== Outcome.accepted || session === undefined) return this.#fail(outcomeFault('CONNECT', outcome));
    const { parts, options, counters } = this.#server;
    const { terms, principal, expiresAtMs } = state;
    counters.connectsAccepted++;
    const live = new Connected(this.#server, this.#writer, session, terms, principal, this.#wire.facts, this.#serial, {
      fail: (fault, receipt) => this.#fail(fault, receipt),
      ready: () => this.#later(),
      leave: (receipt) => this.#leave(receipt),
    });
    this.#reader.limits = options;
    this.#move(live);
    this.#beats = new Beats(parts.clock, terms.beats, expiresAtMs);
    this.#wire.setDeadline(this.#beats.deadlineMs);
    const { version, beats } = terms;
    const product = parts.product.version === '' ? parts.product.name : `${parts.product.name}/${parts.product.version}`;
    this.#writer.frame('CONNECTED', [
      ['version', version],
      ...(beats.header === undefined ? [] : ([['heart-beat', beats.header]] as const)),
      ['session', `${this.#serial}`],
      ['server', product],
    ]);
    parts.log.debug('stomp client connected', { client: terms.clientId, version, address: this.#wire.facts.remoteAddress });
    this.#later();
  }

  published(token: number, outcome: Outcome): void {
    this.#live?.published(token, outcome);
    this.#checkLoad();
  }

  hold(on: boolean): void {
    if (this.#isOver) return;
    if (on) this.#brake.pull(Brake.broker);
    else this.#brake.release(Brake.broker);
  }

  detached(reason: CloseReason): void {
    const state = this.#state;
    if (state.kind === 'closing') return this.#move({ kind: 'closing', session: undefined });
    if (this.#isOver) return;
    this.#fail(closeFault(reason));
    // The session is not ours any more.
    if ((this.#state as State).kind === 'closing') this.#move({ kind: 'closing', session: undefined });
  }

  send(): boolean {
    return false;
  }
  transfer(): boolean {
    return true;
  }
  releaseDelivery(): void {}
  released(): void {}
  subscribed(): void {}
  unsubscribed(): void {}

  // ---- The handshake

  #connect(frame: Frame): void {
    const receipt = frame.get('receipt');
    if (this.#state.kind !== 'awaitingConnect') return;
    if (frame.command !== 'CONNECT' && frame.command !== 'STOMP') {
      return this.#fail(new StompFault('not connected', 'the first frame is CONNECT or STOMP'));
    }
    const { parts, options } = this.#server;
    const terms = termsOf(frame, options, (length) => parts.random.bytes(length));
    if (terms instanceof StompFault) return this.#fail(terms, receipt);
    // STOMP 1.2, CONNECT: it MUST NOT ask for a receipt; who does is told nothing but CONNECTED.
    this.#reader.version = terms.version;
    this.#writer.version = terms.version;
    this.#writer.clientId = terms.clientId;
    this.#writer.received(frame);
    const state: State = { kind: 'authenticating', terms, receipt };
    this.#move(state);
    parts.security.authenticate(credentialsOf(terms, this.#wire.facts), (result) => {
      if (this.#state !== state) return; // the connection has ended
      if (result.ok) this.#attach(terms, result.principal, result.expiresAtMs);
      else this.#fail(credentialsFault(result.reason), receipt);
    });
  }

  #attach(terms: Terms, principal: Principal, expiresAtMs: number | undefined): void {
    const { broker, security } = this.#server.parts;
    if (!security.allows(principal, 'connect', terms.clientId)) return this.#fail(outcomeFault('CONNECT', Outcome.notAuthorized));
    this.#move({ kind: 'attaching', terms, principal, expiresAtMs });
    broker.attach(connectionAttachRequest(terms, principal, this.#wire.facts, this.#serial), this);
  }

  // ---- Bytes

  get #isStalled(): boolean {
    return this.#live === undefined ? this.#state.kind !== 'awaitingConnect' : this.#live.isStalled;
  }

  #take(bytes: Uint8Array): void {
    const fault = this.#reader.push(bytes, this);
    if (fault !== undefined) this.#fail(fault);
    else if (this.#reader.rest >= 0 && !this.#isOver) this.#keep(bytes.subarray(this.#reader.rest));
    if (this.#isStalled && !this.#isOver) this.#brake.pull(Brake.handshake);
  }

  #keep(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#earlyBytes += bytes.length;
    if (this.#earlyBytes > this.#server.options.maxEarlyBytes)
      return this.#fail(new StompFault('too early', 'too much was sent before an answer'));
    this.#early.push(new Uint8Array(bytes));
  }

  /** Goes on with what was kept, when the broker's call is over. */
  #later(): void {
    if (this.#isLater) return;
    this.#isLater = true;
    this.#server.parts.turn.atEnd(() => {
      this.#isLater = false;
      while (this.#early.length > 0 && !this.#isOver && !this.#isStalled) {
        const bytes = this.#early.shift()!;
        this.#earlyBytes -= bytes.length;
        const after = this.#early;
        this.#early = [];
        this.#take(bytes);
        // What was left over of it comes first.
        this.#early.push(...after);
      }
      if (!this.#isStalled || this.#isOver) this.#brake.release(Brake.handshake);
      this.#checkLoad();
    });
  }

  /** Stops reading from a client that has too much to come, or does not read itself. */
  #checkLoad(): void {
    const live = this.#live;
    if (live === undefined) return;
    const { maxWaiting, maxOutputBytes } = this.#server.options;
    if (live.waiting >= maxWaiting) this.#brake.pull(Brake.answers);
    else if (live.waiting * 2 <= maxWaiting) this.#brake.release(Brake.answers);
    if (this.#wire.output.pendingBytes > maxOutputBytes) this.#brake.pull(Brake.output);
  }

  // ---- The end

  /** Ends the connection with an ERROR. May be called by the broker: its session is given back when the wire is gone. */
  #fail(fault: StompFault, receipt?: string): void {
    const state = this.#state;
    if (this.#isOver) return;
    const { counters, parts } = this.#server;
    counters.fault(fault.message);
    this.#writer.error(fault, receipt);
    parts.log.debug('stomp connection ended', {
      client: this.#writer.clientId,
      address: this.#wire.facts.remoteAddress,
      why: fault.message,
    });
    if (state.kind === 'connected') {
      counters.closed++;
      state.close();
      this.#end(state.session);
    } else {
      counters.connectsRefused++;
      this.#end(undefined);
    }
  }

  #leave(receipt: string | undefined): void {
    const live = this.#live;
    if (live === undefined) return;
    if (receipt !== undefined) this.#writer.receipt(receipt);
    this.#server.counters.disconnects++;
    live.close();
    this.#end(live.session);
  }

  #end(session: Session | undefined): void {
    this.#move({ kind: 'closing', session });
    this.#early = [];
    this.#earlyBytes = 0;
    this.#wire.setDeadline(Infinity);
    this.#wire.close();
  }

  get #isOver(): boolean {
    return this.#state.kind === 'closing' || this.#state.kind === 'closed';
  }

  /** The only place where the state changes. */
  #move(state: State): void {
    this.#state = state;
    this.#live = state.kind === 'connected' ? state : undefined;
    if (this.#isOver) this.#beats = undefined;
  }
}
