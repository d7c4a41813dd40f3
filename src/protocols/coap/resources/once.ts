// Exactly once: `?mid=<key>` names a message among those of its principal, whichever peer it comes from (docs/mapping.md §3). The keys
// of a principal live in a durable session of its own, whose tags they are: so a repetition is known after a restart, too. Whoever is
// anonymous is known by its peer alone, and its keys end with that.

import { type CloseReason, type Consumer, Outcome, type Session } from '../../../broker/port.ts';
import type { Message } from '../../../message/message.ts';
import type { Principal } from '../../../security/security.ts';
import type { CoapResponse, Reply } from '../exchange.ts';
import type { Client } from './client.ts';
import type { House } from './house.ts';
import { PendingAnswers } from './pending-answers.ts';
import { waitingBytes, WaitingRoom } from './waiting-room.ts';

type Asked = {
  readonly principal: Principal;
  readonly message: Message;
  readonly key: string;
  readonly reply: Reply;
  readonly success: CoapResponse;
};

export class OncePublishers {
  readonly #house: House;
  readonly #byName = new Map<string, OncePublisher>();

  constructor(house: House) {
    this.#house = house;
  }

  /** The message is published once, however often it comes with the same key. It must own its bytes. */
  publish(client: Client, message: Message, key: string, reply: Reply, success: CoapResponse): void {
    const { tenant, id, kind } = client.principal!;
    const isAnonymous = kind === 'anonymous';
    const name = isAnonymous ? client.session!.clientId : `${tenant}/${id}`;
    let publisher = this.#byName.get(name);
    if (publisher === undefined || publisher.ended) {
      publisher = new OncePublisher(this.#house, client, isAnonymous);
      this.#byName.set(name, publisher);
    }
    publisher.publish({ principal: client.principal!, message, key, reply, success });
  }

  /** Ends those that nobody has used for as long as keys are kept. */
  sweep(): void {
    for (const [name, publisher] of this.#byName) {
      publisher.sweep();
      if (publisher.ended) this.#byName.delete(name);
    }
  }

  close(): void {
    for (const publisher of this.#byName.values()) publisher.end();
    this.#byName.clear();
  }
}

class OncePublisher implements Consumer {
  readonly congested = false;
  readonly #house: House;
  readonly #publishes: PendingAnswers;
  /** Key → when it may be forgotten, on the monotonic clock, the oldest first. */
  readonly #keys = new Map<string, number>();
  #session: Session | undefined = undefined;
  readonly #waiting: WaitingRoom<Asked>;
  #principal: Principal;
  #isReady = false;
  #held = false;
  /** Why it has ended. */
  #outcome: Outcome = Outcome.unavailable;
  ended = false;

  constructor(house: House, client: Client, isAnonymous: boolean) {
    this.#house = house;
    this.#publishes = new PendingAnswers(house);
    this.#principal = client.principal!;
    this.#waiting = new WaitingRoom(house);
    const clientId = isAnonymous ? `${client.session!.clientId}/once` : `$coap/once/${client.principal!.id}`;
    house.broker.attach(
      {
        ...client.attachRequest(clientId, 1),
        cleanStart: false,
        // Its tags must outlive the node, but not for ever.
        sessionExpiryMs: isAnonymous ? 0 : house.options.onceKeepSec * 1000,
      },
      this,
    );
  }

  publish(asked: Asked): void {
    const house = this.#house;
    // The broker may have said at once that there is no session.
    if (this.ended) return house.answer(asked.reply, house.answers.failure(this.#outcome));
    if (this.#session !== undefined && this.#isReady) return this.#publish(this.#session, asked);
    const bytes = waitingBytes({ options: [], payload: asked.message.payload() });
    if (!this.#waiting.enter(asked, bytes)) house.answer(asked.reply, house.answers.tooManyWaiting);
  }

  #publish(session: Session, { principal, message, key, reply, success }: Asked): void {
    const house = this.#house;
    if (this.#held) return house.answer(reply, house.answers.held);
    if (principal !== this.#principal) {
      // What it may do depends on how it is connected.
      this.#principal = principal;
      session.renew(principal);
    }
    this.#remember(session, key);
    const address = session.address(message.topic, message.topicBytes);
    const outcome = session.publish(address, message, this.#publishes.token, tagOf(key));
    // The broker has ended the session instead: of this publish it says nothing more.
    if (this.#session !== session) return house.answer(reply, house.answers.failure(Outcome.unavailable));
    this.#publishes.decide(outcome, reply, success);
  }

  #remember(session: Session, key: string): void {
    const { clock, options } = this.#house;
    const nowMs = clock.monotonicMs();
    this.#keys.delete(key);
    this.#keys.set(key, nowMs + options.onceKeepSec * 1000);
    for (const [oldest, untilMs] of this.#keys) {
      if (this.#keys.size <= options.maxOnceKeys && untilMs > nowMs) break;
      this.#keys.delete(oldest);
      session.release(0, tagOf(oldest));
    }
  }

  sweep(): void {
    const nowMs = this.#house.clock.monotonicMs();
    for (const [key, untilMs] of this.#keys) {
      if (untilMs > nowMs) return;
      this.#keys.delete(key);
      this.#session?.release(0, tagOf(key));
    }
    if (this.#publishes.size === 0 && this.#waiting.size === 0 && this.#session !== undefined) this.end();
  }

  end(): void {
    this.ended = true;
    this.#session?.detach(false);
    this.#session = undefined;
    this.#fail(Outcome.unavailable);
  }

  #fail(outcome: Outcome): void {
    const house = this.#house;
    this.#publishes.endAll(house.answers.failure(outcome));
    for (const { reply } of this.#waiting.empty()) house.answer(reply, house.answers.failure(outcome));
  }

  attached(outcome: Outcome, session: Session | undefined): void {
    this.#session = session;
    if (session === undefined) {
      this.ended = true;
      this.#outcome = outcome;
      return this.#fail(outcome);
    }
    // From before a restart: how old they are is not known.
    const untilMs = this.#house.clock.monotonicMs() + this.#house.options.onceKeepSec * 1000;
    for (const tag of session.publishedTags()) this.#keys.set(Buffer.from(tag, 'latin1').toString(), untilMs);
    // What waited goes first.
    this.#house.later(() => {
      this.#isReady = true;
      for (const asked of this.#waiting.empty()) this.publish(asked);
    });
  }

  detached(_reason: CloseReason): void {
    this.ended = true;
    this.#session = undefined;
    this.#fail(Outcome.unavailable);
  }

  published(token: number, outcome: Outcome): void {
    this.#publishes.decided(token, outcome);
  }

  released(): void {}

  hold(on: boolean): void {
    this.#held = on;
  }

  // It subscribes to nothing.
  send(): boolean {
    return false;
  }

  transfer(): boolean {
    return false;
  }

  releaseDelivery(): void {}
  subscribed(): void {}
  unsubscribed(): void {}
}

/** The broker's tags have one character for each byte. */
function tagOf(key: string): string {
  return Buffer.from(key).toString('latin1');
}
