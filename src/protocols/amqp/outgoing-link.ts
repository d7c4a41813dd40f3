// A link on which the peer receives: a broker session of its own with one subscription. Deliveries of the broker become transfers,
// dispositions of the peer become settlements.
//
//   opening → subscribing → attached → over
//                                    → suspended → over   (detached; the terminus lives until its session or connection ends)
//
// Nothing is sent before the attach is answered, nothing without credit, and nothing while the session has no window.

import { type CloseReason, type Consumer, Outcome, type Session, type SubscribeResult } from '../../broker/port.ts';
import type { Message } from '../../message/message.ts';
import {
  acceptedState,
  AmqpFault,
  Condition,
  type DeliveryState,
  type Detach,
  type FlowFields,
  OutgoingTransfer,
  SenderSettleMode,
  tagOfNumber,
} from './codec/index.ts';
import { detachWords, wordsOf } from './conditions.ts';
import { recover, type Recovery } from './link-recovery.ts';
import type { Link, LinkHost, SessionEnd } from './link.ts';
import { OutgoingCredit } from './outgoing-credit.ts';
import { OutgoingMessage } from './outgoing-message.ts';
import { forgottenKey, OutgoingSettling } from './outgoing-settling.ts';
import {
  attachRequest,
  grantedAttach,
  hasSeveralTopics,
  isSuspendable,
  type OutgoingTerms,
  readTerms,
  roomInAnswer,
  sessionExpiryMs,
  subscribeRequest,
} from './outgoing-terms.ts';
import { ResumedSettlements } from './resumed-settlements.ts';
import { settlementOf } from './settlements.ts';

/** Tags of deliveries that the broker has forgotten: positions, which name all others, are smaller. */
const firstForgottenTag = 2 ** 48;

// One for all links: filled, and written before anything else is filled.
const encoded = new OutgoingMessage();
const transfer = new OutgoingTransfer();
const facts = {
  retained: false,
  guarantee: 0 as 0 | 1 | 2,
  redelivered: false,
  deliveryCount: 0,
  showsTopic: false,
  showsSender: false,
};

/** [AMQP 2.6.13] A resumed delivery is sent from its first byte. */
const fromTheStart: DeliveryState = { type: 'received', sectionNumber: 0, sectionOffset: 0n };

/** Opens a link to what the peer wants to receive from, or refuses it. Not for nodes of the broker itself. */
export function openOutgoingLink(host: LinkHost): Link | undefined {
  const terms = readTerms(host);
  if (terms instanceof AmqpFault) {
    host.refuse(terms);
    return undefined;
  }
  const link = new OutgoingLink(host, terms);
  link.open();
  return link;
}

export class OutgoingLink implements Link, Consumer {
  readonly direction = 'out';
  readonly #host: LinkHost;
  readonly #terms: OutgoingTerms;
  #state: 'opening' | 'subscribing' | 'attached' | 'suspended' | 'over' = 'opening';
  /** What it is subscribed to. */
  #filter = '';
  #showsTopic = false;
  #maxMessageBytes: number;
  /** Name of the dynamic node, on whoever's session it was made. */
  #temporary: { readonly name: string; readonly session: Session } | undefined = undefined;

  readonly #credit = new OutgoingCredit();
  /** Flows that came before the attach was answered. */
  #mustResume = false;
  #mustEcho = false;
  /** There was a session of this name before. */
  #wasPresent = false;
  /** The peer closed the link before the broker had answered: what comes is to be ended. */
  #isClosed = false;

  // ---- Settling
  readonly #settling: OutgoingSettling;
  #nextForgottenTag = firstForgottenTag;
  #recovery: Recovery | undefined = undefined;
  #resumed: ResumedSettlements | undefined = undefined;
  /** What the broker released while it was asked for the session. */
  #releasedEarly: number[] | undefined = undefined;

  /** Its broker session, while it is ours. */
  get #session(): Session | undefined {
    return this.#settling.session;
  }

  set #session(session: Session | undefined) {
    this.#settling.session = session;
  }

  constructor(host: LinkHost, terms: OutgoingTerms) {
    this.#host = host;
    this.#terms = terms;
    this.#settling = new OutgoingSettling(host, terms);
    const largest = Number(host.asked.maxMessageSize ?? 0n);
    this.#maxMessageBytes = largest === 0 ? Infinity : largest;
  }

  /** Opens the broker session; the attach is answered when it is there and subscribed. */
  open(): void {
    const { asked } = this.#host;
    const asksForState = asked.unsettled !== undefined || this.#terms.node.kind === 'existing';
    this.#attach(sessionExpiryMs(this.#terms) === 0 && !asksForState && !isSuspendable(this.#terms));
  }

  #attach(cleanStart: boolean): void {
    this.#state = 'opening';
    this.#host.server.broker.attach({ ...attachRequest(this.#host, this.#terms), cleanStart }, this);
  }

  // ---- From the peer

  /** [AMQP 2.6.7] */
  onFlow(flow: FlowFields): void {
    if (flow.properties?.has('txn-id') === true) {
      // [AMQP 4.4.3] Credit that is meant for a transaction must not be used outside of it.
      this.#leave(true);
      this.#host.detach(false, { condition: Condition.notImplemented, message: 'nothing is acquired within transactions here' });
      return;
    }
    this.#credit.onFlow(flow);
    if (this.#state !== 'attached') {
      this.#mustResume = true;
      this.#mustEcho ||= flow.echo;
      return;
    }
    this.#useCredit();
    if (flow.echo && !this.#credit.drains) this.#tellState();
  }

  onTransfer(): void {}

  onWritable(): void {
    if (this.#state === 'attached' && this.#credit.left > 0) this.#useCredit();
  }

  onDisposition(key: number, deliveryId: number, settled: boolean, state: DeliveryState | undefined): boolean {
    const wasFull = this.#isFull;
    const isSettled = this.#settling.onDisposition(key, deliveryId, settled, state);
    if (wasFull && !this.#isFull) this.#host.atEnd(() => this.#useCredit());
    if (!(isSettled instanceof AmqpFault)) return isSettled;
    this.#leave(true);
    this.#host.detach(false, isSettled);
    return true;
  }

  onDetach({ closed }: Detach): void {
    if (closed === true) this.#close();
    else if (!isSuspendable(this.#terms) || !this.#suspend()) this.#leave(true);
  }

  onSessionEnd(end: SessionEnd): void {
    if (end === 'ended' && this.#terms.expiryPolicy === 'connection-close' && this.#suspend()) return;
    this.#leave(true);
  }

  /** [AMQP 3.5.6] What is owed to it goes on coming, and nothing is sent. Returns false when that cannot be. */
  #suspend(): boolean {
    if (this.#state !== 'attached' && this.#state !== 'suspended') return false;
    if (!this.#host.session.suspended(this)) return false;
    this.#state = 'suspended';
    return true;
  }

  /** The terminus goes with the link: of a durable subscription that is its end. */
  #close(): void {
    const session = this.#session;
    const { node } = this.#terms;
    this.#isClosed = true;
    this.#over();
    if (session === undefined) return;
    if (node.kind === 'existing' && this.#filter.startsWith('$share/')) session.subscribe([subscribeRequest(this.#terms, this.#filter)], 0);
    this.#settleByDefault(session);
    if (this.#filter.startsWith('$share/')) session.unsubscribe([this.#filter], 0);
    session.detach(false, 0);
  }

  /** The link is gone. `keeps`: what it is owed stays as long as its terminus does. */
  #leave(keeps: boolean): void {
    const session = this.#session;
    const expiryMs = keeps ? sessionExpiryMs(this.#terms) : 0;
    this.#over();
    if (session === undefined) return;
    if (expiryMs === 0) this.#settleByDefault(session);
    session.detach(false, expiryMs);
  }

  /** [AMQP 3.5.3] The source is destroyed: what is unsettled has the outcome that the peer has named for that. */
  #settleByDefault(session: Session): void {
    const named = this.#host.asked.source?.defaultOutcome;
    const outcome = named && settlementOf(named);
    if (outcome === undefined) return;
    const { settlement, detail } = outcome;
    for (const { deliveryId, guarantee } of session.unsettled()) {
      // Exactly once only the peer can say that it has it.
      if (guarantee === 1 || settlement !== 'accepted') session.settle(deliveryId, settlement, detail);
    }
  }

  #over(): void {
    this.#host.session.resumed(this);
    this.#state = 'over';
    this.#session = undefined;
    const temporary = this.#temporary;
    // What is on the link's own session goes with it.
    if (temporary !== undefined && !this.#terms.nodeOutlivesLink) temporary.session.removeTemporary(temporary.name);
    this.#temporary = undefined;
  }

  // ---- Opening

  attached(outcome: Outcome, session: Session | undefined, present: boolean): void {
    if (this.#state === 'over') {
      session?.detach(false, this.#isClosed ? 0 : sessionExpiryMs(this.#terms));
      return;
    }
    if (outcome !== Outcome.accepted || session === undefined) {
      this.#state = 'over';
      this.#host.refuse(wordsOf(outcome));
      return;
    }
    this.#session = session;
    this.#state = 'subscribing';
    this.#wasPresent = present;
    if (present) {
      const { asked } = this.#host;
      const room = roomInAnswer(this.#host, this.#terms, session.subscribed()[0]?.filter ?? '');
      this.#recovery = recover(session, asked.unsettled, asked.incompleteUnsettled === true, room);
    }
    this.#host.atEnd(() => this.#subscribe(session));
  }

  #subscribe(session: Session): void {
    if (this.#session !== session) return;
    for (const id of this.#recovery?.released ?? []) session.settle(id, 'accepted');
    const { node, filters, nodeOutlivesLink } = this.#terms;
    if (node.kind === 'existing') return this.#lookUp(session, node.group);
    if (node.kind === 'temporary') {
      const owner = nodeOutlivesLink ? this.#host.connectionSession : session;
      const name = owner.createTemporary(node.node);
      if (name === undefined) return this.#refuse(wordsOf(Outcome.quotaExceeded));
      this.#temporary = { name, session: owner };
      this.#filter = node.node === 'queue' ? `$queue/${name}` : name;
    } else {
      this.#filter = node.filter;
    }
    const before = this.#wasPresent ? session.subscribed() : [];
    const isAnother = before.some(
      (each) => each.filter !== this.#filter || each.selector !== filters.selector || each.noLocal !== filters.noLocal,
    );
    if (isAnother) {
      // A subscription of the same name to something else is a new one [JMS 2.0, 8.3.3]: what the old one was owed goes with it.
      this.#session = undefined;
      this.#recovery = undefined;
      session.detach(false, 0);
      return this.#attach(true);
    }
    session.subscribe([subscribeRequest(this.#terms, this.#filter)], 0);
  }

  /** A source that was not given: there must be something to look at. */
  #lookUp(session: Session, group: string): void {
    const own = this.#wasPresent ? session.subscribed()[0]?.filter : undefined;
    const { server, principal } = this.#host;
    // The name of a group is no secret: what others subscribe to by it is nobody's business who may not.
    const filter = own ?? session.sharedFilters(group).find((each) => server.security.allows(principal, 'subscribe', each));
    if (filter === undefined) return this.#refuse({ condition: Condition.notFound, message: 'there is no such subscription' });
    this.#filter = filter;
    this.#answer();
  }

  subscribed(_token: number, results: readonly SubscribeResult[]): void {
    if (this.#state !== 'subscribing') return;
    const outcome = results[0]?.outcome ?? Outcome.unavailable;
    if (outcome === Outcome.accepted) this.#answer();
    else this.#host.atEnd(() => this.#refuse(wordsOf(outcome)));
  }

  #answer(): void {
    const recovery = this.#recovery;
    this.#showsTopic = hasSeveralTopics(this.#filter);
    // [AMQP 2.7.3] Of a peer that has not told all only what was unsettled is made less: nothing may be sent to it.
    const isReduced = this.#host.asked.incompleteUnsettled === true;
    if (!isReduced) this.#state = 'attached';
    this.#host.attach({
      ...grantedAttach(this.#host, this.#terms, this.#filter, this.#session?.sessionExpiryMs),
      ...(recovery?.unsettled !== undefined && { unsettled: recovery.unsettled }),
      ...(recovery?.incomplete === true && { incompleteUnsettled: true }),
    });
    // It has been said.
    this.#terms.filters.honoured = undefined;
    if (recovery?.releasing !== undefined) {
      this.#resumed = new ResumedSettlements(recovery.releasing);
      for (const id of this.#releasedEarly ?? []) this.#mustResume = this.#resumed.released(id) || this.#mustResume;
      this.#releasedEarly = undefined;
    }
    if (isReduced) {
      this.#host.atEnd(() => {
        this.#leave(true);
        this.#host.detach(false);
      });
    } else if (this.#mustResume) {
      this.#host.atEnd(() => {
        this.#useCredit();
        if (this.#mustEcho && !this.#credit.drains) this.#tellState();
      });
    }
  }

  #refuse(words: { readonly condition: Condition; readonly message: string }): void {
    if (this.#state === 'over') return;
    // What was there before the peer asked is not ended by its asking for what it cannot have.
    this.#leave(this.#wasPresent);
    this.#host.refuse(words);
  }

  // ---- From the broker

  get credit(): number {
    return this.#credit.left;
  }

  /** The peer settles nothing of what is forgotten, and it must be known which deliveries those are. */
  get #isFull(): boolean {
    return this.#settling.forgotten >= this.#host.server.options.maxUnsettledPerLink;
  }

  get congested(): boolean {
    return (
      this.#credit.left <= 0 ||
      this.#isFull ||
      this.#state !== 'attached' ||
      this.#resumed?.isWaiting === true ||
      this.#host.session.congested
    );
  }

  send(message: Message, retained: boolean): boolean {
    if (this.#credit.left <= 0 || this.#isFull || this.#state !== 'attached') return false;
    const { session, server } = this.#host;
    if (session.outputFull) {
      server.counters.dropped['output full']++;
      return false;
    }
    facts.deliveryCount = 0;
    facts.redelivered = false;
    if (!this.#encode(message, 0, retained)) return false;
    const settled = this.#terms.sndSettleMode !== SenderSettleMode.unsettled;
    this.#write(forgottenKey, settled ? 0 : this.#nextForgottenTag++, settled, undefined);
    return true;
  }

  transfer(
    deliveryId: number,
    guarantee: 1 | 2,
    message: Message,
    retained: boolean,
    redelivered: boolean,
    _subscriptionIds: readonly number[] | undefined,
    position: number,
    deliveryCount: number,
  ): boolean {
    facts.redelivered = redelivered;
    facts.deliveryCount = deliveryCount;
    if (!this.#encode(message, guarantee, retained)) return false;
    this.#write(deliveryId, position, false, redelivered && this.#takeResumable(position) ? fromTheStart : undefined);
    return true;
  }

  #encode(message: Message, guarantee: 0 | 1 | 2, retained: boolean): boolean {
    facts.guarantee = guarantee;
    facts.retained = retained;
    facts.showsTopic = this.#showsTopic;
    facts.showsSender = this.#terms.showsSender;
    encoded.set(message, facts, message.expiresAtMs === 0 ? 0 : this.#host.server.clock.wallMs());
    if (encoded.length <= this.#maxMessageBytes) return true;
    this.#host.server.counters.dropped['message too large']++; // [AMQP 2.7.3]
    return false;
  }

  #write(key: number, tag: number, settled: boolean, state: DeliveryState | undefined): void {
    const { session, handle } = this.#host;
    transfer.begin(handle, session.beginDelivery(this, key, settled), tag);
    transfer.settled = settled;
    if (key === forgottenKey && !settled) this.#settling.forgotten++;
    transfer.messageFormat = encoded.messageFormat;
    if (state !== undefined) {
      transfer.state = state;
      transfer.resume = true;
    }
    transfer
      .add(encoded.head, 0, encoded.headLength)
      .add(encoded.buffer, encoded.start, encoded.end)
      .add(encoded.tail, encoded.tailStart, encoded.tail.length);
    session.transfer(transfer);
    this.#credit.spend();
  }

  #takeResumable(position: number): boolean {
    return this.#recovery?.resumable?.has(tagOfNumber(position)) === true;
  }

  releaseDelivery(deliveryId: number): void {
    if (this.#state === 'suspended' || this.#settling.releaseDelivery(deliveryId)) return;
    if (this.#state !== 'attached') (this.#releasedEarly ??= []).push(deliveryId);
    else if (this.#resumed?.released(deliveryId) === true) this.#host.atEnd(() => this.#useCredit());
  }

  drained(): void {
    if (!this.#credit.drains || this.#state !== 'attached') return;
    // Whatever waits for the window may still be sent: the peer is answered then.
    if (this.#credit.left > 0 && this.#host.session.congested) return;
    this.#credit.giveUp();
    this.#tellState();
    this.#credit.drains = false;
  }

  detached(reason: CloseReason): void {
    const wasOver = this.#state === 'over';
    this.#host.session.resumed(this);
    this.#session = undefined;
    this.#temporary = undefined;
    this.#state = 'over';
    // The terminus is there still, but for an operator who ended it, and whoever has stolen it [AMQP 2.6.1].
    if (!wasOver) this.#host.detach(reason === 'administrative' || reason === 'takenOver', detachWords[reason]);
  }

  /** A live cut: the link has no right to what it is attached to. */
  revoked(filters: readonly string[]): void {
    if (this.#state === 'opening' || !filters.includes(this.#filter)) return;
    this.#host.atEnd(() => {
      if (this.#session === undefined) return;
      this.#leave(false);
      this.#host.detach(true, wordsOf(Outcome.notAuthorized));
    });
  }

  published(): void {}
  released(): void {}
  unsubscribed(): void {}
  hold(): void {}

  // ---- Inside

  /** Lets the broker send what there is credit for. */
  #useCredit(): void {
    const session = this.#session;
    if (session === undefined || this.#state !== 'attached') return;
    this.#mustResume = false;
    this.#sendResumed(session);
    if (this.#credit.drains && this.#credit.left === 0) this.drained();
    else if (this.#credit.drains) session.drain();
    else if (this.#credit.left > 0) session.resume();
  }

  /** [AMQP 2.6.13] Tells the peer that exactly-once deliveries of an earlier connection are settled: each is a delivery without bytes. */
  #sendResumed(session: Session): void {
    const resumed = this.#resumed;
    if (resumed === undefined) return;
    for (let next = resumed.take(this.#credit.left); next !== undefined; next = resumed.take(this.#credit.left)) {
      const side = this.#host.session;
      transfer.begin(this.#host.handle, side.beginDelivery(this, forgottenKey, true), next.position);
      transfer.settled = true;
      transfer.resume = true;
      transfer.state = acceptedState;
      side.transfer(transfer);
      this.#credit.spend();
      session.settle(next.deliveryId, 'accepted');
    }
    if (resumed.isEmpty) this.#resumed = undefined;
  }

  #tellState(): void {
    const { deliveryCount, left, drains } = this.#credit;
    this.#host.flow({ deliveryCount, linkCredit: left, drain: drains });
  }
}
