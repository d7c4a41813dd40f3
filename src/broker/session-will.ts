// A session's will: published when its connection is lost, after its delay, or when the session ends, whichever is first
// [MQTT-3.1.2-8] [MQTT-3.1.3-9].

import { Message } from '../message/message.ts';
import type { Timer } from '../base/timers.ts';
import type { ClientSession } from './client-session.ts';
import type { BrokerContext } from './context.ts';
import { distribute } from './distribution.ts';
import { Outcome } from './port.ts';
import type { Will } from './port.ts';
import type { WillRecord } from './records.ts';

export class SessionWill {
  readonly #context: BrokerContext;
  readonly #session: ClientSession;
  #will: Will | undefined = undefined;
  #dueAtMs = 0;
  #timer: Timer | undefined = undefined;

  constructor(context: BrokerContext, session: ClientSession) {
    this.#context = context;
    this.#session = session;
  }

  get present(): boolean {
    return this.#will !== undefined;
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
    this.#timer = timers.at(clock.monotonicMs() + inMs, () => {
      this.#publish();
      this.#session.writeRecord();
    });
  }

  sessionEnds(): void {
    if (this.#will !== undefined) this.#publish();
  }

  #publish(): void {
    const will = this.#will;
    if (will === undefined) return;
    this.clear();
    const { clock, counters, log } = this.#context;
    const nowMs = clock.wallMs();
    const m = will.message;
    // Its lifetime begins when it is published (MQTT 5 §3.1.3.2.4).
    const expiresAtMs = m.expiresAtMs === 0 ? 0 : nowMs + (m.expiresAtMs - m.acceptedAtMs);
    const message = new Message(
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
    const space = this.#session.space;
    const { outcome } = distribute(this.#context, space, space.route(message.topic), message, undefined);
    if (outcome === Outcome.quotaExceeded || outcome === Outcome.unavailable) {
      log.warn('will-refused', {
        clientId: this.#session.clientId,
        reason: outcome === Outcome.quotaExceeded ? 'queue full' : 'store unavailable',
      });
      return;
    }
    counters.willsPublished++;
  }

  record(): WillRecord | undefined {
    const will = this.#will;
    return will === undefined ? undefined : { message: will.message, delayMs: will.delayMs, dueAtMs: this.#dueAtMs };
  }

  /** Found in the journal: the connection is lost, whether the node knew it then or not. */
  recover(record: WillRecord): void {
    this.#will = { message: record.message, delayMs: record.delayMs };
    if (record.dueAtMs === 0) {
      this.connectionLost();
      return;
    }
    this.#schedule(Math.max(0, record.dueAtMs - this.#context.clock.wallMs()));
  }
}
