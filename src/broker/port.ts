// What a protocol may ask of the broker, and what it must be able to do for it. Everything here is protocol-neutral; nothing
// in the broker knows a packet, a frame or a socket.
//
// The order of calls is the promise: a positive outcome reaches a protocol only when what it acknowledges is as durable as the
// journal says. `Outcome.pending` means "not yet": the consumer is told later, with the token that came with the request.

import type { Property } from '../message/attributes.ts';
import type { Guarantee, Message } from '../message/message.ts';
import type { Principal } from '../security/security.ts';

/** What became of a request (docs/mapping.md §4). Small integers, because the hot path compares them. */
export const Outcome = {
  /** Stored, or handed to everyone who listens. */
  accepted: 0,
  /** Fine, but nobody listens. */
  noSubscribers: 1,
  /** The answer comes later by the token. */
  pending: 2,
  notAuthorized: 3,
  topicInvalid: 4,
  filterInvalid: 5,
  payloadFormatInvalid: 6,
  tooLarge: 7,
  /** A queue is full and its policy is to reject, or a quota is used up. */
  quotaExceeded: 8,
  /** The store cannot take it now, or the node is draining. */
  unavailable: 9,
  /** Shared subscriptions are not possible here. */
  notSupported: 10,
  /** An unsubscribe for what was not subscribed. */
  noSubscription: 11,
  /** A selector that cannot be read (message/selector). */
  selectorInvalid: 12,
  /** Another consumer has it to itself. */
  inUse: 13,
  notFound: 14,
  /** The transaction is over: it took too long, or one of its messages could not be taken. */
  aborted: 15,
} as const;
export type Outcome = (typeof Outcome)[keyof typeof Outcome];

/** Why the broker ends a connection. The protocol says it in its own words. */
export type CloseReason =
  /** Another connection took the session over. */
  | 'takenOver'
  /** An operator asked for it, or the principal was revoked. */
  | 'administrative'
  /** The node is going down. */
  | 'shuttingDown'
  /** The session's store failed. */
  | 'unavailable';

/** A topic as one session may publish to it: checked, authorized and routed once, used for every message. */
export interface Address {
  readonly topic: string;
  /** UTF-8 of `topic`, owned by the address. */
  readonly topicBytes: Uint8Array;
  /** accepted, notAuthorized or topicInvalid. */
  readonly outcome: Outcome;
}

export type SubscribeRequest = {
  /** As the peer wrote it, with `$share/group/` or `$queue/` in front where it did. */
  readonly filter: string;
  readonly guarantee: Guarantee;
  /** Do not deliver to this session what it published itself. */
  readonly noLocal: boolean;
  /** Deliver the retain flag as the publisher set it. */
  readonly retainAsPublished: boolean;
  /** Which last values to deliver now: all, only if the subscription is new, none. */
  readonly retainHandling: 'always' | 'ifNew' | 'never';
  /** 0: none. */
  readonly subscriptionId: number;
  /** Only messages for which this JMS selector (message/selector) is true. */
  readonly selector?: string;
  /** Of a queue: show what waits, oldest first, and take nothing. Each is sent at most once, never settled; see Consumer.browsed. */
  readonly browse?: boolean;
  /** To consume a queue alone: refused (`inUse`) while others do, and others are refused while this one does. */
  readonly exclusive?: boolean;
  /** The last values there are, and nothing that comes later. */
  readonly retainedOnly?: boolean;
  /**
   * How long a shared subscription outlives its last member. Absent: 0. Infinity: until `unsubscribe` by its last member, or by
   * any session when it has none.
   */
  readonly sharedExpiryMs?: number;
};

export type Will = {
  readonly message: Message;
  /** How long after the connection is lost it is published. */
  readonly delayMs: number;
};

export type AttachRequest = {
  readonly principal: Principal;
  /** Names the session within the tenant. Chosen by the peer, or by the protocol for it. */
  readonly clientId: string;
  /** What Security was asked of for `connect`, and is asked of again; absent: `clientId`. */
  readonly connectsAs?: string;
  readonly protocol: string;
  readonly remoteAddress: string;
  readonly listener: string;
  /** Forget an earlier session of this name. */
  readonly cleanStart: boolean;
  /** How long the session outlives its connection; 0: not at all, Infinity: for ever. Above 0 the session is durable. */
  readonly sessionExpiryMs: number;
  /** A session that is there already keeps the expiry that it has; the one above is that of a new one. */
  readonly keepsExpiry?: boolean;
  readonly will: Will | undefined;
  /** Its protocol has an answer for a publish that is refused. Absent: it has. */
  readonly canRefuse?: boolean;
  /** Most deliveries above at-most-once that may be unsettled at a time. 1 to 65,535. */
  readonly receiveMaximum: number;
  /** Messages whose encoding in the peer's protocol is larger are not sent to it; see Consumer.transfer. */
  readonly maxPacketBytes: number;
  /**
   * The session of the connection that this one is a part of: an AMQP link is a session of its own, and its connection another
   * one. A part is no connection of its own for quotas and lists, belongs to the same principal, and what its siblings publish is
   * its own for `noLocal`. When the connection's session is expelled its parts are, before it; when it is detached what is left of
   * them is, too, without a word.
   */
  readonly partOf?: Session;
  /** What is delivered at most once waits in the inbox while the consumer is congested (has no credit), within its limits. */
  readonly queuesAtMostOnce?: boolean;
  /** What is rejected, or fails too often, goes to the dead-letter queue instead of being dropped. Queues have a setting for it. */
  readonly deadLetters?: boolean;
};

/** The protocol's side of an attached session. Every method is called from the broker and must not call back into it. */
export interface Consumer {
  /** More deliveries now would only pile up in memory: the broker keeps them queued until `Session.resume`. */
  readonly congested: boolean;
  /**
   * How many deliveries it can take now. Absent: as many as `receiveMaximum` lets it have unsettled. Exactly-once deliveries are
   * assigned before they are sent, and so not more of them than this.
   */
  readonly credit?: number;

  /**
   * The answer to BrokerPort.attach. `session` is absent when the outcome is not `accepted`. Deliveries may follow at once,
   * but not before this returns. A consumer whose connection ended in the meantime must detach the session here.
   */
  attached(outcome: Outcome, session: Session | undefined, sessionPresent: boolean): void;

  /**
   * Delivers at most once. Returns false when the message was dropped instead: the peer's output is over its limit, or the
   * packet would be larger than the peer allows.
   */
  send(message: Message, retained: boolean, subscriptionIds: readonly number[] | undefined): boolean;

  /**
   * Delivers at least or exactly once; the peer's answer comes back by Session.settle with the same `deliveryId` (1 to
   * 65,535). Returns false when the packet would be larger than the peer allows: the broker drops the message, counted.
   */
  transfer(
    deliveryId: number,
    guarantee: 1 | 2,
    message: Message,
    retained: boolean,
    redelivered: boolean,
    subscriptionIds: readonly number[] | undefined,
    /** Names the delivery for as long as its queue exists, across connections and restarts. */
    position: number,
    /** How often delivering it has failed before. */
    deliveryCount: number,
  ): boolean;

  /** Tells the peer that an exactly-once delivery it has received may be forgotten (MQTT PUBREL). May be repeated. */
  releaseDelivery(deliveryId: number): void;

  /** Answers Session.drain: nothing that waits could be sent now. */
  drained?(): void;
  /** A browsing subscription has shown all there was. */
  browsed?(): void;

  /** A publish that was pending is decided. */
  published(token: number, outcome: Outcome): void;
  /** A release of a received exactly-once message (Session.release) that was pending is durable. */
  released(token: number): void;
  /** Answers Session.subscribe; outcome `accepted` carries the granted guarantee. Retained messages follow afterwards. */
  subscribed(token: number, results: readonly SubscribeResult[]): void;
  unsubscribed(token: number, outcomes: readonly Outcome[]): void;
  /** The principal may not have these subscriptions any more: they are gone. May come at any time, also before `attached`. */
  revoked?(filters: readonly string[]): void;

  /**
   * Hold the peer back: stop reading from it until called with false. The broker does this to publishers while the journal is
   * behind, and lifts it by itself.
   */
  hold(on: boolean): void;

  /**
   * The session no longer belongs to this connection: say why to the peer and close. No call to the session may follow. May
   * come before `attached`, which is then never called.
   */
  detached(reason: CloseReason): void;
}

export type SubscribedFilter = Pick<SubscribeRequest, 'filter' | 'guarantee' | 'noLocal' | 'selector'>;

export type SubscribeResult = { readonly outcome: Outcome; readonly guarantee: Guarantee };

/** What the peer says of a delivery. */
export type Settlement =
  /** It has the message (PUBACK below 0x80; for exactly-once: PUBCOMP). */
  | 'accepted'
  /** It has taken responsibility for an exactly-once message and waits for the release (PUBREC below 0x80). */
  | 'received'
  /** It refuses the message (reason code 0x80 or above): to the dead-letter queue if there is one, else dropped, counted. */
  | 'rejected'
  /** It gives it back as if it had never been sent: to the same place in its queue, for whoever is next. */
  | 'released'
  /** It gives it back with what `detail` says. */
  | 'modified';

/** What comes with `rejected` and `modified`. */
export type SettlementDetail = {
  /** The attempt counts (Consumer.transfer, deliveryCount); one too many, and the message is dead. */
  readonly deliveryFailed?: boolean;
  /** This session is not to get it again; when nobody else can, it is dead. */
  readonly undeliverableHere?: boolean;
  /** Why it was rejected, in the words of the peer: goes with the message to the dead-letter queue. */
  readonly reason?: { readonly condition: string; readonly description: string | undefined };
  /** To be merged into what the message carries (AMQP message annotations). */
  readonly annotations?: readonly Property[];
};

/** A delivery that peer and broker may both know of; see Session.unsettled. */
export type UnsettledDelivery = {
  readonly deliveryId: number;
  /** See Consumer.transfer. */
  readonly position: number;
  readonly guarantee: 1 | 2;
  /** 'received': the peer has said so, and it is, or will be, durable. */
  readonly state: 'sent' | 'received';
};

/** A peer's hold on its session: lives from `attached` to `detach` or Consumer.detached. */
export interface Session {
  readonly clientId: string;
  readonly sessionExpiryMs: number;
  /** As it is known now: what is known of it may change while it is connected. */
  readonly principal: Principal;

  /** The peer has proved anew that it is the same one: this is what is known of it from now on. */
  renew(principal: Principal): void;

  /** Checks and routes a topic for publishing. Cheap to call again; callers cache it until `addressVersion` moves. */
  address(topic: string, topicBytes: Uint8Array): Address;
  /** Moves when addresses obtained earlier must be asked for again (policies or the principal changed). */
  readonly addressVersion: number;

  /**
   * Publishes. `token` is any number the consumer wants back if the outcome is `pending`.
   * For an exactly-once message the token is the peer's packet id and must be 1 to 65,535: the same id published again before
   * its release is recognised as a repetition, stored once, and answered like the first. Where the peer names messages by a tag
   * instead (AMQP: up to 32 bytes, one character each), the tag is what is recognised, and the token any number.
   */
  publish(address: Address, message: Message, token: number, tag?: string): Outcome;

  /** The peer releases an exactly-once message it published (PUBREL). Returns accepted, pending (see Consumer.released), or noSubscription when the id is unknown. */
  release(token: number, tag?: string): Outcome;

  /** Tags of the exactly-once messages that were published with one, are durable, and not released. */
  publishedTags(): readonly string[];

  /** Always answered by Consumer.subscribed, possibly before this returns. */
  subscribe(requests: readonly SubscribeRequest[], token: number): void;
  /** What it is subscribed to: by a peer that was here before, too. */
  subscribed(): readonly SubscribedFilter[];
  /** The shared subscriptions of a group that there are, whoever made them: as they are subscribed to. */
  sharedFilters(group: string): readonly string[];
  /**
   * The last value of one topic, as `subscribe` to it would deliver it. Answers now or later: accepted with the message, or without
   * one when there is none; notAuthorized, topicInvalid, unavailable. The message is only valid during the call.
   */
  lastValue(topic: string, answer: (outcome: Outcome, message: Message | undefined) => void): void;
  /** Always answered by Consumer.unsubscribed, possibly before this returns. */
  unsubscribe(filters: readonly string[], token: number): void;

  /**
   * Returns false when no such delivery is outstanding in a state that this settlement fits. May be called from within
   * Consumer.attached, for what a peer says when it comes back; what is not settled there is sent again.
   */
  settle(deliveryId: number, settlement: Settlement, detail?: SettlementDetail): boolean;

  /** What was sent and is not settled, in the order in which it was sent first. */
  unsettled(): readonly UnsettledDelivery[];

  /** The consumer is no longer congested. */
  resume(): void;

  /** Like `resume`; answered by Consumer.drained when nothing more could be sent, possibly before this returns. */
  drain(): void;

  /**
   * A queue that only this principal may consume, not journaled, or a topic that only it may subscribe to; gone with this session's
   * connection or by `removeTemporary`. Returns the queue's name (as in `$queue/<name>`), or the topic: nobody can guess it. Undefined
   * when there are too many.
   */
  createTemporary(kind: 'queue' | 'topic'): string | undefined;
  removeTemporary(name: string): void;

  /** Begins a transaction. `aborted` is called when the broker ends it: its time is over. An outcome: it cannot be begun. */
  begin(aborted: () => void): Transaction | Outcome;

  /**
   * The connection is over. `publishWill`: the peer did not say goodbye (or asked for its will). `sessionExpiryMs` replaces
   * the one given at attach when the peer changed its mind.
   */
  detach(publishWill: boolean, sessionExpiryMs?: number): void;
}

/**
 * Messages to publish and deliveries to settle, of the sessions of one connection, that happen together or not at all: in one row
 * of the journal. Over when it was committed or rolled back; `detach` of the session that began it rolls it back.
 */
export interface Transaction {
  /**
   * Takes the message for later. Returns `accepted` when it is admitted as far as can be known now, or why not: then the
   * transaction can only be rolled back. The message is kept as it is: the caller has made it its own (Message.kept).
   */
  publish(session: Session, address: Address, message: Message): Outcome;
  /** Settles when it commits. Until then the delivery stays with the session. Returns false when there is no such delivery. */
  settle(session: Session, deliveryId: number, settlement: Settlement, detail?: SettlementDetail): boolean;
  /** Answers `accepted` when all of it is durable, else why nothing of it has happened. */
  commit(answer: (outcome: Outcome) => void): void;
  /** The deliveries settled in it are unsettled again. */
  rollback(): void;
}

export interface BrokerPort {
  /** Opens or resumes a session; answered by Consumer.attached, possibly before this returns. */
  attach(request: AttachRequest, consumer: Consumer): void;
}
