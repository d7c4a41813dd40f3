// What one session subscribes to: asked for by its peer, found in the journal, or taken away because its principal may not have
// it any more.

import { parseFilter, type ParsedFilter } from '../../message/filter.ts';
import { parseSelector } from '../../message/selector/selector.ts';
import type { ClientSession } from './client-session.ts';
import type { CompetingConsumers } from '../queues/competing-consumers.ts';
import type { BrokerContext } from '../context.ts';
import { Outcome } from '../port.ts';
import type { SubscribeRequest, SubscribeResult, SubscribedFilter } from '../port.ts';
import { writeSubscribe, writeUnsubscribe } from '../journal/records.ts';
import { RetainedDelivery } from '../routing/retained-delivery.ts';
import { Subscription } from '../routing/route.ts';
import type { SubscriptionTerms } from '../routing/route.ts';
import { currentRows, whenAllDurable } from '../journal/shard.ts';
import type { Shard, Written } from '../journal/shard.ts';
import { isTemporary } from '../queues/temporary-nodes.ts';
import type { KeptTerms } from '../routing/topic-space.ts';

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

  subscribe(requests: readonly SubscribeRequest[], token: number): void {
    const { results, written } = this.#subscribeAll(requests);
    const { consumer } = this.#session;
    whenAllDurable(written, () => {
      if (consumer === undefined || consumer !== this.#session.consumer) return;
      consumer.subscribed(token, results);
      this.#session.resume();
    });
  }

  unsubscribe(filters: readonly string[], token: number): void {
    const { outcomes, written } = this.#unsubscribeAll(filters);
    const { consumer } = this.#session;
    whenAllDurable(written, () => consumer === this.#session.consumer && consumer?.unsubscribed(token, outcomes));
  }

  /** See Session.subscribed. */
  asked(): SubscribedFilter[] {
    return Array.from(this.byText.values(), ({ text, guarantee, noLocal, selector }) => ({
      filter: text,
      guarantee,
      noLocal,
      ...(selector !== undefined && { selector: selector.text }),
    }));
  }

  /** `written`: the answer must wait for it to be durable. */
  #subscribeAll(requests: readonly SubscribeRequest[]): {
    readonly results: readonly SubscribeResult[];
    readonly written: readonly Written[];
  } {
    const results: SubscribeResult[] = [];
    const written = new Set<Shard>();
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
        written.add(this.#session.inbox.shard);
      }
      if (request.sharedExpiryMs !== undefined && result.competing !== undefined) written.add(result.competing.queue.shard);
      const wanted = request.retainHandling === 'always' || (request.retainHandling === 'ifNew' && before === undefined);
      if (wanted && result.competing === undefined) (this.#retained ??= new RetainedDelivery(this.#context, this.#session)).add(result);
    }
    return { results, written: currentRows(written) };
  }

  #subscribeOne(request: SubscribeRequest, before: Subscription | undefined): Subscription | Outcome {
    const session = this.#session;
    const { limits } = this.#context;
    const parsed = parseFilter(request.filter, limits.maxTopicLevels);
    if (parsed.kind === 'invalid') return Outcome.filterInvalid;
    const terms = termsOf(request);
    if (terms === undefined) return Outcome.selectorInvalid;
    if (terms.browse && parsed.kind !== 'queue') return Outcome.notSupported;
    if (terms.retainedOnly && parsed.kind !== 'plain') return Outcome.notSupported;
    if (!this.#allows(request.filter, parsed)) return Outcome.notAuthorized;
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
        parsed.kind === 'shared'
          ? space.obtainShared(parsed.group, parsed.filter, session.durable, false, keptTerms(request, terms))
          : space.obtainNamed(parsed.name);
      if (competing === undefined) return parsed.kind === 'queue' && parsed.name.startsWith('$') ? Outcome.notFound : Outcome.quotaExceeded;
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

  #allows(text: string, parsed: ParsedFilter): boolean {
    const { principal, space } = this.#session;
    if (parsed.kind === 'queue') {
      const owner = space.temporary.ownerOfQueue(parsed.name);
      return owner === undefined ? this.#context.security.allows(principal, 'consume', text) : owner === principal.id;
    }
    // No wildcard stands for them: each is subscribed to by its name.
    if (parsed.kind !== 'invalid' && isTemporary(parsed.filter)) return space.temporary.ownerOfTopic(parsed.filter) === principal.id;
    return this.#context.security.allows(principal, 'subscribe', text);
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

  /** `written`: the answer must wait for it to be durable. */
  #unsubscribeAll(filters: readonly string[]): { readonly outcomes: readonly Outcome[]; readonly written: readonly Written[] } {
    const written = new Set<Shard>();
    const { durable, inbox } = this.#session;
    const outcomes = filters.map((filter) => {
      const competing = this.byText.get(filter)?.competing;
      if (!this.#unsubscribeOne(filter)) return this.#unsubscribeForsaken(filter, written);
      if (durable) written.add(inbox.shard);
      if (competing !== undefined && competing.queue.keepMs > 0) written.add(competing.queue.shard);
      return Outcome.accepted;
    });
    return { outcomes, written: currentRows(written) };
  }

  /** A shared subscription that has outlived its members may be ended by whoever may subscribe to it. */
  #unsubscribeForsaken(filter: string, written: Set<Shard>): Outcome {
    const parsed = parseFilter(filter);
    const { space } = this.#session;
    const competing = parsed.kind === 'shared' ? space.shared.get(`${parsed.group}/${parsed.filter}`) : undefined;
    if (competing === undefined || competing.queue.keepMs === 0) return Outcome.noSubscription;
    if (!this.#allows(filter, parsed)) return Outcome.notAuthorized;
    if (competing.members.length > 0) return Outcome.inUse;
    space.removeShared(competing);
    written.add(competing.queue.shard);
    return Outcome.accepted;
  }

  /** Returns whether there was one. */
  #unsubscribeOne(filter: string): boolean {
    const subscription = this.byText.get(filter);
    if (subscription === undefined) return false;
    this.#drop(subscription, true);
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
    for (const text of this.byText.keys()) if (!this.#allows(text, parseFilter(text))) revoked.push(text);
    for (const text of revoked) this.#unsubscribeOne(text);
    return revoked;
  }

  /** The session is over. */
  dropAll(): void {
    for (const subscription of [...this.byText.values()]) this.#drop(subscription, false);
  }

  /** `byRequest`: or else because its session is over. */
  #drop(subscription: Subscription, byRequest: boolean): void {
    this.byText.delete(subscription.text);
    this.#retained?.remove(subscription);
    this.#session.inbox.usage?.subscribed(-1);
    const competing = subscription.competing;
    if (competing !== undefined) this.#competing!.delete(competing);
    // What is under way stays so until the peer settles it, or its connection is lost [MQTT-3.10.4-3].
    this.#session.space.unsubscribe(subscription, byRequest);
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

  /** What it has subscribed to may still be delivered, without anybody doing anything; it is pumped when that is over. */
  get goesOn(): boolean {
    if (this.#retained !== undefined) return true;
    for (const competing of this.#competing ?? []) if (competing.goesOnFor(this.#session)) return true;
    return false;
  }

  /** The session can take more from the queues that it competes for. */
  pumpCompeting(): void {
    for (const competing of this.#competing ?? []) competing.pump();
  }
}

function keptTerms({ sharedExpiryMs = 0 }: SubscribeRequest, { selector }: SubscriptionTerms): KeptTerms | undefined {
  return sharedExpiryMs > 0 ? { keepMs: sharedExpiryMs, selector } : undefined;
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
