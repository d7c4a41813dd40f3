// One subscription: a broker session of its own, so that each gets its messages, in its order, with acknowledgements of its own.
//
//   opening → subscribing → live → over

import {
  type AttachRequest,
  type CloseReason,
  type Consumer,
  Outcome,
  type Session,
  type Settlement,
  type SettlementDetail,
} from '../../broker/port.ts';
import type { SubscribeRequest, SubscribeResult } from '../../broker/port.ts';
import type { Message } from '../../message/message.ts';
import { StompFault } from './codec/index.ts';
import type { Style } from './destination.ts';
import type { PeerWriter } from './peer-writer.ts';
import { closeFault, outcomeFault } from './reasons.ts';
import type { StompServer } from './server.ts';
import type { OpenTransaction } from './transactions.ts';

export type AckMode = 'auto' | 'client' | 'client-individual';

export type SubscriptionTerms = {
  /** By which the client names it. */
  readonly id: string;
  /** Not told to a client of 1.0 that gave none. */
  readonly hasId: boolean;
  readonly request: SubscribeRequest;
  readonly style: Style;
  readonly ack: AckMode;
  readonly isDurable: boolean;
  readonly attach: AttachRequest;
};

/** What it may do to its connection. */
export type SubscriptionHost = {
  /** Broker and subscription agree. May be a call of the broker's. */
  subscribed(subscription: Subscription): void;
  /** Ends the connection. May be a call of the broker's. */
  fail(fault: StompFault, receipt?: string): void;
};

export class Subscription implements Consumer {
  readonly terms: SubscriptionTerms;
  /** Of its SUBSCRIBE. */
  readonly receipt: string | undefined;
  /** First part of what its messages are named. */
  readonly number: number;
  readonly #server: StompServer;
  readonly #writer: PeerWriter;
  readonly #host: SubscriptionHost;
  #state: 'opening' | 'subscribing' | 'live' | 'over' = 'opening';
  #session: Session | undefined = undefined;
  #wasPresent = false;
  /** A call of ours to the broker is under way: what it answers is gone on with afterwards. */
  #isAsking = false;
  #sent = 0;
  /** Deliveries by the number of their message, in order; auto: until the end of the turn. */
  readonly #unacknowledged = new Map<number, number>();
  /** A transaction has given some back. */
  #isDisordered = false;
  #settlesAtEnd = false;
  readonly #own: string;

  constructor(
    server: StompServer,
    writer: PeerWriter,
    host: SubscriptionHost,
    terms: SubscriptionTerms,
    number: number,
    receipt: string | undefined,
  ) {
    this.#server = server;
    this.#writer = writer;
    this.#host = host;
    this.terms = terms;
    this.number = number;
    this.receipt = receipt;
    this.#own = terms.hasId ? writer.line('subscription', terms.id) : '';
  }

  get isReady(): boolean {
    return this.#state === 'live' || this.#state === 'over';
  }

  get unacknowledged(): number {
    return this.#unacknowledged.size;
  }

  open(): void {
    this.#attach(!this.terms.isDurable);
  }

  #attach(cleanStart: boolean): void {
    this.#state = 'opening';
    this.#isAsking = true;
    this.#server.parts.broker.attach({ ...this.terms.attach, cleanStart }, this);
    this.#isAsking = false;
    this.#subscribe();
  }

  // ---- From the broker. Nothing here may call it back.

  get congested(): boolean {
    return this.#state !== 'live' || this.#writer.output.pendingBytes > this.#server.options.outputHighWaterBytes;
  }

  attached(outcome: Outcome, session: Session | undefined, present: boolean): void {
    if (this.#state === 'over') {
      session?.detach(false);
      return;
    }
    if (outcome !== Outcome.accepted || session === undefined) {
      this.#state = 'over';
      return this.#host.fail(outcomeFault('SUBSCRIBE', outcome), this.receipt);
    }
    this.#session = session;
    this.#wasPresent = present;
    if (!this.#isAsking) this.#server.parts.turn.atEnd(() => this.#subscribe());
  }

  /** Not from within a call of the broker's. */
  #subscribe(): void {
    const session = this.#session;
    if (this.#state !== 'opening' || session === undefined) return;
    const { request } = this.terms;
    const isAnother =
      this.#wasPresent && session.subscribed().some((each) => each.filter !== request.filter || each.selector !== request.selector);
    if (isAnother) {
      // A durable subscription of the same name to something else is a new one: what the old one was owed goes with it.
      this.#session = undefined;
      session.detach(false, 0);
      return this.#attach(true);
    }
    this.#state = 'subscribing';
    session.subscribe([request], 0);
    // What came while it was not ready waits in its queue.
    if ((this.#state as string) === 'live') session.resume();
  }

  subscribed(_token: number, results: readonly SubscribeResult[]): void {
    if (this.#state !== 'subscribing') return;
    const outcome = results[0]?.outcome ?? Outcome.unavailable;
    if (outcome !== Outcome.accepted) return this.#host.fail(outcomeFault('SUBSCRIBE', outcome), this.receipt);
    this.#state = 'live';
    this.#server.parts.turn.atEnd(() => this.onWritable());
    this.#host.subscribed(this);
  }

  send(message: Message, retained: boolean): boolean {
    const { counters, options } = this.#server;
    const cause =
      this.#state !== 'live' ? 'connection closing' : this.#writer.output.pendingBytes > options.maxOutputBytes ? 'output full' : undefined;
    if (cause !== undefined) {
      counters.dropped[cause]++;
      return false;
    }
    this.#write(++this.#sent, message, retained, false);
    return true;
  }

  transfer(deliveryId: number, _guarantee: 1 | 2, message: Message, retained: boolean, redelivered: boolean): boolean {
    // While closing it is as good as sent: it is outstanding, and comes again.
    if (this.#state !== 'live') return true;
    const number = ++this.#sent;
    this.#unacknowledged.set(number, deliveryId);
    this.#write(number, message, retained, redelivered);
    if (this.terms.ack === 'auto' && !this.#settlesAtEnd) {
      this.#settlesAtEnd = true;
      this.#server.parts.turn.atEnd(() => this.#settleAll());
    }
    return true;
  }

  releaseDelivery(): void {}
  published(): void {}
  released(): void {}
  unsubscribed(): void {}
  hold(): void {}

  revoked(): void {
    if (this.#state !== 'over') this.#host.fail(outcomeFault('SUBSCRIBE', Outcome.notAuthorized));
  }

  detached(reason: CloseReason): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#session = undefined;
    this.#host.fail(closeFault(reason));
  }

  #write(number: number, message: Message, retained: boolean, redelivered: boolean): void {
    const name = `${this.number}-${number}`;
    const { ack } = this.terms;
    let own = `${this.#own}message-id:${name}\n`;
    // STOMP 1.2, MESSAGE: where it must be acknowledged.
    if (ack !== 'auto' && this.#writer.version === '1.2') own += `ack:${name}\n`;
    if (redelivered) own += 'redelivered:true\n';
    if (retained) own += 'retain:true\n';
    this.#writer.message(own, message, this.terms.style);
  }

  /** STOMP 1.2, SUBSCRIBE, auto: the client has what was sent to it. */
  #settleAll(): void {
    this.#settlesAtEnd = false;
    if (this.#state !== 'live') return;
    const session = this.#session!;
    const deliveries = [...this.#unacknowledged.values()];
    this.#unacknowledged.clear();
    for (const deliveryId of deliveries) session.settle(deliveryId, 'accepted');
  }

  // ---- From the client

  onWritable(): void {
    if (this.#state === 'live') this.#session!.resume();
  }

  /**
   * ACK or NACK of the message with this number; of all before it, too, where the client acknowledges so. Of what has been settled
   * already nothing happens. Returns how many deliveries it was, or that there was never such a message.
   */
  settle(
    number: number,
    settlement: Settlement,
    detail: SettlementDetail | undefined,
    transaction: OpenTransaction | undefined,
  ): number | StompFault {
    if (number < 1 || number > this.#sent) return new StompFault('unknown message', 'no message of this id was sent');
    if (this.#state !== 'live') return 0;
    const session = this.#session!;
    let settled = 0;
    for (const [each, deliveryId] of this.#concerned(number)) {
      this.#unacknowledged.delete(each);
      if (transaction === undefined) {
        if (session.settle(deliveryId, settlement, detail)) settled++;
        continue;
      }
      if (transaction.settle(session, deliveryId, settlement, detail, { restore: () => this.#restore(each, deliveryId) })) settled++;
    }
    return settled;
  }

  #concerned(number: number): (readonly [number, number])[] {
    if (this.terms.ack !== 'client') {
      const deliveryId = this.#unacknowledged.get(number);
      return deliveryId === undefined ? [] : [[number, deliveryId]];
    }
    if (this.#isDisordered) this.#order();
    const found: [number, number][] = [];
    for (const entry of this.#unacknowledged) {
      if (entry[0] > number) break;
      found.push(entry);
    }
    return found;
  }

  #restore(number: number, deliveryId: number): void {
    if (this.#state !== 'live') return;
    this.#unacknowledged.set(number, deliveryId);
    this.#isDisordered = true;
  }

  #order(): void {
    this.#isDisordered = false;
    const ordered = [...this.#unacknowledged].sort(([a], [b]) => a - b);
    this.#unacknowledged.clear();
    for (const [each, delivery] of ordered) this.#unacknowledged.set(each, delivery);
  }

  /** UNSUBSCRIBE. `ends`: a durable one is over for good. */
  close(ends: boolean): void {
    const session = this.#session;
    const wasAuto = this.terms.ack === 'auto' && this.#state === 'live';
    if (wasAuto) this.#settleAll();
    this.#state = 'over';
    this.#session = undefined;
    if (session === undefined) return;
    if (this.terms.isDurable && !ends) return session.detach(false);
    session.detach(false, 0);
  }

  /** The connection is over: the broker detaches it with the connection's session. */
  leave(): void {
    this.#state = 'over';
    this.#session = undefined;
    this.#unacknowledged.clear();
  }
}
