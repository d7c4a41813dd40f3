// What one peer takes from named queues, a message for each GET. Each queue is read by a session that is a part of the peer's: so its
// credit is the GETs that wait.
//
// A message is settled when its peer has it. Over UDP a confirmable GET is answered by a confirmable message, and its acknowledgement is
// that; after a NON nobody can know, and the message is delivered at most once. Over reliable transports the next request of the same
// peer for the same queue says that the answer before it has arrived. With `?lease=<seconds>` the message stays the peer's for so long,
// and is settled by DELETE of the place that its answer names. Whatever is not settled goes back to its queue.

import type { Timer } from '../../../base/timers.ts';
import { type CloseReason, type Consumer, Outcome, type Session, type Settlement, type SubscribeResult } from '../../../broker/port.ts';
import type { Message } from '../../../message/message.ts';
import { Code, type CoapOption, OptionNumber, uintOption } from '../codec/index.ts';
import type { CoapRequest, CoapResponse, NotificationResult, Reply } from '../exchange.ts';
import { notAcceptable, problem } from './answers.ts';
import type { Client } from './client.ts';
import { formatOf, isAcceptable } from './convert.ts';
import { locationOf, representationOf } from './representation.ts';
import { Settlements } from './settlements.ts';

const nothingWaits = problem(Code.notFound, 'no message waits in this queue: ask with ?wait=<seconds> to wait for one');

/** `leaseSec` 0: none was asked for. */
export type FetchTerms = { readonly waitSec: number; readonly leaseSec: number; readonly accept: number };

type Receiver = { readonly request: CoapRequest; readonly reply: Reply; readonly terms: FetchTerms; timer: Timer | undefined };
type Lease = { readonly deliveryId: number; readonly timer: Timer | undefined };

export class QueueReaders {
  readonly #client: Client;
  readonly #byName = new Map<string, QueueReader>();

  constructor(client: Client) {
    this.#client = client;
  }

  get isBusy(): boolean {
    for (const reader of this.#byName.values()) if (reader.isBusy) return true;
    return false;
  }

  get waiting(): number {
    let sum = 0;
    for (const reader of this.#byName.values()) sum += reader.waiting;
    return sum;
  }

  /** False: it reads too many queues. */
  fetch(name: string, request: CoapRequest, reply: Reply, terms: FetchTerms): boolean {
    let reader = this.#byName.get(name);
    if (reader === undefined) {
      if (!this.#makeRoom()) return false;
      reader = new QueueReader(this.#client, name, () => this.#byName.delete(name));
      this.#byName.set(name, reader);
      reader.open();
    }
    reader.fetch(request, reply, terms);
    return true;
  }

  /** Each reader is a session of the broker. */
  #makeRoom(): boolean {
    const { counters, options } = this.#client.house;
    if (this.#byName.size < options.maxQueuesPerPeer) return true;
    for (const reader of this.#byName.values()) {
      if (reader.isBusy) continue;
      reader.end(undefined);
      return true;
    }
    counters.queuesRefused++;
    return false;
  }

  /** Returns false when there is no such lease any more. */
  settle(name: string, key: string, settlement: Settlement): boolean {
    return this.#byName.get(name)?.settleLease(key, settlement) === true;
  }

  /** Those that nobody reads leave their queues to others. */
  sweep(): void {
    for (const reader of this.#byName.values()) if (!reader.isBusy) reader.end(undefined);
  }

  close(response: CoapResponse | undefined): void {
    for (const reader of this.#byName.values()) reader.end(response);
  }
}

class QueueReader implements Consumer {
  readonly #client: Client;
  readonly #name: string;
  readonly #ended: () => void;
  readonly #settlements: Settlements;
  #session: Session | undefined = undefined;
  #isSubscribed = false;
  #receivers: Receiver[] = [];
  readonly #leases = new Map<string, Lease>();
  /** Leases that the next request settles. */
  #implied: string[] = [];
  #nextKey = 1;
  /** Answers whose acknowledgement is waited for. */
  #underWay = 0;
  #isOver = false;

  constructor(client: Client, name: string, ended: () => void) {
    this.#client = client;
    this.#name = name;
    this.#ended = ended;
    this.#settlements = new Settlements((task) => client.house.later(task));
  }

  get waiting(): number {
    return this.#receivers.length;
  }

  get isBusy(): boolean {
    return this.#receivers.length > 0 || this.#leases.size > 0 || this.#underWay > 0;
  }

  open(): void {
    const { house, session } = this.#client;
    const clientId = `${session!.clientId}/q/${this.#name}`;
    house.broker.attach(this.#client.attachRequest(clientId, house.options.receiveMaximum, session), this);
  }

  fetch(request: CoapRequest, reply: Reply, terms: FetchTerms): void {
    const { house } = this.#client;
    for (const key of this.#implied.splice(0)) this.settleLease(key, 'accepted');
    const receiver: Receiver = { request, reply, terms, timer: undefined };
    this.#receivers.push(receiver);
    reply.onGone = () => this.#take(receiver);
    if (terms.waitSec > 0) {
      receiver.timer = house.timers.at(house.clock.monotonicMs() + terms.waitSec * 1000, () => {
        this.#take(receiver);
        house.answer(reply, nothingWaits);
      });
    }
    if (this.#isSubscribed) this.#ask();
  }

  /** Makes the broker deliver what there is, and say so when there is nothing. */
  #ask(): void {
    this.#session?.drain();
  }

  /** Returns whether it still waited. */
  #take(receiver: Receiver): boolean {
    const at = this.#receivers.indexOf(receiver);
    if (at < 0) return false;
    this.#receivers.splice(at, 1);
    receiver.reply.onGone = undefined;
    this.#client.house.timers.cancel(receiver.timer);
    return true;
  }

  settleLease(key: string, settlement: Settlement): boolean {
    const lease = this.#leases.get(key);
    if (lease === undefined) return false;
    this.#leases.delete(key);
    this.#client.house.timers.cancel(lease.timer);
    this.#settlements.settle(lease.deliveryId, settlement);
    return true;
  }

  #lease(deliveryId: number, leaseSec: number): string {
    const { clock, timers, counters } = this.#client.house;
    const key = (this.#nextKey++).toString(36);
    const timer = timers.at(clock.monotonicMs() + leaseSec * 1000, () => {
      this.#leases.delete(key);
      counters.leasesExpired++;
      this.#settlements.settle(deliveryId, 'modified', { deliveryFailed: true });
    });
    this.#leases.set(key, { deliveryId, timer });
    return key;
  }

  end(response: CoapResponse | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { house } = this.#client;
    for (const receiver of [...this.#receivers]) {
      this.#take(receiver);
      house.answer(receiver.reply, response ?? house.answers.failure(Outcome.unavailable));
    }
    for (const { timer } of this.#leases.values()) house.timers.cancel(timer);
    this.#leases.clear();
    const session = this.#session;
    this.#session = this.#settlements.session = undefined;
    session?.detach(false);
    this.#ended();
  }

  // --- What the broker says

  get congested(): boolean {
    return this.#receivers.length === 0;
  }

  attached(outcome: Outcome, session: Session | undefined): void {
    const { house } = this.#client;
    if (session === undefined) return this.end(house.answers.failure(outcome));
    if (this.#isOver) return session.detach(false);
    this.#session = this.#settlements.session = session;
    house.later(() => {
      const filter = `$queue/${this.#name}`;
      const asked = { filter, guarantee: 1, noLocal: false, retainAsPublished: true, retainHandling: 'never', subscriptionId: 0 } as const;
      this.#session?.subscribe([asked], 0);
    });
  }

  subscribed(_token: number, results: readonly SubscribeResult[]): void {
    const { house } = this.#client;
    const { outcome } = results[0]!;
    house.later(() => {
      if (outcome !== Outcome.accepted) return this.end(house.answers.failure(outcome));
      this.#isSubscribed = true;
      this.#ask();
    });
  }

  /** Nothing waits now: those who do not wait either are told. */
  drained(): void {
    for (const receiver of this.#receivers.filter(({ terms }) => terms.waitSec === 0)) {
      this.#take(receiver);
      this.#client.house.answer(receiver.reply, nothingWaits);
    }
  }

  send(message: Message): boolean {
    const receiver = this.#receivers[0];
    if (receiver === undefined) return false;
    this.#take(receiver);
    if (this.#isRefused(receiver, message)) return false;
    this.#client.house.counters.queueMessagesFetched++;
    receiver.reply.send(this.#responseOf(message, undefined));
    return true;
  }

  transfer(deliveryId: number, _guarantee: 1 | 2, message: Message): boolean {
    this.#settlements.enter();
    this.#deliver(deliveryId, message);
    this.#settlements.leave();
    return true;
  }

  #deliver(deliveryId: number, message: Message): void {
    const receiver = this.#receivers[0];
    if (receiver === undefined) return this.#settlements.settle(deliveryId, 'released');
    this.#take(receiver);
    if (this.#isRefused(receiver, message)) return this.#settlements.settle(deliveryId, 'released');
    const { house, peer } = this.#client;
    house.counters.queueMessagesFetched++;
    const { reply, request, terms } = receiver;
    if (terms.leaseSec > 0 || peer.isReliable) {
      const key = this.#lease(deliveryId, terms.leaseSec > 0 ? terms.leaseSec : house.options.leaseSec);
      if (terms.leaseSec === 0) this.#implied.push(key);
      reply.send(this.#responseOf(message, key));
    } else if (request.confirmable) {
      this.#underWay++;
      reply.sendConfirmed(this.#responseOf(message, undefined), (result) => this.#answered(deliveryId, result));
    } else {
      reply.send(this.#responseOf(message, undefined));
      this.#settlements.settle(deliveryId, 'accepted');
    }
  }

  /** RFC 7252 §5.10.4: it is for somebody who takes its format. */
  #isRefused({ reply, terms }: Receiver, { attributes }: Message): boolean {
    if (isAcceptable(terms.accept, formatOf(attributes))) return false;
    this.#client.house.answer(reply, notAcceptable);
    return true;
  }

  #answered(deliveryId: number, result: NotificationResult): void {
    this.#underWay--;
    if (result === 'acknowledged' || result === 'sent') this.#settlements.settle(deliveryId, 'accepted');
    else this.#settlements.settle(deliveryId, 'modified', { deliveryFailed: true });
  }

  /** What a queue gives is given once: nobody may answer with it again (RFC 7252 §5.6.1). */
  #responseOf(message: Message, key: string | undefined): CoapResponse {
    const { formatOption, payload } = representationOf(message, false);
    const options: CoapOption[] = key === undefined ? [] : locationOf(['q', this.#name, key]);
    if (formatOption !== undefined) options.push(formatOption);
    options.push(uintOption(OptionNumber.maxAge, 0));
    return { code: Code.content, options, payload };
  }

  revoked(): void {
    const { house } = this.#client;
    house.later(() => this.end(house.answers.failure(Outcome.notAuthorized)));
  }

  detached(_reason: CloseReason): void {
    this.#session = this.#settlements.session = undefined;
    this.end(undefined);
  }

  unsubscribed(): void {}
  releaseDelivery(): void {}
  published(): void {}
  released(): void {}
  hold(): void {}
}
