// A session's will: published when its connection is lost, after its delay, or when the session ends, whichever is first
// [MQTT-3.1.2-8] [MQTT-3.1.3-9].
//
// The session's record names the will until what it became is durable in every shard it went to: after a crash in between it is
// published again rather than not at all.

import { Message } from '../../message/message.ts';
import type { Principal } from '../../security/security.ts';
import type { Timer } from '../../base/timers.ts';
import type { ClientSession } from './client-session.ts';
import type { BrokerContext } from '../context.ts';
import { distribute } from '../routing/distribution.ts';
import { Outcome } from '../port.ts';
import type { Will } from '../port.ts';
import type { WillRecord } from '../journal/records.ts';
import { whenAllDurable } from '../journal/shard.ts';

/** How long a will waits for a store that cannot take it now before it is tried again. */
const retryMs = 1000;

export class SessionWill {
  readonly #context: BrokerContext;
  readonly #session: ClientSession;
  #will: Will | undefined = undefined;
  /** On its way: not known to be durable yet. */
  #leaving: Will | undefined = undefined;
  /** The session is over but for its record, which goes when the will on its way is durable. */
  #whenGone: (() => void) | undefined = undefined;
  #dueAtMs = 0;
  #timer: Timer | undefined = undefined;

  constructor(context: BrokerContext, session: ClientSession) {
    this.#context = context;
    this.#session = session;
  }

  /** It is to be found after a crash. */
  get present(): boolean {
    return this.#will !== undefined || this.#leaving !== undefined;
  }

  /** A connection brings its will, or none: an earlier one is not published any more [MQTT-3.1.3-9]. */
  replace(will: Will | undefined): void {
    this.clear();
    this.#will = will;
  }

  /** The peer said goodbye. */
  clear(): void {
    this.#context.timers.cancel(this.#timer);
    this.#timer = undefined;
    this.#will = undefined;
    this.#dueAtMs = 0;
  }

  connectionLost(): void {
    const will = this.#will;
    if (will === undefined) return;
    const delayMs = Math.min(will.delayMs, this.#context.limits.maxWillDelayMs);
    if (delayMs === 0) this.#publish();
    else this.#schedule(delayMs);
  }

  #schedule(inMs: number): void {
    const { clock, timers } = this.#context;
    this.#dueAtMs = clock.wallMs() + inMs;
    this.#timer = timers.at(clock.monotonicMs() + inMs, () => this.#publish());
  }

  /** Publishes the will if there is still one. `gone` is called once nothing of it has to survive a crash any more. */
  sessionEnds(gone: () => void): void {
    this.#publish();
    if (this.#leaving === undefined) gone();
    else this.#whenGone = gone;
  }

  #publish(): void {
    const will = this.#will;
    if (will === undefined) return;
    const hasWaited = this.#dueAtMs !== 0;
    this.clear();
    this.#leaving = will;
    const { space, principal, principalIsKnown } = this.#session;
    if (principalIsKnown && space.admitsMessage(principal, will.message) !== Outcome.accepted) this.#revoke(will);
    else if (hasWaited || !principalIsKnown) this.#askForOwner(will, principal);
    else this.#send(will, true);
  }

  /** While it waited, here or in the journal, its owner may have been barred. By what that one was connected does not matter any more. */
  #askForOwner(will: Will, { tenant, id, kind, roles }: Principal): void {
    const { security, turn } = this.#context;
    if (security.reassess === undefined) return this.#send(will, true);
    security.reassess({ tenant, id, kind, roles }, ({ standing }) => {
      // The answer may come from outside of the event loop's turns.
      turn.atEnd(() => {});
      if (standing === 'good') this.#send(will, true);
      else this.#revoke(will);
    });
  }

  /** Its owner may have lost the right since it connected. */
  #revoke(will: Will): void {
    const { tenant } = this.#session.space;
    this.#context.counters.willsRevoked++;
    this.#context.log.info('will.revoked', { tenant, client: this.#session.clientId, topic: will.message.topic });
    this.#sent(will);
  }

  #send(will: Will, firstTry: boolean): void {
    const { clock, timers, log, counters } = this.#context;
    const space = this.#session.space;
    const message = published(will, clock.wallMs());
    // Not refused, but counted: or else one could publish above one's rates by connecting again and again.
    const { usage } = this.#session.inbox;
    if (firstTry && usage?.metered === true) usage.published(message.payloadBytes + message.topicBytes.length);
    const { outcome, shards } = distribute(this.#context, space, space.route(message.topic), message, undefined);
    if (outcome === Outcome.unavailable) {
      if (firstTry) log.warn('will-waits', { clientId: this.#session.clientId, reason: 'store unavailable' });
      timers.at(clock.monotonicMs() + retryMs, () => this.#send(will, false));
      return;
    }
    counters.willsPublished++;
    whenAllDurable(
      shards.map((shard) => ({ shard, row: shard.row })),
      () => this.#sent(will),
    );
  }

  #sent(will: Will): void {
    // Another one may have followed it.
    if (this.#leaving === will) this.#leaving = undefined;
    if (!this.#session.ended) this.#session.writeRecord();
    if (this.#leaving !== undefined) return;
    this.#whenGone?.();
    this.#whenGone = undefined;
  }

  record(): WillRecord | undefined {
    const will = this.#will;
    if (will !== undefined) return { message: will.message, delayMs: will.delayMs, dueAtMs: this.#dueAtMs };
    return this.#leaving === undefined ? undefined : { message: this.#leaving.message, delayMs: 0, dueAtMs: 0 };
  }

  /** Found in the journal: the connection is lost, whether the node knew it then or not. */
  recover(record: WillRecord): void {
    this.#will = { message: record.message, delayMs: record.delayMs };
    if (record.dueAtMs === 0) {
      this.connectionLost();
      return;
    }
    // The clock may have been set in between: never longer than its delay.
    this.#schedule(Math.min(record.delayMs, Math.max(0, record.dueAtMs - this.#context.clock.wallMs())));
  }
}

/** The message of a will that is published now: its lifetime begins (MQTT 5 §3.1.3.2.4). */
function published({ message: m }: Will, nowMs: number): Message {
  const expiresAtMs = m.expiresAtMs === 0 ? 0 : nowMs + (m.expiresAtMs - m.acceptedAtMs);
  return new Message(
    m.topic,
    m.topicBytes,
    m.buffer,
    m.start,
    m.end,
    m.guarantee,
    m.retain,
    m.priority,
    expiresAtMs,
    nowMs,
    m.sender,
    m.attributes,
  );
}
