// One AMQP session: two windows, the links of its handles, and the unsettled deliveries of both directions [AMQP 2.5].
//
//   mapped → ending → over     (we ended it: what still comes is ignored until the peer's end)
//   mapped → over

import type { Output } from '../../base/output.ts';
import type { Session as BrokerSession } from '../../broker/port.ts';
import type { Principal } from '../../security/security.ts';
import type { WireFacts } from '../protocol.ts';
import {
  AmqpFault,
  type Attach,
  type Begin,
  Condition,
  decodeTransfer,
  type DeliveryState,
  type Detach,
  type DispositionFields,
  type FlowFields,
  framingFault,
  type OutgoingTransfer,
} from './codec/index.ts';
import { countName } from './counters.ts';
import { DeliveryTable } from './delivery-table.ts';
import { DispositionRun } from './disposition-runs.ts';
import { type EndOwner, errorOf, LinkEnd } from './link-end.ts';
import type { Link, LinkFlow, SessionEnd } from './link.ts';
import type { ServiceNodes } from './nodes/service-nodes.ts';
import { openLink } from './open-link.ts';
import type { PeerWriter } from './peer-writer.ts';
import { serialAdd, serialDistance } from './serial.ts';
import type { AmqpServer } from './server.ts';
import type { ConnectionTransactions } from './transactions.ts';
import { WaitingTransfers } from './waiting-transfers.ts';

/** What a session needs of its connection. */
export interface SessionOwner {
  readonly server: AmqpServer;
  readonly facts: WireFacts;
  readonly writer: PeerWriter;
  readonly containerId: string;
  readonly principal: Principal;
  readonly brokerSession: BrokerSession;
  readonly transactions: ConnectionTransactions;
  readonly nodes: ServiceNodes;
  /** Largest frame that is sent. */
  readonly maxFrameBytes: number;
  /** The broker has ended its session. */
  readonly sessionIsGone: boolean;
  /** How many links there are, over all sessions. */
  links: number;
  /** Kept of deliveries that are not whole, over all links. */
  incompleteBytes: number;
  fail(fault: AmqpFault): void;
  holdReading(on: boolean): void;
  renew(principal: Principal, expiresAtMs: number | undefined): void;
  readonly isPending: boolean;
  prove(principal: Principal, expiresAtMs: number | undefined, answer: (ok: boolean) => void): void;
}

const firstOutgoingId = 0;
/** Ours is no limit of ours: what is sent is bounded by the peer's window, and by credit. */
const outgoingWindow = 0x7fff_ffff;
const noFreeHandle = -1;
/** Deliveries that dispositions of one turn may look at and leave unsettled: a frame of few bytes can name all there are. */
const maxIdleVisits = 100_000;

export class AmqpSession implements EndOwner {
  /** Ours: what our frames carry. */
  readonly channel: number;
  readonly #owner: SessionOwner;
  readonly #peerHandleMax: number;
  #state: 'mapped' | 'ending' | 'over' = 'mapped';

  // ---- Incoming
  #nextIncomingId: number;
  /** Transfer frames that the peer may still send. */
  #incomingWindow: number;
  readonly #received = new DeliveryTable<Link>();

  // ---- Outgoing
  #nextOutgoingId = firstOutgoingId;
  #nextDeliveryId = 0;
  /** Transfer frames that the peer still takes. */
  #remoteIncomingWindow: number;
  readonly #sent = new DeliveryTable<Link>();
  readonly #waiting = new WaitingTransfers();
  /** A link may wait to be told that there is room again. */
  #wasCongested = false;

  readonly #byPeerHandle = new Map<number, LinkEnd>();
  readonly #byHandle: (LinkEnd | undefined)[] = [];
  #suspended: Set<Link> | undefined = undefined;
  /** Of the last transfer: peers mostly send many in a row on one link. */
  #lastHandle = -1;
  #lastEnd: LinkEnd | undefined = undefined;

  readonly #sentRun: DispositionRun;
  readonly #receivedRun: DispositionRun;
  #endArranged = false;
  // What the visitors of a disposition look at.
  #peerSettled = false;
  #peerState: DeliveryState | undefined = undefined;
  #idleVisits = 0;

  constructor(owner: SessionOwner, channel: number, begin: Begin) {
    this.#owner = owner;
    this.channel = channel;
    this.#peerHandleMax = begin.handleMax ?? 0xffff_ffff;
    this.#nextIncomingId = begin.nextOutgoingId;
    this.#incomingWindow = owner.server.options.incomingWindow;
    this.#remoteIncomingWindow = begin.incomingWindow;
    const { writer } = owner;
    this.#sentRun = new DispositionRun((first, last, settled, state) => writer.disposition(channel, false, first, last, settled, state));
    this.#receivedRun = new DispositionRun((first, last, settled, state) => writer.disposition(channel, true, first, last, settled, state));
    owner.server.counters.sessions++;
  }

  /** Answers the peer's begin. */
  begin(remoteChannel: number): void {
    const { handleMax, incomingWindow } = this.server.options;
    this.#owner.writer.performative(this.channel, {
      type: 'begin',
      remoteChannel,
      nextOutgoingId: this.#nextOutgoingId,
      incomingWindow,
      outgoingWindow,
      handleMax,
    });
  }

  /** We have ended it and wait for the peer. */
  get isEnding(): boolean {
    return this.#state === 'ending';
  }

  // ---- From the peer. Each returns why the connection must end, if it must.

  onAttach(attach: Attach): AmqpFault | undefined {
    const { options } = this.server;
    const { handle, name } = attach;
    if (handle > options.handleMax) return framingFault(`a handle above ${options.handleMax}`); // [AMQP 2.7.2]
    if (this.#byPeerHandle.has(handle)) return this.#fail(Condition.handleInUse, 'the handle is in use');
    const ours = this.#freeHandle();
    if (ours === noFreeHandle) return this.#fail(Condition.resourceLimitExceeded, 'the peer has no handle left for our side');
    if (attach.role === 'sender' && attach.initialDeliveryCount === undefined) {
      return this.#fail(Condition.invalidField, 'an attach of a sender without initial-delivery-count'); // [AMQP 2.7.3]
    }
    const end = new LinkEnd(this, attach, ours);
    this.#byPeerHandle.set(handle, end);
    this.#byHandle[ours] = end;
    this.#owner.links++;
    if (name.length === 0 || Buffer.byteLength(name) > options.maxLinkNameBytes) {
      end.refuse({ condition: Condition.invalidField, message: `a link name has 1 to ${options.maxLinkNameBytes} bytes` });
    } else if (this.#owner.links > options.maxLinks) {
      end.refuse({ condition: Condition.resourceLimitExceeded, message: `a connection has at most ${options.maxLinks} links` });
    } else {
      const link = openLink(end);
      if (link !== undefined) end.link = link;
    }
    return undefined;
  }

  /** `bytes[start..end)` is the frame's body. */
  onTransfer(bytes: Uint8Array, start: number, end: number): AmqpFault | undefined {
    const fields = this.server.transferFields;
    const fault = decodeTransfer(bytes, start, end, fields);
    if (fault !== undefined) return fault;
    // [AMQP 2.5.6]
    this.#nextIncomingId = serialAdd(this.#nextIncomingId, 1);
    if (--this.#incomingWindow < 0) return this.#fail(Condition.windowViolation, 'more transfers than the window allows');
    const { handle } = fields;
    const linkEnd = handle === this.#lastHandle ? this.#lastEnd : this.#byPeerHandle.get(handle);
    if (linkEnd === undefined) return this.#fail(Condition.unattachedHandle, 'a transfer on a handle that is not attached');
    this.#lastHandle = handle;
    this.#lastEnd = linkEnd;
    const { link } = linkEnd;
    if (link !== undefined) {
      if (link.direction === 'out') return this.#fail(Condition.notAllowed, 'a transfer on a link on which the peer receives');
      link.onTransfer(fields, bytes, fields.payloadStart, fields.payloadEnd);
    }
    // Not before the end of the turn: what came in it, the peer has sent within the window that it knew.
    if (this.#incomingWindow * 2 <= this.server.options.incomingWindow) this.#arrangeEnd();
    return undefined;
  }

  onDisposition(fields: DispositionFields): AmqpFault | undefined {
    const { first, last } = fields;
    if (serialDistance(first, last) < 0) return this.#fail(Condition.invalidField, 'a disposition that ends before it begins');
    this.#peerSettled = fields.settled;
    this.#peerState = fields.state;
    // The receiver of deliveries speaks of those that we have sent.
    const visited = (fields.receiver ? this.#sent : this.#received).visit(first, last, this.#visit);
    if (visited === 0) this.server.counters.strayDispositions++;
    this.#peerState = undefined;
    if (this.#idleVisits > maxIdleVisits) return this.#fail(Condition.resourceLimitExceeded, 'too many dispositions that settle nothing');
    return undefined;
  }

  onFlow(flow: FlowFields): AmqpFault | undefined {
    // [AMQP 2.5.6] Before the peer has heard of our begin it does not know what we have sent.
    const from = flow.nextIncomingId === -1 ? firstOutgoingId : flow.nextIncomingId;
    if (serialDistance(from, this.#nextOutgoingId) < 0)
      return this.#fail(Condition.invalidField, 'a flow that has received what was not sent');
    this.#remoteIncomingWindow = Math.max(
      0,
      serialDistance(this.#nextOutgoingId, serialAdd(from, Math.min(flow.incomingWindow, 0x7fff_ffff))),
    );
    this.#nextIncomingId = flow.nextOutgoingId;
    if (flow.handle >= 0) {
      const linkEnd = this.#byPeerHandle.get(flow.handle);
      if (linkEnd === undefined) return this.#fail(Condition.unattachedHandle, 'a flow on a handle that is not attached');
      this.#sendWaiting();
      linkEnd.link?.onFlow(flow);
    } else {
      this.#sendWaiting();
      if (flow.echo) this.#writeFlow(); // [AMQP 2.7.4]
    }
    this.checkWritable();
    return undefined;
  }

  onDetach(detach: Detach): AmqpFault | undefined {
    const linkEnd = this.#byPeerHandle.get(detach.handle);
    if (linkEnd === undefined) return this.#fail(Condition.unattachedHandle, 'a detach on a handle that is not attached');
    this.#flushRuns();
    linkEnd.onDetach(detach);
    this.#byPeerHandle.delete(detach.handle);
    this.#byHandle[linkEnd.handle] = undefined;
    this.#owner.links--;
    if (this.#lastHandle === detach.handle) this.#lastHandle = -1;
    return undefined;
  }

  /** The peer's end. The session is over afterwards. */
  onEnd(): void {
    if (this.#state === 'mapped') {
      this.close('ended');
      this.#owner.writer.performative(this.channel, { type: 'end' });
    }
    this.#over();
  }

  /** The session is gone, with all its links. */
  close(end: SessionEnd): void {
    if (this.#state === 'over') return;
    if (end !== 'lost') this.#flushRuns();
    this.#over();
    this.#sent.clear();
    this.#received.clear();
    this.#waiting.clear();
    const suspended = [...(this.#suspended ?? [])];
    for (const linkEnd of this.#byPeerHandle.values()) linkEnd.sessionEnded(end);
    for (const link of suspended) link.onSessionEnd(end);
    this.#owner.links -= this.#byPeerHandle.size;
    this.#byPeerHandle.clear();
  }

  /** The output has drained, or the window has grown. */
  checkWritable(): void {
    this.#sendWaiting();
    if (!this.#wasCongested || this.congested) return;
    this.#wasCongested = false;
    for (const linkEnd of this.#byPeerHandle.values()) linkEnd.link?.onWritable?.();
  }

  // ---- For links (EndOwner, SessionSide)

  get server(): AmqpServer {
    return this.#owner.server;
  }

  get facts(): WireFacts {
    return this.#owner.facts;
  }

  get containerId(): string {
    return this.#owner.containerId;
  }

  get principal(): Principal {
    return this.#owner.principal;
  }

  get connectionSession(): BrokerSession {
    return this.#owner.brokerSession;
  }

  get isPending(): boolean {
    return this.#owner.isPending;
  }

  prove(principal: Principal, expiresAtMs: number | undefined, answer: (ok: boolean) => void): void {
    this.#owner.prove(principal, expiresAtMs, answer);
  }

  get transactions(): ConnectionTransactions {
    return this.#owner.transactions;
  }

  get nodes(): ServiceNodes {
    return this.#owner.nodes;
  }

  get output(): Output {
    return this.#owner.writer.output;
  }

  get maxFrameBytes(): number {
    return this.#owner.maxFrameBytes;
  }

  get outgoingWindow(): number {
    return this.#waiting.isEmpty ? this.#remoteIncomingWindow : 0;
  }

  get congested(): boolean {
    const congested =
      this.#remoteIncomingWindow <= 0 || !this.#waiting.isEmpty || this.output.pendingBytes > this.server.options.outputHighWaterBytes;
    if (congested) this.#wasCongested = true;
    return congested;
  }

  get outputFull(): boolean {
    return this.output.pendingBytes > this.server.options.maxOutputBytes;
  }

  beginDelivery(link: Link, key: number, settled: boolean): number {
    const deliveryId = this.#nextDeliveryId;
    this.#nextDeliveryId = serialAdd(deliveryId, 1);
    if (!settled) this.#sent.add(deliveryId, link, key);
    return deliveryId;
  }

  transfer(transfer: OutgoingTransfer): void {
    if (this.#waiting.isEmpty) this.#countSent(this.#owner.writer.transfer(this.channel, transfer, this.#remoteIncomingWindow));
    if (!transfer.done) this.#waiting.add(transfer);
  }

  receivedUnsettled(link: Link, deliveryId: number, key: number): void {
    this.#received.add(deliveryId, link, key);
  }

  forget(side: 'sent' | 'received', deliveryId: number): void {
    (side === 'sent' ? this.#sent : this.#received).remove(deliveryId);
  }

  suspended(link: Link): boolean {
    const isNew = this.#suspended?.has(link) !== true;
    if (isNew && this.#owner.links > this.server.options.maxLinks) return false;
    (this.#suspended ??= new Set()).add(link);
    if (isNew) this.#owner.links++;
    return true;
  }

  resumed(link: Link): void {
    if (this.#suspended?.delete(link) === true) this.#owner.links--;
  }

  forgetAll(link: Link): void {
    this.#sent.removeAll(link);
    this.#received.removeAll(link);
  }

  disposition(side: 'sent' | 'received', deliveryId: number, settled: boolean, state: DeliveryState | undefined): void {
    (side === 'sent' ? this.#sentRun : this.#receivedRun).add(deliveryId, settled, state);
    this.#arrangeEnd();
  }

  writeAttach(attach: Attach): boolean {
    let { unsettled } = attach;
    let whole = attach;
    // [AMQP 2.7.3] What does not fit into the peer's frames is left out, and that is said.
    while (!this.#owner.writer.performative(this.channel, whole)) {
      if (unsettled === undefined || unsettled.size === 0) {
        const fault = new AmqpFault(Condition.frameSizeTooSmall, 'an attach does not fit into a frame of the peer');
        // The broker may be calling now.
        this.server.turn.atEnd(() => this.#owner.fail(fault));
        break;
      }
      unsettled = new Map([...unsettled].slice(0, unsettled.size >> 1));
      whole = { ...attach, unsettled, incompleteUnsettled: true };
    }
    return whole === attach;
  }

  writeDetach(detach: Detach): void {
    this.#flushRuns();
    this.#waiting.drop(detach.handle);
    this.#owner.writer.performative(this.channel, detach);
  }

  writeLinkFlow(handle: number, flow: LinkFlow): void {
    this.#flow(handle, flow);
  }

  failSession(fault: AmqpFault): void {
    this.#fail(fault.condition, fault.message);
  }

  failConnection(fault: AmqpFault): void {
    this.#owner.fail(fault);
  }

  renew(principal: Principal, expiresAtMs: number | undefined): void {
    this.#owner.renew(principal, expiresAtMs);
  }

  get connectionIsGone(): boolean {
    return this.#owner.sessionIsGone;
  }

  holdReading(on: boolean): void {
    this.#owner.holdReading(on);
  }

  keepBytes(change: number): boolean {
    const { maxIncompleteBytes, maxMessageBytes } = this.server.options;
    this.#owner.incompleteBytes += change;
    return this.#owner.incompleteBytes <= Math.max(maxIncompleteBytes, maxMessageBytes);
  }

  // ---- Inside

  readonly #visit = (link: Link, key: number, deliveryId: number): boolean => {
    if (link.onDisposition(key, deliveryId, this.#peerSettled, this.#peerState) || this.#peerSettled) return true;
    if (this.#idleVisits++ === 0) this.#arrangeEnd();
    return false;
  };

  #arrangeEnd(): void {
    if (this.#endArranged) return;
    this.#endArranged = true;
    this.server.turn.atEnd(this.#endOfTurn);
  }

  readonly #endOfTurn = (): void => {
    this.#endArranged = false;
    this.#idleVisits = 0;
    if (this.#state !== 'mapped') return;
    this.#flushRuns();
    // Flows of links have perhaps renewed it along the way.
    if (this.#incomingWindow * 2 <= this.server.options.incomingWindow) this.#writeFlow();
  };

  #flushRuns(): void {
    this.#sentRun.flush();
    this.#receivedRun.flush();
  }

  #sendWaiting(): void {
    if (this.#waiting.isEmpty) return;
    this.#countSent(this.#waiting.send(this.#owner.writer, this.channel, this.#remoteIncomingWindow));
  }

  #countSent(frames: number): void {
    this.#nextOutgoingId = serialAdd(this.#nextOutgoingId, frames);
    this.#remoteIncomingWindow -= frames;
  }

  #writeFlow(): void {
    this.#flow(undefined, undefined);
  }

  #flow(handle: number | undefined, flow: LinkFlow | undefined): void {
    const { incomingWindow } = this.server.options;
    this.#incomingWindow = incomingWindow;
    this.#owner.writer.performative(this.channel, {
      type: 'flow',
      nextIncomingId: this.#nextIncomingId,
      incomingWindow,
      nextOutgoingId: this.#nextOutgoingId,
      outgoingWindow,
      handle,
      ...flow,
    });
  }

  #freeHandle(): number {
    const index = this.#byHandle.indexOf(undefined);
    const free = index === -1 ? this.#byHandle.length : index;
    return free > this.#peerHandleMax ? noFreeHandle : free;
  }

  /** Ends the session with the reason. What the peer still sends is ignored until its end. */
  #fail(condition: Condition, message: string): undefined {
    if (this.#state !== 'mapped') return;
    countName(this.server.counters.sessionsEnded, condition);
    this.server.log.debug('amqp session ended', { peer: this.containerId, condition, why: message });
    this.close('lost');
    this.#owner.writer.performative(this.channel, { type: 'end', error: errorOf({ condition, message }) });
    this.#state = 'ending';
  }

  #over(): void {
    if (this.#state === 'mapped') this.server.counters.sessions--;
    this.#state = 'over';
  }
}
