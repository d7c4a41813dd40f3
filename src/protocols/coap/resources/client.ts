// Somebody who asks: a peer with one identity, its own or that of an OSCORE context. Who it is, is asked of Security once; its session
// of the broker begins with the first request that needs one and ends when the peer is gone, or has nothing to do with us for a while.

import type { Timer } from '../../../base/timers.ts';
import { type AttachRequest, type CloseReason, type Consumer, Outcome, type Session, type SubscribeResult } from '../../../broker/port.ts';
import type { Message } from '../../../message/message.ts';
import type { AuthenticationResult, Principal } from '../../../security/security.ts';
import { Code } from '../codec/index.ts';
import type { CoapPeer, CoapRequest, CoapResponse, OscoreIdentity, Reply } from '../exchange.ts';
import { problem } from './answers.ts';
import type { CommandLink } from './command-link.ts';
import type { House } from './house.ts';
import { Observations } from './observations.ts';
import { PendingAnswers } from './pending-answers.ts';
import { QueueReaders } from './queue-readers.ts';
import { Settlements } from './settlements.ts';
import { TopicAddresses } from './topic-addresses.ts';
import { waitingBytes, WaitingRoom } from './waiting-room.ts';

type Waiting = { readonly request: CoapRequest; readonly reply: Reply };

/** Who was refused is not asked about again for so long: it would be refused again. */
const refusalMs = 2000;
/** Between two looks at the wall clock, where something ends on it. */
const longestLookMs = 3_600_000;

const cutAnswer = problem(Code.unauthorized, 'who you are is not known here any more');
const endedAnswer = problem(Code.unauthorized, 'what proved who you are has expired: prove it anew');

export class Client implements Consumer {
  readonly house: House;
  readonly peer: CoapPeer;
  readonly observations: Observations;
  readonly publishes: PendingAnswers;
  readonly topics: TopicAddresses;
  readonly #oscore: OscoreIdentity | undefined;
  /** Defined as long as requests can be answered at once. */
  session: Session | undefined = undefined;
  principal: Principal | undefined = undefined;
  /** The broker wants fewer publishes (Consumer.hold). */
  held = false;
  /** It has asked for something since the last look. */
  isUsed = true;
  /** Where its commands come from, if it is registered. */
  commands: Set<CommandLink> | undefined = undefined;
  #queues: QueueReaders | undefined = undefined;
  readonly #waiting: WaitingRoom<Waiting>;
  #isEntering = false;
  /** It is attached, and what waits is about to be answered. */
  #arrived: Session | undefined = undefined;
  #isGone = false;
  #refusal: CoapResponse | undefined = undefined;
  #refusedUntilMs = 0;
  #expiry: Timer | undefined = undefined;
  #sequence = 0;
  readonly #settlements: Settlements;

  constructor(house: House, peer: CoapPeer, oscore: OscoreIdentity | undefined) {
    this.house = house;
    this.peer = peer;
    this.#oscore = oscore;
    this.#waiting = new WaitingRoom(house);
    this.observations = new Observations(this);
    this.publishes = new PendingAnswers(house);
    this.#settlements = new Settlements((task) => house.later(task));
    this.topics = new TopicAddresses(house.options.topicCacheEntries, house.scratch);
  }

  /** Queues that it does not read any more are left to others. */
  leaveQueues(): void {
    this.#queues?.sweep();
  }

  get queues(): QueueReaders {
    return (this.#queues ??= new QueueReaders(this));
  }

  /**
   * RFC 7641 §4.4: rises with the clock at least, so that an observer that registers again with a node that has lost power, and with
   * it every count, does not take what is new for old.
   */
  nextSequence(): number {
    this.#sequence = Math.max(this.#sequence + 1, Math.floor(this.house.clock.wallMs()));
    return this.#sequence % 0x100_0000;
  }

  // --- Coming in

  /** A request that cannot be answered yet waits, bounded. */
  enter(request: CoapRequest, reply: Reply): void {
    const { house } = this;
    if (this.#refusal !== undefined) {
      if (house.clock.monotonicMs() < this.#refusedUntilMs) return house.refused(request, reply, this.#refusal);
      this.#refusal = undefined;
    }
    const waiting = { request, reply };
    if (!this.#waiting.enter(waiting, waitingBytes(request.message))) return house.answer(reply, house.answers.tooManyWaiting);
    reply.onGone = () => this.#waiting.leave(waiting);
    if (this.#isEntering) return;
    this.#isEntering = true;
    const { facts } = this.peer;
    house.security.authenticate(
      {
        listener: facts.listener,
        remoteAddress: facts.remoteAddress,
        secure: facts.secure,
        clientId: '',
        nameComesLater: true,
        username: undefined,
        password: undefined,
        certificate: facts.peerCertificate,
        ...(facts.pskIdentity !== undefined && { pskIdentity: facts.pskIdentity }),
        ...(facts.pskKeyHash !== undefined && { pskKeyHash: facts.pskKeyHash }),
        ...(facts.rawPublicKey !== undefined && { rawPublicKey: facts.rawPublicKey }),
        ...(this.#oscore !== undefined && { oscoreContext: this.#oscore }),
      },
      (result) => this.#authenticated(result),
    );
  }

  #authenticated(result: AuthenticationResult): void {
    if (this.#isGone) return;
    const { house } = this;
    if (!result.ok) {
      const { banned, overloaded, refused } = house.answers;
      return this.#refuse(result.reason === 'banned' ? banned : result.reason === 'overloaded' ? overloaded : refused);
    }
    const { principal, expiresAtMs } = result;
    // A CoAP peer chooses no name for its session: what it connects as is its own.
    if (!house.security.allows(principal, 'connect', principal.id)) return this.#refuse(house.answers.failure(Outcome.notAuthorized));
    this.principal = principal;
    this.#watchExpiry(expiresAtMs ?? Infinity);
    house.broker.attach(this.attachRequest(`$coap/peer/${principal.id}/${house.nextNumber()}`, house.options.receiveMaximum), this);
  }

  /** A session of this client, or a part of one. */
  attachRequest(clientId: string, receiveMaximum: number, partOf?: Session): AttachRequest {
    const { facts } = this.peer;
    return {
      principal: this.principal!,
      clientId,
      connectsAs: this.principal!.id,
      protocol: 'CoAP',
      remoteAddress: facts.remoteAddress,
      listener: facts.listener,
      cleanStart: true,
      sessionExpiryMs: 0,
      will: undefined,
      receiveMaximum,
      maxPacketBytes: Infinity,
      ...(partOf !== undefined && { partOf }),
    };
  }

  attached(outcome: Outcome, session: Session | undefined): void {
    if (session === undefined) return this.#refuse(this.house.answers.failure(outcome));
    if (this.#isGone) return session.detach(false);
    this.#arrived = session;
    this.house.later(() => this.#ready(session));
  }

  /** What waited goes first; what comes from now on is answered at once. */
  #ready(session: Session): void {
    if (this.#arrived !== session) return;
    this.#arrived = undefined;
    this.#isEntering = false;
    this.session = this.#settlements.session = session;
    this.isUsed = true;
    this.house.counters.sessions++;
    for (const { request, reply } of this.#waiting.empty()) {
      reply.onGone = undefined;
      this.house.route(this, request, reply);
    }
  }

  #refuse(response: CoapResponse): void {
    const { house } = this;
    house.counters.authenticationsRefused++;
    this.#isEntering = false;
    this.#refusal = response;
    this.#refusedUntilMs = house.clock.monotonicMs() + refusalMs;
    for (const { request, reply } of this.#waiting.empty()) {
      reply.onGone = undefined;
      house.refused(request, reply, response);
    }
  }

  /** What proved who it is ends then, on the wall clock, which may be set meanwhile. */
  #watchExpiry(expiresAtMs: number): void {
    const { clock, timers } = this.house;
    timers.cancel(this.#expiry);
    this.#expiry = undefined;
    if (expiresAtMs === Infinity) return;
    const leftMs = Math.max(0, Math.min(expiresAtMs - clock.wallMs(), longestLookMs));
    this.#expiry = timers.at(clock.monotonicMs() + leftMs, () => {
      if (expiresAtMs <= clock.wallMs()) this.leave(endedAnswer);
      else this.#watchExpiry(expiresAtMs);
    });
  }

  // --- Going

  get isBusy(): boolean {
    return this.observations.size > 0 || this.publishes.size > 0 || this.#queues?.isBusy === true;
  }

  /** The peer is gone. */
  gone(): void {
    this.#isGone = true;
    this.#waiting.empty();
    for (const link of this.commands ?? []) link.unbind(this);
    this.leave(undefined);
  }

  /** Ends the session; what it observes ends with this answer, if there is one. */
  leave(response: CoapResponse | undefined): void {
    const session = this.#forgetSession(response);
    session?.detach(false);
    if (this.#isEntering && !this.#isGone && session !== undefined)
      this.#refuse(response ?? this.house.answers.failure(Outcome.unavailable));
  }

  #forgetSession(response: CoapResponse | undefined): Session | undefined {
    const { session, house } = this;
    house.timers.cancel(this.#expiry);
    this.#expiry = undefined;
    const arrived = this.#arrived;
    this.#arrived = undefined;
    if (session === undefined) return arrived;
    this.session = undefined;
    this.held = false;
    this.#settlements.session = undefined;
    house.counters.sessions--;
    this.observations.endAll(response);
    this.publishes.endAll(response ?? house.answers.failure(Outcome.unavailable));
    this.#queues?.close(response);
    this.#queues = undefined;
    return session;
  }

  detached(reason: CloseReason): void {
    const isCut = reason === 'administrative';
    const { house } = this;
    this.#forgetSession(isCut ? cutAnswer : house.answers.failure(Outcome.unavailable));
    // It may have come before `attached`.
    if (this.#isEntering) this.#refuse(isCut ? cutAnswer : house.answers.failure(Outcome.unavailable));
    if (isCut && (this.#oscore !== undefined || this.peer.facts.secure)) house.later(() => this.peer.close());
  }

  // --- What the broker says

  readonly congested = false;

  send(message: Message, retained: boolean, ids: readonly number[] | undefined): boolean {
    this.#settlements.enter();
    const isTaken = this.observations.deliver(message, retained, ids, 0);
    this.#settlements.leave();
    return isTaken;
  }

  transfer(
    deliveryId: number,
    _guarantee: 1 | 2,
    message: Message,
    retained: boolean,
    _redelivered: boolean,
    ids: readonly number[] | undefined,
  ): boolean {
    this.#settlements.enter();
    this.observations.deliver(message, retained, ids, deliveryId);
    this.#settlements.leave();
    return true;
  }

  settle(deliveryId: number, how: 'accepted' | 'released'): void {
    this.#settlements.settle(deliveryId, how);
  }

  releaseDelivery(): void {}

  published(token: number, outcome: Outcome): void {
    this.publishes.decided(token, outcome);
  }

  released(): void {}

  subscribed(token: number, results: readonly SubscribeResult[]): void {
    this.#settlements.enter();
    this.observations.subscribed(token, results);
    this.#settlements.leave();
  }

  unsubscribed(): void {}

  revoked(filters: readonly string[]): void {
    this.#settlements.enter();
    this.observations.revoked(filters);
    this.#settlements.leave();
  }

  hold(on: boolean): void {
    this.held = on;
  }
}
