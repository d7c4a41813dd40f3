// What a session publishes beyond the shortest way: what is asked of each message, what must be stored, and what slows its
// publisher down: a journal that is behind, and the rates that its principal and its tenant may use.

import type { Message } from '../../message/message.ts';
import type { ClientSession } from './client-session.ts';
import type { BrokerContext } from '../context.ts';
import { acknowledgeWhenDurable, distribute } from '../routing/distribution.ts';
import { HoldReason } from '../held-publishers.ts';
import { Outcome } from '../port.ts';
import type { Address } from '../port.ts';
import type { OriginId } from '../journal/records.ts';
import type { Route } from '../routing/route.ts';
import { isTemporary } from '../queues/temporary-nodes.ts';
import type { RoutedAddress } from '../routing/topic-space.ts';
import type { Usage } from '../quotas/usage.ts';

/** A publisher that is held back for its rates is looked at this often: they may have been raised. */
const maxWaitMs = 5000;

/** What is asked of messages one by one. `id`: what an exactly-once message is recognised by. */
export function refusalOf(
  context: BrokerContext,
  session: ClientSession,
  routed: RoutedAddress,
  message: Message,
  id: OriginId,
): Outcome | undefined {
  if (routed.terms !== undefined && !routed.terms.allows(message.guarantee, message.payloadBytes)) return Outcome.notAuthorized;
  // A last value would outlive a temporary topic.
  if (message.retain && (isTemporary(message.topic) || !routed.allowsRetained(message))) return Outcome.notAuthorized;
  const { usage } = session.inbox;
  if (usage?.metered !== true) return undefined;
  // What was promised may not be refused when it is asked for again.
  if (message.guarantee === 2 && session.received.has(id)) return undefined;
  return isWithinRates(context, session, usage, message) ? undefined : Outcome.quotaExceeded;
}

/** What is, or may have to be, more than handed to who is there. */
export function publishKept(
  context: BrokerContext,
  session: ClientSession,
  route: Route,
  message: Message,
  token: number,
  tag: string | undefined,
): Outcome {
  if (message.guarantee === 2) {
    const outcome = session.received.publish(route, message, token, tag ?? token);
    if (outcome === Outcome.pending && context.pressure.on) holdForPressure(context, session);
    return outcome;
  }
  const publisher = { session, origin: 0, id: 0, skip: undefined };
  const { outcome, shards } = distribute(context, session.space, route, message, publisher);
  if (outcome === Outcome.quotaExceeded || outcome === Outcome.unavailable) return outcome;
  context.counters.publishesAccepted++;
  if (outcome !== Outcome.pending) return outcome;
  if (context.pressure.on) holdForPressure(context, session);
  if (message.guarantee === 0) return Outcome.accepted;
  acknowledgeWhenDurable(shards, session, token);
  return Outcome.pending;
}

/** What may be published only because it answers a request (reply-permissions.ts). */
export function publishAnswer(
  context: BrokerContext,
  session: ClientSession,
  routed: RoutedAddress,
  message: Message,
  token: number,
  tag: string | undefined,
): Outcome {
  // What is published again has used up its permission.
  const isRepeated = message.guarantee === 2 && session.received.has(tag ?? token);
  const takeBack = isRepeated ? nothing : routed.answer(message);
  if (takeBack === undefined) return Outcome.notAuthorized;
  const outcome = publishKept(context, session, routed.route(), message, token, tag);
  if (outcome === Outcome.quotaExceeded || outcome === Outcome.unavailable) takeBack();
  return outcome;
}

const nothing = (): void => {};

/**
 * Whether a message may be published later, by a transaction. As far as it can be known now; the caller bounds its size. `lent`:
 * gets how to give back the permission that was used up for it, if one was.
 */
export function admitsTransacted(
  context: BrokerContext,
  session: ClientSession,
  address: Address,
  message: Message,
  lent: (() => void)[],
): Outcome {
  if (address.outcome !== Outcome.accepted) return address.outcome;
  const routed = address as RoutedAddress;
  // What a service of the node is asked happens at once.
  if (routed.service !== undefined) return Outcome.notSupported;
  const refused = refusalOf(context, session, routed, message, 0);
  if (refused !== undefined || routed.admitted === Outcome.accepted) return refused ?? Outcome.accepted;
  const takeBack = routed.answer(message);
  if (takeBack === undefined) return Outcome.notAuthorized;
  lent.push(takeBack);
  return Outcome.accepted;
}

/** It goes on when the journal has caught up. */
export function holdForPressure({ held, counters }: BrokerContext, { consumer }: ClientSession): void {
  if (consumer !== undefined && held.hold(consumer, HoldReason.pressure)) counters.publishersHeld++;
}

/**
 * Whether a publish may go on. Above the rates what is delivered at most once is dropped, who can be refused is refused, and
 * who cannot is held back until the mean is right again: disconnected, it would only come again with the same.
 */
function isWithinRates(context: BrokerContext, session: ClientSession, usage: Usage, message: Message): boolean {
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
