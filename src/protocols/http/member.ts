// Who has shown on a connection who he is: a session of the broker that lives as long as both. What is published, read and asked by
// requests goes through it; streams and queues have sessions of their own.

import { Outcome } from '../../broker/port.ts';
import type { Address, CloseReason, Consumer, Session, SubscribeResult } from '../../broker/port.ts';
import type { Message } from '../../message/message.ts';
import type { Principal } from '../../security/security.ts';
import type { WireFacts } from '../protocol.ts';
import type { HttpServer } from './server.ts';

/** Addresses kept of one connection: most devices publish to a few topics. */
const maxAddresses = 64;

export type MemberDoor = {
  /** The session is not this connection's any more. */
  lost(reason: CloseReason): void;
};

type Answer = (outcome: Outcome) => void;

export class Member implements Consumer {
  readonly congested = false;
  readonly principal: Principal;
  /** Wall clock: what was proved ends then. */
  readonly expiresAtMs: number;
  /** Requests that are being answered. */
  open = 0;
  readonly #server: HttpServer;
  readonly #door: MemberDoor;
  #session: Session | undefined;
  #isOver = false;
  #attached: ((outcome: Outcome) => void) | undefined;
  readonly #pending = new Map<number, Answer>();
  #nextToken = 1;
  readonly #addresses = new Map<string, Address>();
  #addressVersion = -1;
  /** By the temporary topic. */
  readonly #replies = new Map<string, (message: Message) => void>();
  readonly #subscribing = new Map<number, Answer>();
  #isHeld = false;
  #held: (() => void)[] = [];

  constructor(server: HttpServer, principal: Principal, expiresAtMs: number, door: MemberDoor) {
    this.#server = server;
    this.principal = principal;
    this.expiresAtMs = expiresAtMs;
    this.#door = door;
  }

  get session(): Session {
    return this.#session!;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  attach(facts: WireFacts, done: (outcome: Outcome) => void): void {
    this.#attached = done;
    const { principal } = this;
    this.#server.broker.attach(
      {
        principal,
        clientId: this.#server.sessionName(principal),
        connectsAs: principal.id,
        protocol: 'HTTP',
        remoteAddress: facts.remoteAddress,
        listener: facts.listener,
        cleanStart: true,
        sessionExpiryMs: 0,
        will: undefined,
        receiveMaximum: 1,
        maxPacketBytes: Infinity,
      },
      this,
    );
  }

  /** Called once: with why it is not accepted, or when it is durable. */
  publish(address: Address, message: Message, answer: Answer): void {
    const token = this.#token();
    const outcome = this.session.publish(address, message, token);
    if (outcome === Outcome.pending) this.#pending.set(token, answer);
    else answer(outcome);
  }

  address(topic: string): Address {
    const { session } = this;
    if (this.#addressVersion !== session.addressVersion) {
      this.#addressVersion = session.addressVersion;
      this.#addresses.clear();
    }
    const known = this.#addresses.get(topic);
    if (known !== undefined) return known;
    const address = session.address(topic, new Uint8Array(Buffer.from(topic)));
    if (this.#addresses.size >= maxAddresses) this.#addresses.clear();
    this.#addresses.set(topic, address);
    return address;
  }

  /** Runs it when the broker takes more from this peer, or there is nobody any more who could. */
  whenFree(task: () => void): void {
    if (this.#isHeld) this.#held.push(task);
    else task();
  }

  /** A topic of its own, to which one reply may come. `ready` is called with it, or with why there is none. */
  expectReply(arrived: (message: Message) => void, ready: (topic: string | undefined, outcome: Outcome) => void): void {
    const topic = this.session.createTemporary('topic');
    if (topic === undefined) return ready(undefined, Outcome.quotaExceeded);
    this.#replies.set(topic, arrived);
    const token = this.#token();
    this.#subscribing.set(token, (outcome) => {
      if (outcome === Outcome.accepted) return ready(topic, outcome);
      this.forgetReply(topic);
      ready(undefined, outcome);
    });
    const request = {
      filter: topic,
      guarantee: 0,
      noLocal: false,
      retainAsPublished: false,
      retainHandling: 'never',
      subscriptionId: 0,
    } as const;
    this.session.subscribe([request], token);
  }

  forgetReply(topic: string): void {
    if (!this.#replies.delete(topic) || this.#session === undefined) return;
    this.#session.unsubscribe([topic], 0);
    this.#session.removeTemporary(topic);
  }

  detach(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#session?.detach(false);
    this.#session = undefined;
    // What waits for the store is not told any more what became of it.
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const answer of pending) answer(Outcome.unavailable);
    // Nobody lets it go on any more.
    const held = this.#held;
    this.#held = [];
    for (const task of held) task();
  }

  #token(): number {
    // Beyond what is pending long before it comes round.
    this.#nextToken = (this.#nextToken % 0x3fff_ffff) + 1;
    return this.#nextToken;
  }

  // --- what the broker tells

  attached(outcome: Outcome, session: Session | undefined): void {
    if (this.#isOver) {
      session?.detach(false);
      return;
    }
    this.#session = session;
    const attached = this.#attached;
    this.#attached = undefined;
    attached?.(outcome);
  }

  send(message: Message): boolean {
    const arrived = this.#replies.get(message.topic);
    if (arrived === undefined) return false;
    arrived(message);
    return true;
  }

  transfer(): boolean {
    // It has asked for nothing above at most once.
    return false;
  }

  releaseDelivery(): void {}

  published(token: number, outcome: Outcome): void {
    const answer = this.#pending.get(token);
    this.#pending.delete(token);
    answer?.(outcome);
  }

  released(): void {}

  subscribed(token: number, results: readonly SubscribeResult[]): void {
    const answer = this.#subscribing.get(token);
    this.#subscribing.delete(token);
    // May come from within `subscribe`, and what is asked next must not come from within the broker.
    this.#server.turn.atEnd(() => answer?.(results[0]?.outcome ?? Outcome.unavailable));
  }

  unsubscribed(): void {}

  hold(on: boolean): void {
    this.#isHeld = on;
    if (on || this.#held.length === 0) return;
    this.#server.turn.atEnd(() => {
      const held = this.#held;
      this.#held = [];
      for (const task of held) this.whenFree(task);
    });
  }

  detached(reason: CloseReason): void {
    this.#isOver = true;
    this.#session = undefined;
    this.#attached = undefined;
    this.#door.lost(reason);
  }
}
