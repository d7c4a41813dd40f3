// What must hold of every simulated history, whatever the faults were.

import type { Facts, SentMessage, SubscriberFacts } from './facts.ts';

/** Everything that is wrong; empty: nothing. `refusals`: publishes that the node refused, whether the publisher learned it or not. */
export function check(facts: Facts, refusals: number): string[] {
  const problems = [...facts.complaints];
  for (const subscriber of facts.subscribers) {
    problems.push(...nothingAfterTheCut(facts, subscriber));
    problems.push(...onlyWhatWasSent(facts, subscriber), ...noRepetition(facts, subscriber), ...inOrder(facts, subscriber, refusals > 0));
    if (subscriber.group === undefined && subscriber.durable) problems.push(...nothingLost(facts, subscriber));
  }
  problems.push(...groupsGetEverythingOnce(facts), ...allOrNothing(facts), ...messageGroupsInOrder(facts, refusals > 0));
  return problems;
}

/** What is published after a right was lost never reaches who lost it. */
function nothingAfterTheCut(facts: Facts, { clientId, cutAtMs = Infinity, received }: SubscriberFacts): string[] {
  return received
    .filter(({ key }) => (facts.sent.get(key)?.sentAtMs ?? 0) > cutAtMs)
    .map(({ key, topic }) => `CUT: ${clientId} got ${key} on ${topic}, to which it had lost the right`);
}

function matching(facts: Facts, subscriber: SubscriberFacts): SentMessage[] {
  const { filter, color } = subscriber;
  return [...facts.sent.values()].filter((message) => covers(filter, message.topic) && (color === undefined || message.color === color));
}

function covers(filter: string, topic: string): boolean {
  return filter === topic || (filter.endsWith('/#') && topic.startsWith(filter.slice(0, -1)));
}

/** Acknowledged above QoS 0 after the subscription was acknowledged: it must have arrived. */
function nothingLost(facts: Facts, subscriber: SubscriberFacts): string[] {
  if (subscriber.qos === 0 || subscriber.subscribedAtMs === undefined || subscriber.cutAtMs !== undefined) return [];
  const got = new Set(subscriber.received.map(({ key }) => key));
  return matching(facts, subscriber)
    .filter(({ qos, acknowledgedAtMs, sentAtMs }) => qos > 0 && acknowledgedAtMs !== undefined && sentAtMs > subscriber.subscribedAtMs!)
    .filter(({ key }) => !got.has(key))
    .map(({ key, topic }) => `LOST: ${key} on ${topic} was acknowledged and never reached ${subscriber.clientId}`);
}

/**
 * Exactly once means no repetition, for as long as the session lives: that of a durable subscriber for ever, that of another
 * as long as its connection. What is delivered at most once is not repeated within a connection either, unless its publisher
 * did so.
 */
function noRepetition(facts: Facts, subscriber: SubscriberFacts): string[] {
  const seen = new Map<string, number>();
  for (const { key, qos, connection } of subscriber.received) {
    if (qos === 1 || facts.sent.get(key)?.qos === 1) continue;
    const scope = qos === 2 && subscriber.durable ? key : `${key} on connection ${connection}`;
    seen.set(scope, (seen.get(scope) ?? 0) + 1);
  }
  return [...seen].filter(([, n]) => n > 1).map(([scope, n]) => `REPEATED: ${subscriber.clientId} got ${scope} ${n} times`);
}

function onlyWhatWasSent(facts: Facts, subscriber: SubscriberFacts): string[] {
  const problems: string[] = [];
  for (const { key, topic, wallMs = Infinity } of subscriber.received) {
    const sent = facts.sent.get(key);
    if (sent === undefined || sent.topic !== topic) problems.push(`INVENTED: ${subscriber.clientId} got ${key} on ${topic}`);
    else if (subscriber.color !== undefined && sent.color !== subscriber.color)
      problems.push(`UNASKED: ${subscriber.clientId} got ${key}, which its selector does not select`);
    else if (!covers(subscriber.filter, topic)) problems.push(`ASTRAY: ${subscriber.clientId} got ${key} on ${topic}`);
    else if (sent.refused && sent.attempts === 1)
      problems.push(`REFUSED: ${subscriber.clientId} got ${key}, which its publisher was told was refused`);
    else if (!facts.clockJumped && wallMs < (sent.dueAtMs ?? 0))
      problems.push(`EARLY: ${subscriber.clientId} got ${key} ${sent.dueAtMs! - wallMs} ms too early`);
    else if (topic.startsWith('secret/')) problems.push(`FORBIDDEN: ${subscriber.clientId} got ${key} on ${topic}`);
  }
  return problems;
}

/** Per publisher, topic and guarantee, messages arrive first in the order in which they were sent. */
function inOrder(facts: Facts, subscriber: SubscriberFacts, refused: boolean): string[] {
  if (subscriber.group !== undefined || subscriber.moody === true) return [];
  // A commit that its publisher did not wait for may happen after what it published next.
  const late = new Set(facts.transactions.flatMap(({ keys, fate }) => (fate === 'unknown' ? keys : [])));
  const last = new Map<string, { sequence: number; key: string }>();
  const seen = new Set<string>();
  const problems: string[] = [];
  for (const { key, qos } of subscriber.received) {
    const sent = facts.sent.get(key);
    // Who takes at most once may have missed the first of two that their publisher then sends again.
    if (sent === undefined || sent.isUnordered === true || sent.dueAtMs !== undefined) continue;
    if (seen.has(key) || late.has(key) || qos < sent.qos) continue;
    // One that was refused, and sent again because its publisher did not hear so, comes after its successors; so does, for who
    // was not there the first time, or keeps no session, any that was sent again.
    if ((refused || !subscriber.durable || sent.sentAtMs < (subscriber.subscribedAtMs ?? 0)) && sent.attempts > 1) continue;
    seen.add(key);
    const stream = `${sent.publisher} ${sent.topic} ${sent.qos} ${qos}`;
    const before = last.get(stream);
    if (before !== undefined && before.sequence > sent.sequence) {
      problems.push(`ORDER: ${subscriber.clientId} got ${key} after ${before.key} of the same publisher, topic and QoS`);
    }
    last.set(stream, { sequence: sent.sequence, key });
  }
  return problems;
}

/**
 * From when on the group never was without a member: a shared subscription ends with its last one, and what waited for it goes
 * with it.
 */
function hasMembersSince(members: readonly SubscriberFacts[]): number {
  let since = Infinity;
  let untilMs = -Infinity;
  const comings = members.flatMap(({ subscribedAtMs: fromMs, cutAtMs = Infinity }) => (fromMs === undefined ? [] : [{ fromMs, cutAtMs }]));
  for (const { fromMs, cutAtMs } of comings.toSorted((a, b) => a.fromMs - b.fromMs)) {
    if (fromMs >= untilMs) since = fromMs;
    untilMs = Math.max(untilMs, cutAtMs);
  }
  return untilMs === Infinity ? since : Infinity;
}

/** A group as a whole gets everything acknowledged, and at QoS 2 nothing twice. */
function groupsGetEverythingOnce(facts: Facts): string[] {
  const problems: string[] = [];
  const groups = Map.groupBy(
    facts.subscribers.filter(({ group }) => group !== undefined),
    ({ group, filter }) => `${group} ${filter}`,
  );
  for (const [name, members] of groups) {
    const since = hasMembersSince(members);
    const times = new Map<string, number>();
    for (const { received } of members) for (const { key } of received) times.set(key, (times.get(key) ?? 0) + 1);
    for (const message of matching(facts, members[0]!)) {
      const n = times.get(message.key) ?? 0;
      const owed = message.qos > 0 && message.acknowledgedAtMs !== undefined && message.sentAtMs > since;
      if (owed && n === 0) problems.push(`LOST: ${message.key} was acknowledged and never reached the group ${name}`);
      if (message.qos === 2 && members.every(({ qos, durable }) => qos === 2 && durable) && n > 1) {
        problems.push(`REPEATED: the group ${name} got ${message.key} ${n} times`);
      }
    }
  }
  return problems;
}

/**
 * Of a transaction either everything arrives or nothing, and nothing of one that was rolled back. Who keeps no session may see what
 * a power cut then undoes, as of any message that was not acknowledged: they are asked only about what was rolled back.
 */
function allOrNothing(facts: Facts): string[] {
  const problems: string[] = [];
  const got = keysOf(facts.subscribers);
  // Durable, so that nothing can have passed them by, and no members of groups, who get a share each.
  const faithful = facts.subscribers.filter(
    ({ durable, group, qos, cutAtMs, subscribedAtMs }) =>
      durable && group === undefined && qos > 0 && cutAtMs === undefined && subscribedAtMs !== undefined,
  );
  const kept = keysOf(faithful);
  for (const { keys, fate } of facts.transactions) {
    if (fate === 'rolledBack') {
      const seen = keys.filter((key) => got.has(key));
      if (seen.length > 0) problems.push(`ROLLED BACK: ${seen.join(' ')} arrived all the same`);
    }
    const arrived = keys.filter((key) => kept.has(key));
    if (arrived.length === 0 || arrived.length === keys.length) continue;
    const missing = keys.filter((key) => !kept.has(key) && expectedBy(faithful, facts.sent.get(key)!));
    if (missing.length > 0) problems.push(`HALF: ${arrived.join(' ')} arrived, but not ${missing.join(' ')} of the same transaction`);
  }
  return problems;
}

function keysOf(subscribers: readonly SubscriberFacts[]): ReadonlySet<string> {
  return new Set(subscribers.flatMap(({ received }) => received.map(({ key }) => key)));
}

function expectedBy(subscribers: readonly SubscriberFacts[], { topic, color, sentAtMs }: SentMessage): boolean {
  return subscribers.some(
    (each) => covers(each.filter, topic) && (each.color === undefined || each.color === color) && each.subscribedAtMs! < sentAtMs,
  );
}

/** Whichever consumers they went to, messages of a group arrive first in the order in which their publisher sent them. */
function messageGroupsInOrder(facts: Facts, refused: boolean): string[] {
  const problems: string[] = [];
  const seen = new Set<string>();
  const last = new Map<string, SentMessage>();
  const received = facts.subscribers.flatMap(({ clientId, received: each }) => each.map(({ key, atMs }) => ({ clientId, key, atMs })));
  for (const { clientId, key } of received.toSorted((a, b) => a.atMs - b.atMs)) {
    const sent = facts.sent.get(key);
    if (sent?.messageGroup === undefined || seen.has(key) || (refused && sent.attempts > 1)) continue;
    seen.add(key);
    const stream = `${sent.publisher} ${sent.messageGroup}`;
    const before = last.get(stream);
    if (before !== undefined && before.sequence > sent.sequence) {
      problems.push(`GROUP: ${clientId} got ${key} after ${before.key} of the same message group`);
    }
    last.set(stream, sent);
  }
  return problems;
}
