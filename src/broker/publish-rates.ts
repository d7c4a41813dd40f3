// What slows a publisher down: a journal that is behind, and the rates that its principal and its tenant may use.

import type { Message } from '../message/message.ts';
import type { ClientSession } from './client-session.ts';
import type { BrokerContext } from './context.ts';
import { HoldReason } from './held-publishers.ts';
import type { Usage } from './usage.ts';

/** A publisher that is held back for its rates is looked at this often: they may have been raised. */
const maxWaitMs = 5000;

/** It goes on when the journal has caught up. */
export function holdForPressure({ held, counters }: BrokerContext, { consumer }: ClientSession): void {
  if (consumer !== undefined && held.hold(consumer, HoldReason.pressure)) counters.publishersHeld++;
}

/**
 * Whether a publish may go on. Above the rates what is delivered at most once is dropped, who can be refused is refused, and
 * who cannot is held back until the mean is right again: disconnected, it would only come again with the same.
 */
export function isWithinRates(context: BrokerContext, session: ClientSession, usage: Usage, message: Message): boolean {
  const isWithin = usage.admitsPublish(context.clock.monotonicMs());
  if (!isWithin) {
    usage.refuse('rate');
    if (message.guarantee === 0 || session.attachment?.canRefuse !== false) return false;
  }
  usage.published(message.payloadBytes + message.topicBytes.length);
  if (!isWithin) holdUntilWithinRates(context, session, usage);
  return true;
}

function holdUntilWithinRates({ held, counters, timers, clock }: BrokerContext, session: ClientSession, usage: Usage): void {
  const { consumer } = session;
  if (consumer === undefined || !held.hold(consumer, HoldReason.rates)) return;
  counters.publishersHeldByRates++;
  const wait = (): void => {
    const nowMs = clock.monotonicMs();
    if (usage.admitsPublish(nowMs)) held.release(consumer, HoldReason.rates);
    else timers.at(nowMs + Math.min(Math.max(1, usage.waitMs()), maxWaitMs), () => session.consumer === consumer && wait());
  };
  wait();
}
