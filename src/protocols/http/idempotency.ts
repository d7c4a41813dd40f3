// Exactly once: an Idempotency-Key names a message for as long as it is remembered, whatever connection it comes by, and across a
// restart. The broker recognises it in a lasting session of the principal; here it is only known when to forget it.

import { Outcome } from '../../broker/port.ts';
import type { CloseReason, Consumer, Session } from '../../broker/port.ts';
import type { Timer } from '../../base/timers.ts';
import type { Message } from '../../message/message.ts';
import type { Principal } from '../../security/security.ts';
import { fingerprint } from './fingerprint.ts';
import type { Member } from './member.ts';
import type { Problem } from './problem.ts';
import type { HttpServer } from './server.ts';

type Done = (outcome: Outcome | Problem) => void;
type Known = {
  /** Monotonic. */
  readonly untilMs: number;
  /** Of topic and payload; undefined: from before a restart. */
  readonly content: string | undefined;
};

const otherContent: Problem = { status: 422, code: 'idempotency-key-reused', title: 'The key was used for another message' };
const tooManyKeys: Problem = {
  status: 429,
  code: 'too-many-idempotency-keys',
  title: 'Too many Idempotency-Keys are remembered',
  headers: { 'Retry-After': '10' },
};
const tooManyPrincipals: Problem = { ...tooManyKeys, status: 503, code: 'overloaded' };
const held: Problem = {
  status: 503,
  code: 'overloaded',
  title: 'The store is behind: publish it again',
  headers: { 'Retry-After': '1' },
};

export class IdempotencyDesks {
  readonly #server: HttpServer;
  readonly #desks = new Map<string, Desk>();

  constructor(server: HttpServer) {
    this.#server = server;
  }

  publish(member: Member, key: string, message: Message, done: Done): void {
    const { principal } = member;
    const name = `${principal.tenant}\n${principal.id}`;
    let desk = this.#desks.get(name);
    if (desk === undefined) {
      if (this.#desks.size >= this.#server.options.maxIdempotentPrincipals) return done(tooManyPrincipals);
      desk = new Desk(this.#server, principal, () => this.#desks.delete(name));
      this.#desks.set(name, desk);
      desk.attach();
    }
    desk.publish(principal, key, message, done);
  }
}

class Desk implements Consumer {
  readonly congested = true;
  readonly #server: HttpServer;
  readonly #over: () => void;
  #principal: Principal;
  #session: Session | undefined;
  /** Until it is attached. */
  #waiting: ((session: Session | undefined, outcome: Outcome) => void)[] = [];
  #isOver = false;
  #isHeld = false;
  /** In the order in which they are forgotten. */
  readonly #keys = new Map<string, Known>();
  readonly #pending = new Map<number, Done>();
  #nextToken = 1;
  #timer: Timer | undefined;

  constructor(server: HttpServer, principal: Principal, over: () => void) {
    this.#server = server;
    this.#principal = principal;
    this.#over = over;
  }

  attach(): void {
    const { idempotencyMs } = this.#server.options;
    const { access } = this.#principal;
    this.#server.broker.attach(
      {
        principal: this.#principal,
        clientId: this.#server.lastingName(this.#principal, 'once', ''),
        connectsAs: this.#principal.id,
        protocol: 'HTTP',
        remoteAddress: access?.remoteAddress ?? '',
        listener: access?.listener ?? '',
        cleanStart: false,
        sessionExpiryMs: idempotencyMs,
        will: undefined,
        receiveMaximum: 1,
        maxPacketBytes: Infinity,
      },
      this,
    );
  }

  publish(principal: Principal, key: string, message: Message, done: Done): void {
    if (this.#session === undefined) {
      const own = message.kept();
      this.#waiting.push((session, outcome) => (session === undefined ? done(outcome) : this.#publish(session, principal, key, own, done)));
      return;
    }
    this.#publish(this.#session, principal, key, message, done);
  }

  #publish(session: Session, principal: Principal, key: string, message: Message, done: Done): void {
    const bytes = new Uint8Array(Buffer.from(key));
    const tag = fingerprint(bytes);
    const content = fingerprint(message.payload(), fingerprint(message.topicBytes).charCodeAt(0) + message.topicBytes.length * 256);
    const known = this.#keys.get(tag);
    if (known !== undefined && known.content !== undefined && known.content !== content) return done(otherContent);
    if (known === undefined && this.#keys.size >= this.#server.options.maxIdempotencyKeys) return done(tooManyKeys);
    // Its own session is held, not those of the connections, which are told to come again instead.
    if (this.#isHeld) return done(held);
    if (principal !== this.#principal) {
      // What it may do depends on how it is connected.
      this.#principal = principal;
      session.renew(principal);
    }
    const address = session.address(message.topic, message.topicBytes);
    if (address.outcome !== Outcome.accepted) return done(address.outcome);
    const token = (this.#nextToken = (this.#nextToken % 0x3fff_ffff) + 1);
    const outcome = session.publish(address, message, token, tag);
    // The broker has ended the session instead: of this publish it says nothing more.
    if (this.#session !== session) return done(Outcome.unavailable);
    const isTaken = outcome === Outcome.accepted || outcome === Outcome.noSubscribers || outcome === Outcome.pending;
    if (isTaken && known === undefined) this.#remember(tag, content);
    this.#arm();
    if (outcome === Outcome.pending) this.#pending.set(token, done);
    else done(outcome);
  }

  #remember(tag: string, content: string | undefined): void {
    const untilMs = this.#server.clock.monotonicMs() + this.#server.options.idempotencyMs;
    this.#keys.set(tag, { untilMs, content });
    this.#server.counters.rememberedKeys++;
  }

  /** Also when there is no key to forget: then it is the session that is not needed any more. */
  #arm(): void {
    if (this.#timer !== undefined || this.#isOver) return;
    const { clock, options, timers } = this.#server;
    const { untilMs = clock.monotonicMs() + options.idempotencyMs } = this.#keys.values().next().value ?? {};
    this.#timer = timers.at(untilMs, (nowMs) => {
      this.#timer = undefined;
      this.#forget(nowMs);
    });
  }

  #forget(nowMs: number): void {
    for (const [tag, { untilMs }] of this.#keys) {
      if (untilMs > nowMs) break;
      this.#keys.delete(tag);
      this.#server.counters.rememberedKeys--;
      this.#session?.release(0, tag);
    }
    if (this.#keys.size > 0 || this.#pending.size > 0 || this.#waiting.length > 0) return this.#arm();
    // Nothing to remember: the session goes, too.
    this.#session?.detach(false, 0);
    this.#end();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#session = undefined;
    this.#server.timers.cancel(this.#timer);
    this.#server.counters.rememberedKeys -= this.#keys.size;
    this.#over();
    for (const done of this.#pending.values()) done(Outcome.unavailable);
    this.#pending.clear();
  }

  // --- what the broker tells

  attached(outcome: Outcome, session: Session | undefined): void {
    this.#session = session;
    for (const tag of session?.publishedTags() ?? []) if (!this.#keys.has(tag)) this.#remember(tag, undefined);
    const waiting = this.#waiting;
    this.#waiting = [];
    // Nothing may be published from within the call.
    this.#server.turn.atEnd(() => {
      // Once it is lost, also by one of them, nothing of what waits is published.
      for (const each of waiting) each(this.#session, this.#session === session ? outcome : Outcome.unavailable);
      this.#arm();
    });
    if (session === undefined) this.#end();
  }

  send(): boolean {
    return false;
  }

  transfer(): boolean {
    return false;
  }

  releaseDelivery(): void {}

  published(token: number, outcome: Outcome): void {
    const done = this.#pending.get(token);
    this.#pending.delete(token);
    done?.(outcome);
  }

  released(): void {}
  subscribed(): void {}
  unsubscribed(): void {}

  hold(on: boolean): void {
    this.#isHeld = on;
  }

  detached(_reason: CloseReason): void {
    this.#session = undefined;
    for (const each of this.#waiting) each(undefined, Outcome.unavailable);
    this.#waiting = [];
    this.#end();
  }
}
