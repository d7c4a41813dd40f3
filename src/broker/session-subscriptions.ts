// What one session subscribes to: asked for by its peer, found in the journal, or taken away because its principal may not have
// it any more.

import { parseFilter } from '../message/filter.ts';
import { parseSelector } from '../message/selector/selector.ts';
import type { ClientSession } from './client-session.ts';
import type { CompetingConsumers } from './competing-consumers.ts';
import type { BrokerContext } from './context.ts';
import { Outcome } from './port.ts';
import type { SubscribeRequest, SubscribeResult } from './port.ts';
import { writeSubscribe, writeUnsubscribe } from './records.ts';
import { RetainedDelivery } from './retained-delivery.ts';
import { Subscription } from './route.ts';
import type { SubscriptionTerms } from './route.ts';

export class SessionSubscriptions {
  /** By the text that the peer wrote. */
  readonly byText = new Map<string, Subscription>();
  readonly #context: BrokerContext;
  readonly #session: ClientSession;
  /** Shared and named queues among them. */
  #competing: Set<CompetingConsumers> | undefined = undefined;
  #retained: RetainedDelivery | undefined = undefined;

  constructor(context: BrokerContext, session: ClientSession) {
    this.#context = context;
    this.#session = session;
  }

  /** `journaled`: the answer must wait for the session's shard. */
  subscribe(requests: readonly SubscribeRequest[]): { readonly results: readonly SubscribeResult[]; readonly journaled: boolean } {
    const results: SubscribeResult[] = [];
    let journaled = false;
    for (const request of requests) {
      const before = this.byText.get(request.filter);
      const result = this.#subscribeOne(request, before);
      if (!(result instanceof Subscription)) {
        results.push({ outcome: result, guarantee: 0 });
        continue;
      }
      results.push({ outcome: Outcome.accepted, guarantee: result.guarantee });
      if (this.#session.durable) {
        this.#write(result);
        journaled = true;
      }
      const wanted = request.retainHandling === 'always' || (request.retainHandling === 'ifNew' && before === undefined);
      if (wanted && result.competing === undefined) (this.#retained ??= new RetainedDelivery(this.#context, this.#session)).add(result);
    }
    return { results, journaled };
  }

  #subscribeOne(request: SubscribeRequest, before: Subscription | undefined): Subscription | Outcome {
    const session = this.#session;
    const { limits } = this.#context;
    const parsed = parseFilter(request.filter, limits.maxTopicLevels);
    if (parsed.kind === 'invalid') return Outcome.filterInvalid;
    const terms = termsOf(request);
    if (terms === undefined) return Outcome.selectorInvalid;
    if (terms.browse && parsed.kind !== 'queue') return Outcome.notSupported;
    if (!this.#allows(request.filter, parsed.kind === 'queue')) return Outcome.notAuthorized;
    if (session.durable && session.inbox.shard.stall !== undefined) return Outcome.unavailable;
    if (before === undefined && this.byText.size >= limits.maxSubscriptionsPerSession) return Outcome.quotaExceeded;
    const { usage } = session.inbox;
    if (before === undefined && usage?.admitsSubscription() === false) {
      usage.refuse('subscriptions');
      return Outcome.quotaExceeded;
    }
    let competing;
    if (parsed.kind !== 'plain') {
      const { space } = session;
      competing =
        parsed.kind === 'shared' ? space.obtainShared(parsed.group, parsed.filter, session.durable) : space.obtainNamed(parsed.name);
      if (competing === undefined) return Outcome.quotaExceeded;
      if (!terms.browse && !competing.admits(session, terms.exclusive)) return Outcome.inUse;
    }
    const subscription = new Subscription(
      session,
      request.filter,
      parsed.kind === 'queue' ? request.filter : parsed.filter,
      request.guarantee,
      request.noLocal,
      request.retainAsPublished,
      request.subscriptionId,
      competing,
      terms,
    );
    // The new one is there before the old one goes, so that a shared queue is never left without members in between.
    session.space.subscribe(subscription);
    if (before !== undefined) session.space.replaced(before);
    this.#keep(subscription);
    return subscription;
  }

  #allows(text: string, isQueue: boolean): boolean {
    return this.#context.security.allows(this.#session.principal, isQueue ? 'consume' : 'subscribe', text);
  }

  /** For a checkpoint. */
  writeAll(): void {
    for (const subscription of this.byText.values()) this.#write(subscription);
  }

  #write(subscription: Subscription): void {
    const { inbox } = this.#session;
    inbox.shard.touch();
    writeSubscribe(inbox.shard.writer, {
      queueId: inbox.id,
      filter: subscription.text,
      guarantee: subscription.guarantee,
      noLocal: subscription.noLocal,
      retainAsPublished: subscription.retainAsPublished,
      subscriptionId: subscription.subscriptionIds?.[0] ?? 0,
      selector: subscription.selector?.text,
      exclusive: subscription.exclusive,
      browse: subscription.browse,
      retainedOnly: subscription.retainedOnly,
    });
  }

  /** Returns whether there was one. The caller answers when the session's shard is durable, if the session is. */
  unsubscribe(filter: string): boolean {
    const subscription = this.byText.get(filter);
    if (subscription === undefined) return false;
    this.#drop(subscription);
    const { inbox } = this.#session;
    if (inbox.durable) {
      inbox.shard.touch();
      writeUnsubscribe(inbox.shard.writer, inbox.id, filter);
    }
    return true;
  }

  /** Takes away what the session's principal may not have any more. Returns what that was. */
  recheck(): readonly string[] {
    const revoked: string[] = [];
    for (const { text, competing } of this.byText.values()) {
      if (!this.#allows(text, competing?.queue.kind === 'named')) revoked.push(text);
    }
    for (const text of revoked) this.unsubscribe(text);
    return revoked;
  }

  /** The session is over. */
  dropAll(): void {
    for (const subscription of [...this.byText.values()]) this.#drop(subscription);
  }

  #drop(subscription: Subscription): void {
    this.byText.delete(subscription.text);
    this.#retained?.remove(subscription);
    this.#session.inbox.usage?.subscribed(-1);
    const competing = subscription.competing;
    if (competing !== undefined) this.#competing!.delete(competing);
    // What is under way stays so until the peer settles it, or its connection is lost [MQTT-3.10.4-3].
    this.#session.space.unsubscribe(subscription);
  }

  /** Takes over a subscription found in the journal. */
  recover(subscription: Subscription): void {
    this.#keep(subscription);
    this.#session.space.subscribe(subscription);
  }

  #keep(subscription: Subscription): void {
    if (!this.byText.has(subscription.text)) this.#session.inbox.usage?.subscribed(1);
    this.byText.set(subscription.text, subscription);
    if (subscription.competing !== undefined) (this.#competing ??= new Set()).add(subscription.competing);
  }

  /** Retained messages wait to be delivered. */
  get hasRetained(): boolean {
    return this.#retained !== undefined;
  }

  /** Delivers what the session can take now of the retained messages that it is to have. */
  deliverRetained(): void {
    if (this.#retained !== undefined && !this.#retained.run()) this.#retained = undefined;
  }

  /** Others may have now what was for this session alone. */
  connectionWent(): void {
    for (const competing of this.#competing ?? []) competing.memberWent();
  }

  /** The session can take more from the queues that it competes for. */
  pumpCompeting(): void {
    for (const competing of this.#competing ?? []) competing.pump();
  }
}

/** Undefined: its selector cannot be read. */
function termsOf({
  selector: text,
  exclusive = false,
  browse = false,
  retainedOnly = false,
}: SubscribeRequest): SubscriptionTerms | undefined {
  if (text === undefined) return { selector: undefined, exclusive, browse, retainedOnly };
  const parsed = parseSelector(text);
  return parsed.ok ? { selector: parsed.selector, exclusive, browse, retainedOnly } : undefined;
}
