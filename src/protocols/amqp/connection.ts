// One AMQP connection: which state it is in, what may happen there, and how it ends. What an opened peer may say is in opened.ts,
// what an open asks for in open-terms.ts.
//
//   awaitingHeader → [sasl → awaitingAmqpHeader] → awaitingOpen → [authenticating] → attaching → opened → closed
//
// From every state a fault, a deadline, the broker or the wire leads to `closed`. Before `opened` the reader is fed byte by byte, so
// that a pipelined handshake can stop where somebody has to be asked, and the rest waits as it came.

import { type CloseReason, type Consumer, Outcome, type Session } from '../../broker/port.ts';
import type { Principal } from '../../security/security.ts';
import type { Connection, Wire } from '../protocol.ts';
import {
  type AmqpError,
  AmqpFault,
  Condition,
  decodePerformative,
  decodeSaslFrame,
  FrameReader,
  type FrameSink,
  FrameType,
  minMaxFrameSize,
  type Open,
  PerformativeCode,
  ProtocolId,
  SaslCode,
} from './codec/index.ts';
import { closeWords, wordsOf } from './conditions.ts';
import type { Proof, State } from './connection-state.ts';
import { countName } from './counters.ts';
import { errorOf } from './link-end.ts';
import { connectionAttachRequest, containerInUse, openAnswer, openFault, soleConnectionCapability, wantsToBeSole } from './open-terms.ts';
import { PendingSession } from './nodes/pending-session.ts';
import { Opened } from './opened.ts';
import { PeerWriter } from './peer-writer.ts';
import { Brake, ReadingBrake } from '../reading-brake.ts';
import { credentialsOf, offeredMechanisms, SaslExchange } from './sasl.ts';
import type { AmqpServer } from './server.ts';

const awaitingHeader: State = { kind: 'awaitingHeader' };
const closed: State = { kind: 'closed' };
const saslOutcomeNames = ['ok', 'auth', 'sys', 'sys-perm', 'sys-temp'];

export class AmqpConnection implements Connection, Consumer, FrameSink {
  /** Nothing is delivered to the connection's own session. */
  readonly congested = true;
  readonly #server: AmqpServer;
  readonly #wire: Wire;
  readonly #writer: PeerWriter;
  readonly #brake: ReadingBrake;
  readonly #reader: FrameReader;
  #state: State = awaitingHeader;
  /** The state, while it is `opened`: the way of nearly every call. */
  #live: Opened | undefined = undefined;
  /** What came while somebody was asked. */
  #early: Uint8Array[] | undefined = undefined;
  #earlyBytes = 0;
  /** The header of AMQP has been answered: a close can be said. */
  #speaksAmqp = false;
  #openWasSent = false;
  /** In `soleContainers`. */
  #soleKey: string | undefined = undefined;

  constructor(server: AmqpServer, wire: Wire) {
    this.#server = server;
    this.#wire = wire;
    this.#writer = new PeerWriter(server, wire.output);
    this.#brake = new ReadingBrake(wire, server.counters);
    this.#reader = new FrameReader(server.options.maxConnectFrameBytes);
    server.counters.connections++;
    wire.setDeadline(server.clock.monotonicMs() + server.options.connectTimeoutMs);
  }

  get state(): State['kind'] {
    return this.#state.kind;
  }

  // ---- From the wire

  receive(bytes: Uint8Array): void {
    if (this.#state === closed) return;
    this.#server.counters.receivedBytes += bytes.length;
    this.#feed(bytes);
  }

  #feed(bytes: Uint8Array): void {
    const live = this.#live;
    if (live === undefined || this.#early !== undefined) return this.#feedHandshake(bytes);
    const fault = this.#reader.push(bytes, this);
    if (fault !== undefined) this.#fail(fault);
    if (this.#live === live) this.#heard(live);
  }

  protocolHeader(id: number, major: number, minor: number, revision: number): boolean {
    const supported = major === 1 && minor === 0 && revision === 0;
    const state = this.#state;
    if (state.kind === 'awaitingHeader') this.#firstHeader(supported ? id : -1);
    else if (state.kind === 'awaitingAmqpHeader' && supported && id === ProtocolId.amqp) this.#amqpHeader(state.proof);
    else this.#refuseHeader(ProtocolId.amqp);
    return this.#state !== closed;
  }

  frame(type: number, channel: number, bytes: Uint8Array, start: number, end: number): boolean {
    const live = this.#live;
    if (live === undefined) return this.#frameOfHandshake(type, channel, bytes, start, end);
    const fault = live.frame(type, channel, bytes, start, end);
    if (fault !== undefined) this.#fail(fault);
    return this.#live === live;
  }

  onDrained(): void {
    if (this.#state === closed) return;
    this.#brake.release(Brake.output);
    this.#live?.onDrained();
  }

  onDeadline(): void {
    const live = this.#live;
    if (live === undefined) {
      if (this.#state !== closed) this.#handshakeTookTooLong();
      return;
    }
    const fault = live.overdue(this.#brake.excusesSilence);
    if (fault === undefined) this.#wire.setDeadline(live.deadlineMs);
    else this.#fail(fault);
  }

  onClosed(): void {
    const { counters } = this.#server;
    counters.connections--;
    const state = this.#state;
    this.#move(closed);
    if (state.kind === 'opened') {
      counters.lost++;
      state.end('lost');
    } else if (state.kind !== 'closed') {
      counters.abandoned++;
    }
  }

  shutDown(): void {
    const { condition, message } = closeWords.shuttingDown;
    this.#fail(new AmqpFault(condition, message));
  }

  // ---- From the broker, for the connection's own session. Nothing here may call it back.

  attached(outcome: Outcome, session: Session | undefined): void {
    const state = this.#state;
    if (state.kind === 'opened' && state.isProving) return state.proved(outcome === Outcome.accepted ? session : undefined);
    if (state.kind !== 'attaching') return session?.detach(false);
    if (outcome !== Outcome.accepted || session === undefined) {
      const { condition, message } = wordsOf(outcome);
      this.#refuse(errorOf({ condition, message }), state.open);
      return;
    }
    this.#welcome(state.open, state.proof, session);
    this.#arrangeReplay();
  }

  #welcome(open: Open, proof: Proof, session: Session): void {
    const { options, counters, log } = this.#server;
    this.#writer.maxFrameBytes = Math.min(open.maxFrameSize ?? options.maxFrameBytes, options.maxFrameBytes);
    // Who is to prove by a token who it is, is a stranger still. It is told so once [AMQP 2.7.1]: the limit stays.
    if (proof.principal !== undefined) this.#reader.maxFrameSize = options.maxFrameBytes;
    this.#sendOpen(open, false);
    // Nothing else of it is kept: its properties may be large.
    const known: Open = {
      type: 'open',
      containerId: open.containerId,
      ...(wantsToBeSole(open) && { desiredCapabilities: [soleConnectionCapability] }),
    };
    const live = new Opened(this.#server, this.#wire.facts, this.#writer, session, open, proof, {
      fail: (fault) => this.#fail(fault),
      peerCloses: () => this.#peerCloses(),
      setDeadline: (atMs) => this.#wire.setDeadline(atMs),
      hold: (on) => (on ? this.#brake.pull(Brake.broker) : this.#brake.release(Brake.broker)),
      attach: (principal) => {
        if (this.#mayNotAttach(known, principal) !== undefined) return live.proved(undefined);
        this.#askBroker(known, principal);
      },
    });
    counters.opened++;
    this.#move(live);
    this.#wire.setDeadline(live.deadlineMs);
    log.debug('amqp peer connected', { peer: open.containerId, address: this.#wire.facts.remoteAddress });
  }

  detached(reason: CloseReason): void {
    const state = this.#state;
    const { condition, message } = closeWords[reason];
    if (state.kind === 'attaching') return this.#refuse(errorOf({ condition, message }), state.open);
    if (state.kind !== 'opened') return;
    state.sessionIsGone = true;
    this.#sayClose(errorOf({ condition, message }));
    this.#move(closed);
    this.#wire.close();
    // The links' sessions are given back outside of this call.
    this.#server.turn.atEnd(() => state.end('lost'));
  }

  send(): boolean {
    return false;
  }
  transfer(): boolean {
    return false;
  }
  releaseDelivery(): void {}
  published(): void {}
  released(): void {}
  subscribed(): void {}
  unsubscribed(): void {}
  /** Links hold their peers back. */
  hold(): void {}

  // ---- The handshake

  /** Byte by byte, until somebody must be asked: the rest waits. */
  #feedHandshake(bytes: Uint8Array): void {
    if (this.#early !== undefined) return this.#keepEarly(bytes);
    for (let at = 0; at < bytes.length; at++) {
      if (this.#live !== undefined) return this.#feed(bytes.subarray(at));
      if (this.#isAsking) {
        this.#early = [];
        this.#brake.pull(Brake.handshake);
        return this.#keepEarly(bytes.subarray(at));
      }
      const fault = this.#reader.push(bytes.subarray(at, at + 1), this);
      if (fault !== undefined) this.#faultOfHandshake(fault);
      if (this.#state === closed) return;
    }
    if (this.#isAsking) {
      this.#early ??= [];
      this.#brake.pull(Brake.handshake);
    }
  }

  #keepEarly(bytes: Uint8Array): void {
    this.#earlyBytes += bytes.length;
    if (this.#earlyBytes > this.#server.options.maxEarlyBytes) {
      this.#fail(new AmqpFault(Condition.resourceLimitExceeded, 'too much was sent before the open was answered'));
      return;
    }
    this.#early!.push(bytes.slice());
  }

  /** Nobody is asked any more: what has waited is read at the end of the turn. The broker may be calling now. */
  #arrangeReplay(): void {
    if (this.#early !== undefined) this.#server.turn.atEnd(() => this.#replay());
  }

  #replay(): void {
    const early = this.#early;
    if (early === undefined || this.#isAsking || this.#state === closed) return;
    this.#early = undefined;
    this.#earlyBytes = 0;
    this.#brake.release(Brake.handshake);
    for (const bytes of early) if (this.#state !== closed) this.#feed(bytes);
  }

  get #isAsking(): boolean {
    const state = this.#state;
    return state.kind === 'authenticating' || state.kind === 'attaching' || (state.kind === 'sasl' && !state.exchange.isClientsTurn);
  }

  /** [AMQP 2.2] `id`: -1 when the version is not ours. */
  #firstHeader(id: number): void {
    const offered = offeredMechanisms(this.#server, this.#wire.facts);
    if (id === ProtocolId.sasl && offered.length > 0) {
      this.#writer.protocolHeader(ProtocolId.sasl);
      this.#writer.sasl({ type: 'sasl-mechanisms', saslServerMechanisms: offered });
      this.#startSasl(offered);
    } else if (id === ProtocolId.amqp && this.#maySkipSasl) {
      this.#amqpHeader(undefined);
    } else {
      this.#refuseHeader(offered.length > 0 ? ProtocolId.sasl : ProtocolId.amqp);
    }
  }

  #startSasl(offered: ReturnType<typeof offeredMechanisms>): void {
    const exchange = new SaslExchange(this.#server, this.#wire.facts, offered, {
      challenge: (challenge) => {
        this.#writer.sasl({ type: 'sasl-challenge', challenge });
        this.#arrangeReplay();
      },
      done: (principal, expiresAtMs, additionalData) => {
        this.#saslOutcome(SaslCode.ok, additionalData);
        this.#reader.expectHeader(); // [AMQP 5.3.2]
        this.#move({ kind: 'awaitingAmqpHeader', proof: { principal, expiresAtMs } });
        this.#arrangeReplay();
      },
      failed: (code) => {
        this.#saslOutcome(code, undefined);
        this.#abandon();
      },
      pending: () => {
        this.#saslOutcome(SaslCode.ok, undefined);
        this.#reader.expectHeader(); // [AMQP 5.3.2]
        const { clock, options } = this.#server;
        const expiresAtMs = clock.wallMs() + options.connectTimeoutMs;
        this.#move({ kind: 'awaitingAmqpHeader', proof: { principal: undefined, expiresAtMs } });
      },
    });
    this.#move({ kind: 'sasl', exchange });
  }

  #saslOutcome(code: SaslCode, additionalData: Uint8Array | undefined): void {
    countName(this.#server.counters.saslOutcomes, saslOutcomeNames[code]!);
    this.#writer.sasl({ type: 'sasl-outcome', code, ...(additionalData && { additionalData }) });
  }

  /** Whoever is known by the connection itself, or need not be known. */
  get #maySkipSasl(): boolean {
    const { listener, peerCertificate, pskIdentity } = this.#wire.facts;
    const accepted = this.#server.accepts(listener);
    if (peerCertificate !== undefined && accepted.includes('certificate')) return true;
    return (pskIdentity !== undefined && accepted.includes('psk')) || accepted.includes('anonymous');
  }

  #amqpHeader(proof: Proof | undefined): void {
    this.#writer.protocolHeader(ProtocolId.amqp);
    this.#speaksAmqp = true;
    this.#move({ kind: 'awaitingOpen', proof });
  }

  /** [AMQP 2.2] Says what is spoken here, and closes. */
  #refuseHeader(id: number): void {
    this.#writer.protocolHeader(id);
    this.#abandon();
  }

  #frameOfHandshake(type: number, channel: number, bytes: Uint8Array, start: number, end: number): boolean {
    const state = this.#state;
    if (state.kind === 'sasl') this.#saslFrame(state.exchange, type, bytes, start, end);
    else if (state.kind === 'awaitingOpen') this.#awaitedOpen(state.proof, type, channel, bytes, start, end);
    else this.#faultOfHandshake(new AmqpFault(Condition.illegalState, 'a frame that does not belong here'));
    return this.#state !== closed;
  }

  #saslFrame(exchange: SaslExchange, type: number, bytes: Uint8Array, start: number, end: number): void {
    const frame = type === FrameType.sasl ? decodeSaslFrame(bytes, start, end) : undefined;
    if (frame === undefined || frame instanceof AmqpFault) return this.#abandon();
    const { received } = this.#server.counters;
    if (frame.type === 'sasl-init' && exchange.mechanism === undefined) {
      received[0x41]!++;
      exchange.init(frame.mechanism, frame.initialResponse, frame.hostname);
    } else if (frame.type === 'sasl-response' && exchange.mechanism !== undefined) {
      received[0x43]!++;
      exchange.response(frame.response);
    } else {
      this.#abandon();
    }
  }

  #awaitedOpen(proof: Proof | undefined, type: number, channel: number, bytes: Uint8Array, start: number, end: number): void {
    if (type !== FrameType.amqp) return this.#faultOfHandshake(new AmqpFault(Condition.notAllowed, 'a frame of another type than AMQP'));
    // [AMQP 2.4.1] An empty one, too: whoever has not said who it is must not keep us busy.
    if (start === end) return this.#faultOfHandshake(new AmqpFault(Condition.illegalState, 'a frame before open'));
    const open = decodePerformative(bytes, start, end);
    if (open instanceof AmqpFault) return this.#faultOfHandshake(open);
    // [AMQP 2.4.1] Open comes first, on channel 0.
    if (open.type !== 'open' || channel !== 0) {
      return this.#faultOfHandshake(new AmqpFault(Condition.illegalState, 'a frame before open'));
    }
    this.#server.counters.received[PerformativeCode.open]!++;
    this.#writer.containerId = open.containerId;
    if (this.#writer.watched) this.#writer.showReceived(type, channel, bytes, start, end);
    this.#open(open, proof);
  }

  #open(open: Open, proof: Proof | undefined): void {
    const fault = openFault(open, this.#server);
    if (fault !== undefined) return this.#refuse(errorOf(fault), open);
    this.#writer.maxFrameBytes = Math.max(minMaxFrameSize, Math.min(open.maxFrameSize ?? Infinity, this.#server.options.maxFrameBytes));
    if (proof !== undefined) return this.#attach(open, proof);
    const state: State = { kind: 'authenticating', open };
    this.#move(state);
    this.#server.security.authenticate(credentialsOf(this.#wire.facts, true, {}), (result) => {
      if (this.#state !== state) return; // the connection has ended
      if (result.ok) return this.#attach(open, { principal: result.principal, expiresAtMs: result.expiresAtMs });
      const overloaded = result.reason === 'overloaded';
      const condition = overloaded ? Condition.resourceLimitExceeded : Condition.unauthorizedAccess;
      this.#refuse(errorOf({ condition, message: overloaded ? 'too many handshakes at once' : 'not authorized' }), open);
    });
  }

  #attach(open: Open, proof: Proof): void {
    const { principal } = proof;
    if (principal === undefined) return this.#welcome(open, proof, new PendingSession());
    const error = this.#mayNotAttach(open, principal);
    if (error !== undefined) return this.#refuse(error, open);
    this.#move({ kind: 'attaching', open, proof });
    this.#askBroker(open, principal);
  }

  #mayNotAttach(open: Open, principal: Principal): AmqpError | undefined {
    const { security, soleContainers } = this.#server;
    if (!security.allows(principal, 'connect', open.containerId)) {
      return errorOf({ condition: Condition.unauthorizedAccess, message: 'not authorized' });
    }
    if (!wantsToBeSole(open)) return undefined;
    // Of an attempt before, which the broker has refused.
    if (this.#soleKey !== undefined) soleContainers.delete(this.#soleKey);
    const key = `${principal.tenant}/${open.containerId}`;
    if (soleContainers.has(key)) return containerInUse;
    soleContainers.add(key);
    this.#soleKey = key;
    return undefined;
  }

  #askBroker({ containerId }: Open, principal: Principal): void {
    const { broker } = this.#server;
    broker.attach(connectionAttachRequest(containerId, principal, this.#wire.facts, this.#server.nextSerial++), this);
  }

  #handshakeTookTooLong(): void {
    const state = this.#state;
    if (state.kind === 'sasl' && !state.exchange.isClientsTurn) this.#saslOutcome(SaslCode.sysTemp, undefined);
    if (state.kind === 'authenticating' || state.kind === 'attaching') {
      return this.#refuse(errorOf({ condition: Condition.resourceLimitExceeded, message: 'the handshake took too long' }), state.open);
    }
    this.#abandon();
  }

  // ---- The end

  #peerCloses(): void {
    const live = this.#live;
    if (live === undefined) return;
    this.#server.counters.peerCloses++;
    this.#move(closed);
    live.end('closed');
    this.#writer.performative(0, { type: 'close' });
    this.#wire.close();
  }

  /** Ends the connection with the reason in the protocol's words. Not for calls that come from the broker. */
  #fail(fault: AmqpFault): void {
    const state = this.#state;
    if (state.kind === 'closed') return;
    if (state.kind !== 'opened') return this.#faultOfHandshake(fault);
    this.#move(closed);
    state.end('lost');
    this.#sayClose(errorOf(fault));
    this.#wire.close();
  }

  #faultOfHandshake(fault: AmqpFault): void {
    if (this.#state === closed) return;
    // [AMQP 2.2] Bytes that are no header are answered with one.
    if (this.#reader.expectsHeader) return this.#refuseHeader(ProtocolId.sasl);
    if (!this.#speaksAmqp) return this.#abandon();
    this.#refuse(errorOf(fault), undefined);
  }

  /** An open that is not accepted: our own, and a close that says why [AMQP 2.4.1]. */
  #refuse(error: AmqpError, open: Open | undefined): void {
    if (!this.#openWasSent) this.#sendOpen(open, true);
    this.#sayClose(error);
    this.#move(closed);
    this.#wire.close();
  }

  #sendOpen(open: Open | undefined, failing: boolean): void {
    this.#openWasSent = true;
    this.#writer.performative(0, openAnswer(open, this.#server, this.#reader.maxFrameSize, failing));
  }

  #sayClose(error: AmqpError): void {
    countName(this.#server.counters.closed, error.condition);
    this.#writer.performative(0, { type: 'close', error });
    const { log } = this.#server;
    log.debug('amqp connection closed', { peer: this.#writer.containerId, condition: error.condition, why: error.description });
  }

  /** Nothing can be said, or all has been. */
  #abandon(): void {
    this.#server.counters.abandoned++;
    this.#move(closed);
    this.#wire.close();
  }

  #heard(live: Opened): void {
    live.heard();
    if (this.#wire.output.pendingBytes > this.#server.options.maxOutputBytes) this.#brake.pull(Brake.output);
  }

  /** The only place where the state changes. */
  #move(state: State): void {
    if (this.#state.kind === 'sasl') this.#state.exchange.abandon();
    this.#state = state;
    this.#live = state.kind === 'opened' ? state : undefined;
    if (state !== closed) return;
    this.#early = undefined;
    this.#wire.setDeadline(Infinity);
    if (this.#soleKey !== undefined) this.#server.soleContainers.delete(this.#soleKey);
    this.#soleKey = undefined;
  }
}
