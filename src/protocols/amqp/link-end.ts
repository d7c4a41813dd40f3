// Our end of one link: keeps the contract of LinkHost for the link that works on it.
//
//   new → attached → detaching → gone      (we detached, and wait for the peer's detach)
//   new → detaching → gone                 (we refused)
//
// The session removes an end that is gone.

import type { Session as BrokerSession } from '../../broker/port.ts';
import type { Principal } from '../../security/security.ts';
import type { WireFacts } from '../protocol.ts';
import { linkSessionName } from './address.ts';
import type { AmqpError, AmqpFault, Attach, Detach } from './codec/index.ts';
import { countName } from './counters.ts';
import type { AttachAnswer, Link, LinkFault, LinkFlow, LinkHost, SessionEnd, SessionSide } from './link.ts';
import type { ServiceNodes } from './nodes/service-nodes.ts';
import { plainOutcome } from './settlements.ts';
import type { AmqpServer } from './server.ts';
import type { ConnectionTransactions } from './transactions.ts';

/** What an end needs of its session, besides what links see. */
export interface EndOwner extends SessionSide {
  readonly server: AmqpServer;
  readonly facts: WireFacts;
  readonly containerId: string;
  readonly principal: Principal;
  readonly connectionSession: BrokerSession;
  readonly transactions: ConnectionTransactions;
  readonly nodes: ServiceNodes;
  /** Returns false when a part of its map was left out. */
  writeAttach(attach: Attach): boolean;
  writeDetach(detach: Detach): void;
  writeLinkFlow(handle: number, flow: LinkFlow): void;
  /** Nothing of the link's is expected any more. */
  forgetAll(link: Link): void;
  failSession(fault: AmqpFault): void;
  failConnection(fault: AmqpFault): void;
  renew(principal: Principal, expiresAtMs: number | undefined): void;
  readonly isPending: boolean;
  prove(principal: Principal, expiresAtMs: number | undefined, answer: (ok: boolean) => void): void;
  readonly connectionIsGone: boolean;
  keepBytes(change: number): boolean;
  holdReading(on: boolean): void;
}

type State = 'new' | 'attached' | 'detaching' | 'gone';

export class LinkEnd implements LinkHost {
  #asked: Attach;
  readonly handle: number;
  readonly #owner: EndOwner;
  #state: State = 'new';
  #link: Link | undefined = undefined;

  constructor(owner: EndOwner, asked: Attach, handle: number) {
    this.#owner = owner;
    this.#asked = asked;
    this.handle = handle;
  }

  // ---- For the session

  /** The link that works on this end, while it is to be called. */
  get link(): Link | undefined {
    return this.#state === 'attached' || this.#state === 'new' ? this.#link : undefined;
  }

  set link(link: Link) {
    if (this.#state === 'new' || this.#state === 'attached') this.#link = link;
  }

  /** The peer's detach. The end is gone afterwards. */
  onDetach(detach: Detach): void {
    const { link } = this;
    if (this.#state === 'attached' || this.#state === 'new') {
      link?.onDetach(detach);
      // The link may have answered by itself, with an error.
      if (this.isOpen) {
        // A peer that detaches before it was answered still gets its attach [AMQP 2.6.3].
        if (this.#state === 'new') this.#owner.writeAttach(this.#emptyAnswer());
        this.#owner.writeDetach({ type: 'detach', handle: this.handle, closed: detach.closed });
      }
    }
    this.#leave();
  }

  sessionEnded(end: SessionEnd): void {
    const { link } = this;
    this.#leave();
    link?.onSessionEnd(end);
  }

  get isOpen(): boolean {
    return this.#state === 'attached' || this.#state === 'new';
  }

  // ---- For the link

  get asked(): Attach {
    return this.#asked;
  }

  get server(): AmqpServer {
    return this.#owner.server;
  }

  get facts(): WireFacts {
    return this.#owner.facts;
  }

  get containerId(): string {
    return this.#owner.containerId;
  }

  get name(): string {
    return this.asked.name;
  }

  get principal(): Principal {
    return this.#owner.principal;
  }

  get connectionSession(): BrokerSession {
    return this.#owner.connectionSession;
  }

  get isPending(): boolean {
    return this.#owner.isPending;
  }

  prove(principal: Principal, expiresAtMs: number | undefined, answer: (ok: boolean) => void): void {
    if (this.isOpen) this.#owner.prove(principal, expiresAtMs, answer);
    else answer(false);
  }

  get transactions(): ConnectionTransactions {
    return this.#owner.transactions;
  }

  get nodes(): ServiceNodes {
    return this.#owner.nodes;
  }

  get session(): SessionSide {
    return this.#owner;
  }

  get isAttached(): boolean {
    return this.#state === 'attached';
  }

  get brokerSessionName(): string {
    return linkSessionName(this.containerId, this.asked.role === 'sender' ? 'in' : 'out', this.name);
  }

  attach(answer: AttachAnswer): boolean {
    if (this.#state !== 'new') return true;
    this.#state = 'attached';
    this.server.counters.links[this.#direction]++;
    const isWhole = this.#owner.writeAttach({ ...this.#emptyAnswer(), ...answer });
    this.#forgetWhatWasAsked();
    return isWhole;
  }

  refuse(fault: LinkFault): void {
    if (this.#state !== 'new') return;
    countName(this.server.counters.attachesRefused, fault.condition);
    this.server.log.debug('amqp link refused', { peer: this.containerId, link: this.name, condition: fault.condition, why: fault.message });
    this.#owner.writeAttach(this.#emptyAnswer());
    this.#forgetWhatWasAsked();
    this.#sayDetach(true, fault);
  }

  detach(closed: boolean, fault?: LinkFault): void {
    if (this.#state === 'new' && fault !== undefined) return this.refuse(fault);
    if (this.#state !== 'attached') return;
    if (fault !== undefined) {
      countName(this.server.counters.linksDetached, fault.condition);
      this.server.log.debug('amqp link detached', {
        peer: this.containerId,
        link: this.name,
        condition: fault.condition,
        why: fault.message,
      });
    }
    this.#sayDetach(closed, fault);
  }

  flow(flow: LinkFlow): void {
    if (this.#state === 'attached') this.#owner.writeLinkFlow(this.handle, flow);
  }

  failSession(fault: AmqpFault): void {
    if (this.isOpen) this.#owner.failSession(fault);
  }

  failConnection(fault: AmqpFault): void {
    if (this.isOpen) this.#owner.failConnection(fault);
  }

  renew(principal: Principal, expiresAtMs: number | undefined): void {
    if (this.isOpen) this.#owner.renew(principal, expiresAtMs);
  }

  get connectionIsGone(): boolean {
    return this.#owner.connectionIsGone;
  }

  holdReading(on: boolean): void {
    this.#owner.holdReading(on);
  }

  keepBytes(change: number): boolean {
    return this.#owner.keepBytes(change);
  }

  atEnd(task: () => void): void {
    this.server.turn.atEnd(() => {
      if (this.#state !== 'gone') task();
    });
  }

  /** An attach may be as large as a frame, and a connection may have thousands of links. */
  #forgetWhatWasAsked(): void {
    const { name, handle, role, sndSettleMode, rcvSettleMode, maxMessageSize, source } = this.#asked;
    const defaultOutcome = source?.defaultOutcome && plainOutcome(source.defaultOutcome);
    this.#asked = {
      type: 'attach',
      name,
      handle,
      role,
      sndSettleMode,
      rcvSettleMode,
      maxMessageSize,
      ...(defaultOutcome && { source: { type: 'source', defaultOutcome } }),
    };
  }

  get #direction(): 'in' | 'out' {
    return this.asked.role === 'sender' ? 'in' : 'out';
  }

  /** An attach without terminus [AMQP 2.6.3]; our role is the other one. */
  #emptyAnswer(): Attach {
    const { name, role, sndSettleMode, rcvSettleMode } = this.asked;
    return {
      type: 'attach',
      name,
      handle: this.handle,
      role: role === 'sender' ? 'receiver' : 'sender',
      sndSettleMode,
      rcvSettleMode,
      // Mandatory for a sender [AMQP 2.7.3].
      ...(role === 'receiver' && { initialDeliveryCount: 0 }),
    };
  }

  #sayDetach(closed: boolean, fault: LinkFault | undefined): void {
    if (this.#state === 'attached') this.server.counters.links[this.#direction]--;
    this.#state = 'detaching';
    const error = fault && errorOf(fault);
    this.#owner.writeDetach({ type: 'detach', handle: this.handle, closed, ...(error && { error }) });
    if (this.#link !== undefined) this.#owner.forgetAll(this.#link);
  }

  #leave(): void {
    if (this.#state === 'attached') this.server.counters.links[this.#direction]--;
    this.#state = 'gone';
    if (this.#link !== undefined) this.#owner.forgetAll(this.#link);
  }
}

export function errorOf({ condition, message, info }: LinkFault): AmqpError {
  return { type: 'error', condition, description: message, ...(info !== undefined && { info }) };
}
