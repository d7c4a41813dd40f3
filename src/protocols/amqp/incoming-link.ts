// A link on which the peer sends: from its transfers to the broker, and the outcomes back.
//
// The hot path. A delivery in one frame costs one message object and one call of the broker; what is answered goes out in runs at
// the end of the turn. Nothing here says `accepted` but from the broker's outcome.

import { type AttachRequest, type CloseReason, type Consumer, Outcome, type Session } from '../../broker/port.ts';
import { Message } from '../../message/message.ts';
import type { TargetNode } from './address.ts';
import {
  acceptedState,
  AmqpFault,
  Condition,
  type DeliveryState,
  deliveryTagOf,
  type Detach,
  type Fields,
  type FlowFields,
  ReceiverSettleMode,
  releasedState,
  type TransactionalState,
  type TransferFields,
} from './codec/index.ts';
import { detachWords, wordsOf, type Words } from './conditions.ts';
import { IncomingMessage } from './convert.ts';
import { countName } from './counters.ts';
import { IncomingCredit } from './incoming-credit.ts';
import { acceptedTags, answerOf, attachRequestOf } from './incoming-terms.ts';
import { KnownAddress, KnownAddresses } from './known-addresses.ts';
import type { Link, LinkHost, SessionEnd } from './link.ts';
import { PartialDelivery } from './partial-delivery.ts';
import type { AmqpServer } from './server.ts';

/** One for all links: read, and used before anything else is read. */
const incoming = new IncomingMessage();

/** A delivery whose sender settles first [AMQP 2.8.3]: kept until it does. */
type Second = {
  readonly tag: string;
  /** The peer was told what became of it. */
  answered: boolean;
  /** It was accepted: the broker knows it by its tag. */
  published: boolean;
  settledByPeer: boolean;
};

/** What a link publishes to. */
export type PublishNode = Extract<TargetNode, { readonly kind: 'topic' | 'anonymous' }> & {
  /** The link has made it, and it goes with the link. */
  readonly temporary?: string;
};

export class IncomingLink implements Link, Consumer {
  readonly direction = 'in';
  readonly congested = true;
  readonly #host: LinkHost;
  readonly #server: AmqpServer;
  readonly #node: PublishNode;
  readonly #settlesSecond: boolean;
  readonly #credit: IncomingCredit;
  /** Where the peer says where to by `to`. */
  readonly #addresses: KnownAddresses | undefined;
  /** Its broker session, while it is ours. */
  #session: Session | undefined = undefined;
  /** The link is over: a session that still comes is given back. */
  #over = false;
  /** The peer can be told by an outcome that a message was refused. */
  readonly #takesRejected: boolean;
  /** Why the message that is being taken ends the link. */
  #routingFault: Words | AmqpFault | undefined = undefined;
  #known: KnownAddress | undefined = undefined;
  #partial: PartialDelivery | undefined = undefined;
  #grantArranged = false;
  /** The peer could not be told of all that was taken: what it sends anew may be a repetition. */
  #resumesOnly = false;
  #seconds: Map<number, Second> | undefined = undefined;
  /** Tags of deliveries that were taken on an earlier connection, and that the peer has not settled. */
  #taken: Set<string> | undefined = undefined;

  constructor(host: LinkHost, node: PublishNode) {
    this.#host = host;
    this.#server = host.server;
    this.#node = node;
    this.#settlesSecond = host.asked.rcvSettleMode === ReceiverSettleMode.second;
    this.#credit = new IncomingCredit(host.asked.initialDeliveryCount ?? 0);
    const outcomes = host.asked.source?.outcomes ?? [];
    this.#takesRejected = outcomes.length === 0 || outcomes.includes('amqp:rejected:list');
    this.#addresses = node.kind === 'anonymous' ? new KnownAddresses(host.server) : undefined;
  }

  /** Opens the link's broker session; the attach is answered when the broker has. */
  open(): void {
    const request: AttachRequest = attachRequestOf(this.#host);
    this.#server.broker.attach(request, this);
  }

  // ---- From the peer

  onFlow(flow: FlowFields): void {
    if (flow.deliveryCount >= 0) this.#credit.follow(flow.deliveryCount);
    if (flow.echo) this.#tellCredit(this.#credit.credit);
    this.#replenish();
  }

  onTransfer(transfer: TransferFields, bytes: Uint8Array, start: number, end: number): void {
    const session = this.#session;
    if (session === undefined) return this.#tooEarly();
    const partial = this.#partial;
    if (partial !== undefined) return this.#continue(session, partial, transfer, bytes, start, end);
    if (transfer.deliveryId < 0 || transfer.tagStart < 0) {
      return this.#fail(Condition.invalidField, 'a delivery begins without delivery-id and delivery-tag');
    }
    if (!this.#credit.take()) return this.#fail(Condition.transferLimitExceeded, 'a delivery for which there was no credit');
    // [AMQP 2.7.5] Of several frames it is known at the last whether it counts.
    if (!transfer.more && this.#isIllegalSecond(transfer)) return this.#failSecond();
    if (this.#resumesOnly && !transfer.resume) return this.#fail(Condition.notAllowed, 'a new delivery while not all have been resumed'); // [AMQP 2.7.3]
    if (transfer.aborted) return this.#aborted();
    if (end - start > this.#server.options.maxMessageBytes) return this.#tooLarge();
    if (transfer.more) return this.#begin(transfer, bytes, start, end);
    const tag = this.#settlesSecond || transfer.resume ? deliveryTagOf(bytes, transfer) : '';
    if (transfer.resume) this.#resume(session, transfer.deliveryId, tag, transfer.settled);
    else this.#deliver(session, transfer, transfer.deliveryId, tag, transfer.settled, bytes, start, end);
    if (this.#routingFault !== undefined) return this.#failRouting(deliveryTagOf(bytes, transfer));
    this.#replenish();
  }

  /** [AMQP 2.6.7] The link was not answered: nothing was granted. */
  #tooEarly(): void {
    if (!this.#over) this.#fail(Condition.transferLimitExceeded, 'a delivery before there was any credit');
  }

  onDisposition(key: number, _deliveryId: number, settled: boolean): boolean {
    const partial = this.#partial;
    if (partial?.deliveryId === key) {
      partial.settled ||= settled; // [AMQP 2.7.6] of a delivery that is not whole yet
      return settled;
    }
    const second = this.#seconds?.get(key);
    if (second === undefined || !settled) return false;
    if (second.answered) this.#forgetSecond(key, second);
    else second.settledByPeer = true; // the broker's answer will find it so
    return true;
  }

  onDetach({ closed }: Detach): void {
    // A link that is closed leaves nothing behind; one that is detached keeps what its terminus promises [AMQP 2.6.4].
    this.#leave(closed === true ? 0 : undefined);
  }

  onSessionEnd(_end: SessionEnd): void {
    this.#leave(undefined);
  }

  // ---- From the broker

  attached(outcome: Outcome, session: Session | undefined): void {
    if (this.#over) return session?.detach(false);
    if (outcome !== Outcome.accepted || session === undefined) {
      this.#over = true;
      return this.#host.refuse(wordsOf(outcome));
    }
    this.#session = session;
    const { taken, forgotten } = acceptedTags(this.#host.asked.unsettled, this.#host.asked.incompleteUnsettled, session.publishedTags());
    if (taken.size > 0) this.#taken = taken;
    this.#resumesOnly = !this.#host.attach(answerOf(this.#host, this.#node, taken));
    // The peer has settled them, or has lost them: either way it will not send them again.
    if (forgotten.length > 0) this.#host.atEnd(() => forgotten.forEach((tag) => this.#session?.release(0, tag)));
    this.#grant();
  }

  published(token: number, outcome: Outcome): void {
    this.#credit.waiting--;
    this.#answer(token, outcome);
    this.#replenish();
  }

  released(): void {}

  hold(on: boolean): void {
    this.#holdReading(on);
    if (!on) this.#replenish();
  }

  detached(reason: CloseReason): void {
    this.#session = undefined;
    this.#over = true;
    this.#dropPartial();
    this.#holdReading(false);
    // Whoever steals a link has its terminus now [AMQP 2.6.1].
    this.#host.detach(true, detachWords[reason]);
    if (this.#node.temporary !== undefined) this.#host.atEnd(() => this.#removeNode());
  }

  // Nothing is ever delivered to it.
  send(): boolean {
    return false;
  }
  transfer(): boolean {
    return false;
  }
  releaseDelivery(): void {}
  subscribed(): void {}
  unsubscribed(): void {}

  // ---- Deliveries in several frames

  #begin(transfer: TransferFields, bytes: Uint8Array, start: number, end: number): void {
    const { deliveryId, messageFormat, rcvSettleMode, resume } = transfer;
    const partial = new PartialDelivery(deliveryId, deliveryTagOf(bytes, transfer), messageFormat, rcvSettleMode, resume);
    partial.settled = transfer.settled;
    if (!partial.settled) this.#host.session.receivedUnsettled(this, deliveryId, deliveryId);
    partial.state = keptState(transfer.state);
    if (transfer.state?.type === 'transactional-state') {
      const transaction = this.#host.transactions.find(transfer.state.txnId);
      if (!(transaction instanceof AmqpFault)) partial.transaction = transaction;
      if (partial.transaction !== undefined) partial.transaction.partials++;
    }
    partial.append(bytes, start, end, this.#server.options.maxMessageBytes);
    this.#partial = partial;
    this.#keep(end - start);
  }

  #continue(session: Session, partial: PartialDelivery, transfer: TransferFields, bytes: Uint8Array, start: number, end: number): void {
    const otherId = transfer.deliveryId >= 0 && transfer.deliveryId !== partial.deliveryId;
    const otherFormat = transfer.messageFormat >= 0 && transfer.messageFormat !== Math.max(0, partial.messageFormat);
    if (otherId || otherFormat || (transfer.tagStart >= 0 && deliveryTagOf(bytes, transfer) !== partial.tag)) {
      return this.#fail(Condition.invalidField, 'a delivery begins within another one'); // [AMQP 2.6.14]
    }
    if (transfer.aborted) {
      this.#dropPartial();
      return this.#aborted();
    }
    const { maxMessageBytes } = this.#server.options;
    if (partial.length + end - start > maxMessageBytes) return this.#tooLarge();
    // [AMQP 2.7.5] Settled once said stays said; the last state counts.
    partial.settled ||= transfer.settled;
    partial.state = keptState(transfer.state) ?? partial.state;
    partial.append(bytes, start, end, maxMessageBytes);
    if (transfer.more) return this.#keep(end - start);
    this.#host.keepBytes(end - start);
    this.#dropPartial();
    if (this.#isIllegalSecond(partial)) return this.#failSecond();
    const { deliveryId, tag, settled } = partial;
    if (partial.resume) this.#resume(session, deliveryId, tag, settled);
    else this.#deliver(session, partial, deliveryId, tag, settled, partial.bytes, 0, partial.length);
    if (this.#routingFault !== undefined) return this.#failRouting(tag);
    this.#replenish();
  }

  /** [AMQP 2.7.5] Settled second on a link that is settled first; of what is sent settled the mode is ignored. */
  #isIllegalSecond({ rcvSettleMode, settled }: Pick<TransferFields, 'rcvSettleMode' | 'settled'>): boolean {
    return rcvSettleMode === ReceiverSettleMode.second && !settled && !this.#settlesSecond;
  }

  #failSecond(): void {
    this.#fail(Condition.invalidField, 'a delivery settled second on a link that is settled first');
  }

  #keep(bytes: number): void {
    if (!this.#host.keepBytes(bytes)) this.#fail(Condition.resourceLimitExceeded, 'too many bytes of messages that are not whole');
  }

  /** No more credit; and as what was granted may be gigabytes, nothing is read. */
  #holdReading(on: boolean): void {
    if (this.#credit.held === on) return;
    this.#credit.held = on;
    this.#host.holdReading(on);
  }

  #dropPartial(): void {
    const partial = this.#partial;
    this.#partial = undefined;
    if (partial === undefined) return;
    this.#host.keepBytes(-partial.length);
    this.#host.session.forget('received', partial.deliveryId);
    if (partial.transaction !== undefined) partial.transaction.partials--;
  }

  #aborted(): void {
    this.#server.counters.aborted++;
    this.#replenish();
  }

  #tooLarge(): void {
    this.#fail(Condition.messageSizeExceeded, `a message of more than ${this.#server.options.maxMessageBytes} bytes`);
  }

  // ---- To the broker

  #deliver(
    session: Session,
    { messageFormat, rcvSettleMode, state }: Pick<TransferFields, 'messageFormat' | 'rcvSettleMode' | 'state'>,
    deliveryId: number,
    tag: string,
    settled: boolean,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const second = !settled && this.#settlesSecond && rcvSettleMode !== ReceiverSettleMode.first;
    if (second) this.#remember(deliveryId, tag);
    const { options, clock } = this.#server;
    const nowMs = clock.wallMs();
    const format = messageFormat < 0 ? 0 : messageFormat;
    const fault = incoming.read(bytes, start, end, format, nowMs, options.plainAddress, this.#addresses !== undefined);
    if (fault !== undefined) return this.#refuse(deliveryId, settled, fault);
    const known = this.#addressOf(session);
    if (known instanceof AmqpFault) return this.#notRouted(deliveryId, settled, known);
    if (known.version !== session.addressVersion) known.renew(session);
    if (known.outcome !== Outcome.accepted) return this.#notRouted(deliveryId, settled, wordsOf(known.outcome));
    if (incoming.retain && !known.mayRetain(this.#server, session)) {
      return this.#refuse(deliveryId, settled, wordsOf(Outcome.notAuthorized));
    }
    const { address } = known;
    const message = new Message(
      address.topic,
      address.topicBytes,
      bytes,
      incoming.payloadStart,
      incoming.payloadEnd,
      settled ? 0 : second ? 2 : 1,
      incoming.retain,
      incoming.priority,
      incoming.expiresAtMs,
      nowMs,
      session.principal.id,
      incoming.attributes,
    );
    if (state?.type === 'transactional-state') return this.#post(session, known, message, deliveryId, settled, state);
    if (settled) {
      if (session.publish(address, message, 0) > Outcome.pending) this.#server.counters.publishesDropped++;
      return;
    }
    const outcome = session.publish(address, message, deliveryId, second ? tag : undefined);
    if (outcome === Outcome.pending) this.#credit.waiting++;
    else this.#answer(deliveryId, outcome);
  }

  #addressOf(session: Session): KnownAddress | AmqpFault {
    const node = this.#node;
    if (node.kind === 'topic') return (this.#known ??= new KnownAddress(session, node.topic));
    if (incoming.to === undefined) return new AmqpFault(Condition.invalidField, 'a message to nowhere: `to` is missing');
    return this.#addresses!.find(session, incoming.to, incoming.toType);
  }

  /** [AMQP 4.4.1] */
  #post(
    session: Session,
    { address }: KnownAddress,
    message: Message,
    deliveryId: number,
    settled: boolean,
    { txnId }: TransactionalState,
  ): void {
    const transaction = this.#host.transactions.find(txnId);
    if (transaction instanceof AmqpFault) return this.#refuse(deliveryId, settled, transaction);
    const outcome = transaction.publish(session, address, message.kept());
    if (outcome > Outcome.noSubscribers) return this.#refuse(deliveryId, settled, wordsOf(outcome));
    if (!settled) this.#say(deliveryId, { type: 'transactional-state', txnId, outcome: acceptedState }, false);
  }

  /** [AMQP 2.6.13] The peer comes back to a delivery of an earlier connection. One that we do not know it must not resume: ignored. */
  #resume(session: Session, deliveryId: number, tag: string, settled: boolean): void {
    if (this.#taken?.has(tag) !== true) return;
    this.#taken.delete(tag);
    this.#server.counters.resumed++;
    if (settled) {
      session.release(deliveryId, tag);
      return;
    }
    this.#remember(deliveryId, tag);
    this.#answer(deliveryId, Outcome.accepted);
  }

  // ---- Answers

  #answer(deliveryId: number, outcome: Outcome): void {
    if (outcome <= Outcome.noSubscribers) return this.#say(deliveryId, acceptedState, true);
    if (outcome === Outcome.unavailable) {
      this.#server.counters.released++;
      return this.#say(deliveryId, releasedState, false);
    }
    this.#refuse(deliveryId, false, wordsOf(outcome));
  }

  #refuse(deliveryId: number, settled: boolean, { condition, message }: Words | AmqpFault): void {
    if (settled) {
      this.#server.counters.publishesDropped++;
      return;
    }
    countName(this.#server.counters.rejected, condition);
    // Perhaps a call of the broker's.
    if (!this.#takesRejected) return this.#host.atEnd(() => this.#fail(condition, message));
    this.#say(deliveryId, { type: 'rejected', error: { type: 'error', condition, description: message } }, false);
  }

  /** A message that says where to and cannot go there: its sender must learn of it [Anonymous Terminus 1.0 2.2.2]. */
  #notRouted(deliveryId: number, settled: boolean, fault: Words | AmqpFault): void {
    if (this.#addresses === undefined || (!settled && this.#takesRejected)) return this.#refuse(deliveryId, settled, fault);
    this.#routingFault = fault;
  }

  #failRouting(tag: string): void {
    const { condition, message } = this.#routingFault!;
    const info: Fields = new Map([['delivery-tag', { type: 'binary', value: Buffer.from(tag, 'latin1') }]]);
    this.#host.detach(true, { condition, message, info });
    this.#leave(undefined);
  }

  /** `published`: the broker has it, and knows it by its tag if its sender settles first. */
  #say(deliveryId: number, state: DeliveryState, published: boolean): void {
    if (!this.#host.isAttached) return;
    const second = this.#seconds?.get(deliveryId);
    if (second === undefined) return this.#host.session.disposition('received', deliveryId, true, state);
    second.answered = true;
    second.published = published;
    if (!second.settledByPeer) return this.#host.session.disposition('received', deliveryId, false, state);
    // This may be a call of the broker's.
    this.#host.atEnd(() => this.#forgetSecond(deliveryId, second));
  }

  #remember(deliveryId: number, tag: string): void {
    (this.#seconds ??= new Map()).set(deliveryId, { tag, answered: false, published: false, settledByPeer: false });
    this.#host.session.receivedUnsettled(this, deliveryId, deliveryId);
  }

  #forgetSecond(deliveryId: number, { tag, published }: Second): void {
    this.#seconds?.delete(deliveryId);
    if (published) this.#session?.release(deliveryId, tag);
    this.#replenish();
  }

  // ---- Credit

  /** At the end of the turn, so that outcomes which come together are one flow. */
  #replenish(): void {
    if (this.#grantArranged || this.#credit.toGrant(this.#room) < 0) return;
    this.#grantArranged = true;
    this.#host.atEnd(this.#grant);
  }

  readonly #grant = (): void => {
    this.#grantArranged = false;
    const granted = this.#credit.toGrant(this.#room);
    if (granted >= 0) this.#tellCredit(granted);
  };

  /** What the peer has not settled takes room, too. */
  get #room(): number {
    const { linkCredit, maxUnsettledPerLink } = this.#server.options;
    if (!this.#settlesSecond) return linkCredit;
    const unsettled = (this.#seconds?.size ?? 0) + (this.#taken?.size ?? 0);
    return Math.min(linkCredit, maxUnsettledPerLink - unsettled + this.#credit.waiting);
  }

  #tellCredit(linkCredit: number): void {
    this.#credit.credit = linkCredit;
    this.#host.flow({ deliveryCount: this.#credit.deliveryCount, linkCredit });
  }

  // ---- The end

  #fail(condition: Condition, message: string): void {
    this.#host.detach(true, { condition, message });
    this.#leave(undefined);
  }

  #leave(sessionExpiryMs: number | undefined): void {
    const session = this.#session;
    this.#session = undefined;
    this.#over = true;
    this.#dropPartial();
    this.#holdReading(false);
    this.#credit.closed = true;
    this.#removeNode();
    session?.detach(false, sessionExpiryMs);
  }

  #removeNode(): void {
    const { temporary } = this.#node;
    if (temporary === undefined || this.#host.connectionIsGone) return;
    this.#host.connectionSession.removeTemporary(temporary);
  }
}

/** Of a delivery that is not whole only what counts at its end is kept: a state may be as large as a frame. */
function keptState(state: DeliveryState | undefined): DeliveryState | undefined {
  if (state === undefined) return undefined;
  return state.type === 'transactional-state' ? { type: 'transactional-state', txnId: state.txnId } : acceptedState;
}
