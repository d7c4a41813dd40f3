// A peer whose open was answered: its sessions, its idle time-outs, and what proved who it is.

import type { Session as BrokerSession } from '../../broker/port.ts';
import type { Principal } from '../../security/security.ts';
import type { WireFacts } from '../protocol.ts';
import {
  AmqpFault,
  Condition,
  decodeDisposition,
  decodeFlow,
  decodePerformative,
  FrameType,
  framingFault,
  type Open,
  PerformativeCode,
  performativeCode,
} from './codec/index.ts';
import type { Proof } from './connection-state.ts';
import type { SessionEnd } from './link.ts';
import { ServiceNodes } from './nodes/service-nodes.ts';
import type { PeerWriter } from './peer-writer.ts';
import type { AmqpServer } from './server.ts';
import { AmqpSession, type SessionOwner } from './session.ts';
import { ConnectionTransactions } from './transactions.ts';

/** What it may do to its connection. */
export type Door = {
  /** Ends the connection, if it is still open. */
  fail(fault: AmqpFault): void;
  /** The peer has said close. */
  peerCloses(): void;
  setDeadline(atMs: number): void;
  /** Stops reading from the peer, or goes on. */
  hold(on: boolean): void;
  /** The peer has proved by a token who it is: asks the broker for a session. Answered by `proved`. */
  attach(principal: Principal): void;
};

/** Between two looks at the wall clock, where something ends on it. */
const longestLookMs = 3_600_000;
/** Stops strangers from filling memory. */
const maxPendingSessions = 4;

export class Opened implements SessionOwner {
  readonly kind = 'opened';
  readonly server: AmqpServer;
  readonly facts: WireFacts;
  readonly writer: PeerWriter;
  readonly containerId: string;
  #brokerSession: BrokerSession;
  readonly transactions: ConnectionTransactions;
  readonly nodes: ServiceNodes;
  links = 0;
  incompleteBytes = 0;
  /** Links that hold the peer back. */
  #holding = 0;
  /** The broker has ended the connection's session: it must not be called any more. */
  sessionIsGone = false;
  readonly #door: Door;
  #isPending: boolean;
  /** A token is good, and the broker is asked for a session. */
  #proving: { readonly expiresAtMs: number | undefined; readonly answer: (ok: boolean) => void } | undefined = undefined;
  readonly #peerChannelMax: number;
  readonly #byRemoteChannel = new Map<number, AmqpSession>();
  readonly #byChannel: (AmqpSession | undefined)[] = [];
  #lastRemoteChannel = -1;
  #lastSession: AmqpSession | undefined = undefined;
  /** On the wall clock: what proved who the peer is ends then. */
  #expiresAtMs: number;
  // On the monotonic clock.
  #heardAtMs: number;
  #nextAliveMs: number;
  readonly #aliveEveryMs: number;

  constructor(server: AmqpServer, facts: WireFacts, writer: PeerWriter, session: BrokerSession, open: Open, proof: Proof, door: Door) {
    this.server = server;
    this.facts = facts;
    this.writer = writer;
    this.containerId = open.containerId;
    this.#brokerSession = session;
    this.#isPending = proof.principal === undefined;
    this.transactions = new ConnectionTransactions(server, () => this.#brokerSession);
    this.nodes = new ServiceNodes(server.nodes);
    this.#door = door;
    this.#peerChannelMax = open.channelMax ?? 0xffff;
    this.#expiresAtMs = proof.expiresAtMs ?? Infinity;
    const nowMs = server.clock.monotonicMs();
    this.#heardAtMs = nowMs;
    // [AMQP 2.4.5] Twice within the time that the peer waits.
    this.#aliveEveryMs = open.idleTimeOut === undefined || open.idleTimeOut === 0 ? Infinity : open.idleTimeOut / 2;
    this.#nextAliveMs = nowMs + this.#aliveEveryMs;
  }

  get brokerSession(): BrokerSession {
    return this.#brokerSession;
  }

  /** It is to prove by a token on `$cbs` who it is: until then it may do nothing else. */
  get isPending(): boolean {
    return this.#isPending;
  }

  get isProving(): boolean {
    return this.#proving !== undefined;
  }

  get principal(): Principal {
    return this.#brokerSession.principal;
  }

  prove(principal: Principal, expiresAtMs: number | undefined, answer: (ok: boolean) => void): void {
    if (!this.#isPending || this.#proving !== undefined || this.sessionIsGone) return answer(false);
    this.#proving = { expiresAtMs, answer };
    this.#door.attach(principal);
  }

  /** The broker's session; undefined: there is none. */
  proved(session: BrokerSession | undefined): void {
    const proving = this.#proving!;
    this.#proving = undefined;
    if (session !== undefined) {
      this.#brokerSession = session;
      this.#isPending = false;
      this.#expiresAtMs = proving.expiresAtMs ?? Infinity;
      this.#door.setDeadline(this.deadlineMs);
    }
    proving.answer(session !== undefined);
  }

  get maxFrameBytes(): number {
    return this.writer.maxFrameBytes;
  }

  /** A frame. Returns why the connection must end, if it must. */
  frame(type: number, channel: number, bytes: Uint8Array, start: number, end: number): AmqpFault | undefined {
    const { counters } = this.server;
    if (type !== FrameType.amqp) return new AmqpFault(Condition.notAllowed, 'a frame of another type than AMQP');
    if (start === end) {
      counters.received[0]!++;
      return undefined;
    }
    const code = performativeCode(bytes, start, end);
    if (code < 0) return new AmqpFault(Condition.notImplemented, 'a frame without a performative that is known');
    counters.received[code]!++;
    if (this.writer.watched) this.writer.showReceived(type, channel, bytes, start, end);
    if (channel > this.server.options.channelMax) return framingFault(`a channel above ${this.server.options.channelMax}`); // [AMQP 2.7.1]
    let session: AmqpSession | undefined;
    if (channel === this.#lastRemoteChannel) {
      session = this.#lastSession;
    } else {
      session = this.#byRemoteChannel.get(channel);
      this.#lastRemoteChannel = channel;
      this.#lastSession = session;
    }
    if (code === PerformativeCode.transfer && session !== undefined && !session.isEnding) return session.onTransfer(bytes, start, end);
    return this.#other(code, channel, session, bytes, start, end);
  }

  #other(
    code: number,
    channel: number,
    session: AmqpSession | undefined,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): AmqpFault | undefined {
    if (code === PerformativeCode.close) return this.#close(bytes, start, end);
    if (code === PerformativeCode.begin) return this.#begin(channel, session, bytes, start, end);
    if (session === undefined || code === PerformativeCode.open) return illegal('a frame that does not belong here');
    // What was on its way when we ended the session.
    if (session.isEnding && code !== PerformativeCode.end) return undefined;
    switch (code) {
      case PerformativeCode.disposition: {
        const fields = this.server.dispositionFields;
        return decodeDisposition(bytes, start, end, fields) ?? session.onDisposition(fields);
      }
      case PerformativeCode.flow: {
        const fields = this.server.flowFields;
        return decodeFlow(bytes, start, end, fields) ?? session.onFlow(fields);
      }
    }
    const performative = decodePerformative(bytes, start, end);
    if (performative instanceof AmqpFault) return performative;
    switch (performative.type) {
      case 'attach':
        return session.onAttach(performative);
      case 'detach':
        return session.onDetach(performative);
      case 'end':
        return this.#end(channel, session);
      default:
        return illegal('a frame that does not belong here');
    }
  }

  #begin(channel: number, there: AmqpSession | undefined, bytes: Uint8Array, start: number, end: number): AmqpFault | undefined {
    const begin = decodePerformative(bytes, start, end);
    if (begin instanceof AmqpFault) return begin;
    if (begin.type !== 'begin') return illegal('a frame that does not belong here');
    if (there !== undefined) return illegal('a begin on a channel that has a session');
    // We begin no sessions: nothing of ours can be answered.
    if (begin.remoteChannel !== undefined) return illegal('a begin that answers what we did not begin');
    if (this.#isPending && this.#byRemoteChannel.size >= maxPendingSessions) {
      return new AmqpFault(Condition.resourceLimitExceeded, 'too many sessions before it is known who the peer is');
    }
    const index = this.#byChannel.indexOf(undefined);
    const ours = index === -1 ? this.#byChannel.length : index;
    if (ours > this.#peerChannelMax) return new AmqpFault(Condition.resourceLimitExceeded, 'the peer has no channel left for our side');
    const session = new AmqpSession(this, ours, begin);
    this.#byRemoteChannel.set(channel, session);
    this.#byChannel[ours] = session;
    this.#lastRemoteChannel = -1;
    session.begin(channel);
    return undefined;
  }

  #end(channel: number, session: AmqpSession): undefined {
    session.onEnd();
    this.#byRemoteChannel.delete(channel);
    this.#byChannel[session.channel] = undefined;
    this.#lastRemoteChannel = -1;
    return undefined;
  }

  #close(bytes: Uint8Array, start: number, end: number): AmqpFault | undefined {
    const close = decodePerformative(bytes, start, end);
    if (close instanceof AmqpFault) return close;
    this.#door.peerCloses();
    return undefined;
  }

  /** All sessions are over, and so is the broker's. Not for calls that come from the broker. */
  end(how: SessionEnd): void {
    for (const session of this.#byRemoteChannel.values()) session.close(how);
    this.#byRemoteChannel.clear();
    this.#lastRemoteChannel = -1;
    if (this.sessionIsGone) return;
    this.sessionIsGone = true;
    this.#brokerSession.detach(how === 'lost');
  }

  onDrained(): void {
    for (const session of this.#byRemoteChannel.values()) session.checkWritable();
  }

  fail(fault: AmqpFault): void {
    this.#door.fail(fault);
  }

  holdReading(on: boolean): void {
    this.#holding += on ? 1 : -1;
    if (this.#holding === (on ? 1 : 0)) this.#door.hold(on);
  }

  /** The peer has proved anew who it is. */
  renew(principal: Principal, expiresAtMs: number | undefined): void {
    if (this.sessionIsGone) return;
    this.#expiresAtMs = expiresAtMs ?? Infinity;
    // Those of the links are parts of it: the broker tells them.
    this.#brokerSession.renew(principal);
    this.#door.setDeadline(this.deadlineMs);
  }

  // ---- Time

  heard(): void {
    this.#heardAtMs = this.server.clock.monotonicMs();
  }

  /** When to look at `overdue`, at the latest. */
  get deadlineMs(): number {
    const { clock, options } = this.server;
    const silentMs = options.idleTimeoutMs === 0 ? Infinity : this.#heardAtMs + options.idleTimeoutMs;
    const soonMs = Math.min(silentMs, this.#nextAliveMs);
    if (this.#expiresAtMs === Infinity) return soonMs;
    // The wall clock may be set meanwhile.
    return Math.min(soonMs, clock.monotonicMs() + Math.min(this.#expiresAtMs - clock.wallMs(), longestLookMs));
  }

  /** Says that we are here, when it is time. Returns why the connection must end, if it must. `excused`: silence is our doing. */
  overdue(excused: boolean): AmqpFault | undefined {
    const { clock, options } = this.server;
    const nowMs = clock.monotonicMs();
    if (excused) this.#heardAtMs = nowMs;
    if (options.idleTimeoutMs > 0 && this.#heardAtMs + options.idleTimeoutMs <= nowMs) {
      return new AmqpFault(Condition.resourceLimitExceeded, 'nothing was heard for longer than the idle time-out'); // [AMQP 2.4.5]
    }
    if (this.#expiresAtMs <= clock.wallMs()) {
      return new AmqpFault(Condition.unauthorizedAccess, 'what proved who the peer is has expired');
    }
    if (this.#nextAliveMs <= nowMs) {
      this.writer.alive();
      this.#nextAliveMs = nowMs + this.#aliveEveryMs;
    }
    return undefined;
  }
}

function illegal(message: string): AmqpFault {
  return new AmqpFault(Condition.illegalState, message);
}
