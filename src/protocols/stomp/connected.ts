// A client whose CONNECT was accepted: what its frames do. Nothing here writes a RECEIPT but when what it is for has been done, and is
// as durable as the broker promises.

import { Outcome, type Session } from '../../broker/port.ts';
import { Message } from '../../message/message.ts';
import type { Principal } from '../../security/security.ts';
import type { WireFacts } from '../protocol.ts';
import { type Frame, StompFault } from './codec/index.ts';
import { toNeutral } from './convert.ts';
import { KnownDestinations } from './known-destinations.ts';
import type { PeerWriter } from './peer-writer.ts';
import { outcomeFault } from './reasons.ts';
import type { StompServer } from './server.ts';
import { missing, type Subscriber, subscribeTerms } from './subscribe-terms.ts';
import { Subscription, type SubscriptionHost } from './subscription.ts';
import type { Terms } from './terms.ts';
import { type OpenTransaction, Transactions } from './transactions.ts';

/** What it may do to its connection. */
export type Door = {
  /** Ends the connection, if it is still open. May be called by the broker. `receipt`: that the frame at fault asked for. */
  fail(fault: StompFault, receipt?: string): void;
  /** The client may go on sending: what it waited for is there. */
  ready(): void;
  /** The client has said goodbye, and everything is done. */
  leave(receipt: string | undefined): void;
};

const failed = { deliveryFailed: true };

export class Connected implements SubscriptionHost {
  readonly kind = 'connected';
  readonly session: Session;
  readonly terms: Terms;
  readonly #server: StompServer;
  readonly #writer: PeerWriter;
  readonly #door: Door;
  readonly #subscriber: Subscriber;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #byNumber = new Map<number, Subscription>();
  #nextNumber = 1;
  readonly #transactions: Transactions;
  readonly #destinations: KnownDestinations;
  /** Publishes that wait for the broker, with the receipt that is owed for them. */
  readonly #publishes = new Map<number, string | undefined>();
  #nextToken = 1;
  #commits = 0;
  /** The last one that was asked for. */
  #opening: Subscription | undefined = undefined;
  #goodbye: { readonly receipt: string | undefined } | undefined = undefined;

  constructor(
    server: StompServer,
    writer: PeerWriter,
    session: Session,
    terms: Terms,
    principal: Principal,
    facts: WireFacts,
    serial: number,
    door: Door,
  ) {
    this.#server = server;
    this.#writer = writer;
    this.session = session;
    this.terms = terms;
    this.#door = door;
    this.#subscriber = { terms, principal, facts, session, serial };
    this.#transactions = new Transactions(server, session);
    this.#destinations = new KnownDestinations(server, session);
  }

  /** A SUBSCRIBE is not answered, or the client has said goodbye: nothing more is taken now. */
  get isStalled(): boolean {
    return this.#goodbye !== undefined || this.#opening?.isReady === false;
  }

  /** Frames that wait for the broker. */
  get waiting(): number {
    return this.#publishes.size + this.#commits;
  }

  /** Any frame but CONNECT. Returns why the connection must end, if it must. */
  frame(frame: Frame): StompFault | undefined {
    const receipt = frame.get('receipt');
    // STOMP 1.2, Body: only SEND, MESSAGE and ERROR may have one.
    if (frame.command !== 'SEND' && frame.bodyBytes > 0) return new StompFault('malformed frame', `${frame.command} has no body`);
    switch (frame.command) {
      case 'SEND':
        return this.#send(frame, receipt);
      case 'SUBSCRIBE':
        return this.#subscribe(frame, receipt);
      case 'UNSUBSCRIBE':
        return this.#unsubscribe(frame) ?? this.#done(receipt);
      case 'ACK':
        return this.#acknowledge(frame, receipt, true);
      case 'NACK':
        if (this.terms.version === '1.0') break;
        return this.#acknowledge(frame, receipt, false);
      case 'BEGIN':
      case 'COMMIT':
      case 'ABORT':
        return this.#transact(frame.command, frame.get('transaction'), receipt);
      case 'DISCONNECT':
        this.#goodbye = { receipt };
        this.#leaveWhenDone();
        return undefined;
      default:
    }
    return new StompFault('unexpected frame', 'there is no such frame from a client, or not now');
  }

  onDrained(): void {
    for (const subscription of this.#subscriptions.values()) subscription.onWritable();
  }

  /** The connection is over. */
  close(): void {
    this.#server.counters.subscriptions -= this.#subscriptions.size;
    for (const subscription of this.#subscriptions.values()) subscription.leave();
    this.#subscriptions.clear();
    this.#byNumber.clear();
    this.#transactions.close();
  }

  #done(receipt: string | undefined): undefined {
    if (receipt !== undefined) this.#writer.receipt(receipt);
  }

  // ---- SEND

  #send(frame: Frame, receipt: string | undefined): StompFault | undefined {
    const destination = frame.get('destination');
    if (destination === undefined) return missing('SEND', 'destination');
    const known = this.#destinations.find(destination);
    const { address } = known;
    if (address.outcome !== Outcome.accepted) return this.#refused('SEND', address.outcome);
    const fields = toNeutral(frame.headers);
    if (fields instanceof StompFault) return fields;
    if (fields.retain && !this.#destinations.mayRetain(known)) return this.#refused('SEND', Outcome.notAuthorized);
    const { topic, topicBytes } = address;
    const { guarantee, retain, priority, expiresAtMs, attributes } = fields;
    const nowMs = this.#server.parts.clock.wallMs();
    const sender = this.session.principal.id;
    const { buffer, start, end } = frame;
    const message = new Message(topic, topicBytes, buffer, start, end, guarantee, retain, priority, expiresAtMs, nowMs, sender, attributes);
    const name = frame.get('transaction');
    if (name !== undefined) {
      const transaction = this.#transactions.find(name);
      if (transaction instanceof StompFault) return transaction;
      const outcome = transaction.publish(this.session, address, message);
      return outcome === Outcome.accepted ? this.#done(receipt) : this.#refused('SEND', outcome);
    }
    const token = this.#nextToken;
    this.#nextToken = (token % 0x3fff_ffff) + 1;
    const outcome = this.session.publish(address, message, token);
    if (outcome === Outcome.pending && guarantee > 0) {
      this.#publishes.set(token, receipt);
      return undefined;
    }
    return outcome <= Outcome.pending ? this.#done(receipt) : this.#refused('SEND', outcome);
  }

  /** See Consumer.published. */
  published(token: number, outcome: Outcome): void {
    if (!this.#publishes.has(token)) return;
    const receipt = this.#publishes.get(token);
    this.#publishes.delete(token);
    if (outcome > Outcome.pending) return this.#door.fail(this.#refused('SEND', outcome), receipt);
    this.#done(receipt);
    this.#leaveWhenDone();
  }

  /** STOMP 1.2, SEND: what cannot be done ends the connection with an ERROR. */
  #refused(command: string, outcome: Outcome): StompFault {
    this.#server.counters.refused++;
    return outcomeFault(command, outcome);
  }

  // ---- SUBSCRIBE

  #subscribe(frame: Frame, receipt: string | undefined): StompFault | undefined {
    const { options } = this.#server;
    const terms = subscribeTerms(frame, this.#subscriber, options);
    if (terms instanceof StompFault) return terms;
    if (this.#subscriptions.has(terms.id)) return new StompFault('bad id', 'there is a subscription of this id');
    if (this.#subscriptions.size >= options.maxSubscriptions) {
      return new StompFault('too many subscriptions', `a connection has at most ${options.maxSubscriptions}`);
    }
    const subscription = new Subscription(this.#server, this.#writer, this, terms, this.#nextNumber++, receipt);
    this.#subscriptions.set(terms.id, subscription);
    this.#byNumber.set(subscription.number, subscription);
    this.#server.counters.subscriptions++;
    // What follows may rely on it.
    this.#opening = subscription;
    subscription.open();
    return undefined;
  }

  subscribed({ receipt }: Subscription): void {
    this.#done(receipt);
    this.#door.ready();
  }

  fail(fault: StompFault, receipt?: string): void {
    this.#door.fail(fault, receipt);
  }

  #unsubscribe(frame: Frame): StompFault | undefined {
    const id = frame.get('id') ?? (this.terms.version === '1.0' ? frame.get('destination') : undefined);
    if (id === undefined) return missing('UNSUBSCRIBE', 'id');
    const subscription = this.#subscriptions.get(id);
    if (subscription === undefined) return new StompFault('unknown subscription', 'there is no subscription of this id');
    this.#subscriptions.delete(id);
    this.#byNumber.delete(subscription.number);
    this.#server.counters.subscriptions--;
    subscription.close(frame.get('durable') === 'true');
    return undefined;
  }

  // ---- ACK and NACK

  #acknowledge(frame: Frame, receipt: string | undefined, isPositive: boolean): StompFault | undefined {
    const found = this.#messageOf(frame);
    if (found instanceof StompFault) return found;
    const name = frame.get('transaction');
    const transaction = name === undefined ? undefined : this.#transactions.find(name);
    if (transaction instanceof StompFault) return transaction;
    // Of a subscription that is over there is nothing to settle: its messages went back with it.
    const { subscription, number } = found;
    if (subscription === undefined) return this.#done(receipt);
    // Not durable by itself when it is said: only a commit tells when it is.
    const single = transaction === undefined && receipt !== undefined ? this.#transactions.anonymous() : undefined;
    if (single instanceof StompFault) return single;
    const refuses = frame.get('requeue') === 'false';
    const settlement = isPositive ? 'accepted' : refuses ? 'rejected' : 'modified';
    const settled = subscription.settle(number, settlement, isPositive || refuses ? undefined : failed, transaction ?? single);
    if (single === undefined) return settled instanceof StompFault ? settled : this.#done(receipt);
    if (typeof settled === 'number' && settled > 0) return this.#commit(single, receipt);
    single.rollback();
    return settled instanceof StompFault ? settled : this.#done(receipt);
  }

  /** 1.2 says `id`, 1.1 `message-id` and `subscription`, 1.0 only `message-id`. */
  #messageOf(frame: Frame): { readonly subscription: Subscription | undefined; readonly number: number } | StompFault {
    const { version } = this.terms;
    const header = version === '1.2' ? 'id' : 'message-id';
    const id = frame.get(header);
    if (id === undefined) return missing(frame.command, header);
    const match = /^(\d{1,10})-(\d{1,15})$/.exec(id);
    const of = Number(match?.[1]);
    if (match === null || of < 1 || of >= this.#nextNumber) return new StompFault('unknown message', 'no message of this id was sent');
    const subscription = this.#byNumber.get(of);
    if (version === '1.1') {
      const named = frame.get('subscription');
      if (named === undefined) return missing(frame.command, 'subscription');
      if (subscription !== undefined && subscription.terms.id !== named) {
        return new StompFault('unknown message', 'no message of this id was sent to this subscription');
      }
    }
    if (subscription?.terms.ack === 'auto') return { subscription: undefined, number: 0 };
    return { subscription, number: Number(match[2]) };
  }

  // ---- Transactions

  #transact(command: 'BEGIN' | 'COMMIT' | 'ABORT', name: string | undefined, receipt: string | undefined): StompFault | undefined {
    if (name === undefined) return missing(command, 'transaction');
    if (command === 'BEGIN') return this.#transactions.begin(name) ?? this.#done(receipt);
    const transaction = this.#transactions.take(name);
    if (transaction instanceof StompFault) return transaction;
    if (command === 'COMMIT') return this.#commit(transaction, receipt);
    transaction.rollback();
    return this.#done(receipt);
  }

  #commit(transaction: OpenTransaction, receipt: string | undefined): undefined {
    this.#commits++;
    transaction.commit((outcome) => {
      this.#commits--;
      if (outcome !== Outcome.accepted) return this.#door.fail(this.#refused('COMMIT', outcome), receipt);
      this.#done(receipt);
      this.#leaveWhenDone();
    });
  }

  // ---- DISCONNECT

  /** Its RECEIPT says that all frames before it have been done. */
  #leaveWhenDone(): void {
    if (this.#goodbye !== undefined && this.waiting === 0) this.#door.leave(this.#goodbye.receipt);
  }
}
