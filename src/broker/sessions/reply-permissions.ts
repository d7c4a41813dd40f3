// Whoever was delivered a request may answer it: publish to the address that it names (`replyTo`), once, without being allowed to by
// a policy (docs/mapping.md §6). In memory only, and for a while.
//
// The requester chooses the address, so what the responder gets is the requester's own right, lent for one message: only where the
// requester itself may publish and listen, or to a temporary queue or topic that is its own. With less, two accounts, or one that asks
// itself, could publish wherever one of them may subscribe. What a policy denies to the responder stays denied.

import type { Message } from '../../message/message.ts';
import type { Principal } from '../../security/security.ts';
import type { BrokerContext } from '../context.ts';
import type { ReplyLimits } from '../limits.ts';
import { isTemporary } from '../queues/temporary-nodes.ts';
import { queuePrefix } from '../routing/topic-space.ts';
import type { TopicSpace } from '../routing/topic-space.ts';

/** One request that may be answered. */
type Permission = { readonly requester: string; readonly untilMs: number };

/** What one principal may answer, by topic; those asked last are behind the others. */
class Responder {
  readonly byTopic = new Map<string, Permission[]>();
  count = 0;
}

export class ReplyCounters {
  given = 0;
  used = 0;
  /** Somebody tried to use one whose requester may not do there what it lends. */
  withheld = 0;
  /** Forgotten before they were used: too many, or too old. */
  forgotten = 0;
}

export class ReplyPermissions {
  readonly counters = new ReplyCounters();
  readonly #context: () => BrokerContext;
  readonly #responders = new Map<string, Responder>();
  #count = 0;

  constructor(context: () => BrokerContext) {
    this.#context = context;
  }

  /** Held now. */
  get size(): number {
    return this.#count;
  }

  /** A request has been delivered; messages without attributes need not be told. `again`: it was before. */
  give(space: TopicSpace, principal: Principal, { attributes, sender }: Message, again: boolean): void {
    const replyTo = attributes?.replyTo;
    if (replyTo === undefined || sender === '') return;
    const topic = replyTo.kind === 'queue' ? queuePrefix + replyTo.name : replyTo.name;
    // The voices of the node are nobody's to lend.
    if (topic.startsWith('$') && !topic.startsWith(queuePrefix) && !isTemporary(topic)) return;
    const { limits, clock } = this.#context();
    const { maxPerPrincipal, max, lifetimeMs } = limits.replies;
    if (lifetimeMs === 0 || maxPerPrincipal === 0 || max === 0) return;
    const key = keyOf(space, principal);
    const responder = this.#responders.get(key) ?? new Responder();
    const permissions = responder.byTopic.get(topic) ?? [];
    const known = again ? permissions.findIndex(({ requester }) => requester === sender) : -1;
    if (known >= 0) this.#drop(responder, permissions, known);
    permissions.push({ requester: sender, untilMs: clock.monotonicMs() + lifetimeMs });
    responder.count++;
    this.#count++;
    this.counters.given++;
    // The latest is the last, of topics and of principals.
    responder.byTopic.delete(topic);
    responder.byTopic.set(topic, permissions);
    this.#responders.delete(key);
    this.#responders.set(key, responder);
    this.#trim(limits.replies, key, responder);
  }

  /** Whether the principal may publish one message there now. Asked when it has no right of its own. */
  holds(space: TopicSpace, principal: Principal, topic: string): boolean {
    const found = this.#find(space, principal, topic);
    return found !== undefined && found.index >= 0;
  }

  /** Uses one up for this message; undefined: there is none that is good for it. Else how to take that back. */
  use(space: TopicSpace, principal: Principal, topic: string, message: Message): (() => void) | undefined {
    const found = this.#find(space, principal, topic, message);
    if (found === undefined) return undefined;
    const { permissions, index, responder } = found;
    if (index < 0) {
      this.counters.withheld++;
      return undefined;
    }
    const permission = permissions[index]!;
    this.#drop(responder, permissions, index);
    if (permissions.length === 0) responder.byTopic.delete(topic);
    if (responder.count === 0) this.#responders.delete(keyOf(space, principal));
    this.counters.used++;
    return () => {
      this.counters.used--;
      this.#restore(space, principal, topic, permission);
    };
  }

  /** It may have taken until others were given: the bounds hold for all of them. */
  #restore(space: TopicSpace, principal: Principal, topic: string, permission: Permission): void {
    const { limits, clock } = this.#context();
    if (permission.untilMs <= clock.monotonicMs()) {
      this.counters.forgotten++;
      return;
    }
    const key = keyOf(space, principal);
    const responder = this.#responders.get(key) ?? new Responder();
    this.#responders.set(key, responder);
    const permissions = responder.byTopic.get(topic);
    if (permissions === undefined) responder.byTopic.set(topic, [permission]);
    else permissions.unshift(permission);
    responder.count++;
    this.#count++;
    this.#trim(limits.replies, key, responder);
  }

  /** The oldest go, of the principal and of all. */
  #trim({ maxPerPrincipal, max }: ReplyLimits, key: string, responder: Responder): void {
    while (responder.count > maxPerPrincipal) this.#forgetOldest(key, responder);
    while (this.#count > max) for (const [oldest, of] of this.#responders) if (this.#forgetOldest(oldest, of)) break;
  }

  /**
   * The oldest that has not run out and is good for it: who asks for an answer to where it may not publish itself must not stand in
   * the way of others. Undefined: there is none; index -1: none that is good.
   */
  #find(space: TopicSpace, principal: Principal, topic: string, message?: Message) {
    const responder = this.#count === 0 ? undefined : this.#responders.get(keyOf(space, principal));
    const permissions = responder?.byTopic.get(topic);
    if (responder === undefined || permissions === undefined) return undefined;
    const nowMs = this.#context().clock.monotonicMs();
    // Of many requests of one requester the first says it all.
    const refused = new Set<string>();
    const index = permissions.findIndex((permission) => {
      if (permission.untilMs <= nowMs || refused.has(permission.requester)) return false;
      if (this.#lends(space, principal, permission, topic, message)) return true;
      refused.add(permission.requester);
      return false;
    });
    return index < 0 && refused.size === 0 ? undefined : { responder, permissions, index };
  }

  /** What the requester may do there itself, as far as it is known: it must be here, or have been. */
  #lends(space: TopicSpace, responder: Principal, { requester }: Permission, topic: string, message?: Message): boolean {
    const { security } = this.#context();
    if (security.forbids?.(responder, 'publish', topic) === true) return false;
    const isQueue = topic.startsWith(queuePrefix);
    if (isQueue && isTemporary(topic.slice(queuePrefix.length))) {
      return space.temporary.ownerOfQueue(topic.slice(queuePrefix.length)) === requester;
    }
    if (isTemporary(topic)) return space.temporary.ownerOfTopic(topic) === requester;
    for (const { principal, principalIsKnown } of space.principals.of(requester)) {
      if (!principalIsKnown || !security.allows(principal, 'publish', topic)) continue;
      if (!security.allows(principal, isQueue ? 'consume' : 'subscribe', topic)) continue;
      if (message === undefined) return true;
      const terms = security.messageTerms?.(principal, 'publish', topic);
      if (terms === undefined || terms.allows(message.guarantee, message.payloadBytes)) return true;
    }
    return false;
  }

  #drop(responder: Responder, permissions: Permission[], index: number): void {
    permissions.splice(index, 1);
    responder.count--;
    this.#count--;
  }

  /** Returns whether there was one. */
  #forgetOldest(key: string, responder: Responder): boolean {
    for (const [topic, permissions] of responder.byTopic) {
      if (permissions.length > 0) {
        this.#drop(responder, permissions, 0);
        this.counters.forgotten++;
      }
      if (permissions.length === 0) responder.byTopic.delete(topic);
      if (responder.count === 0) this.#responders.delete(key);
      return true;
    }
    this.#responders.delete(key);
    return false;
  }

  /** Forgets those whose time is over. */
  dropExpired(): void {
    if (this.#count === 0) return;
    const nowMs = this.#context().clock.monotonicMs();
    for (const [key, responder] of this.#responders) {
      for (const [topic, permissions] of responder.byTopic) {
        while (permissions.length > 0 && permissions[0]!.untilMs <= nowMs) {
          this.#drop(responder, permissions, 0);
          this.counters.forgotten++;
        }
        if (permissions.length === 0) responder.byTopic.delete(topic);
      }
      if (responder.byTopic.size === 0) this.#responders.delete(key);
    }
  }
}

/** No name of a tenant has a NUL. */
function keyOf({ tenant }: TopicSpace, { id }: Principal): string {
  return `${tenant}\0${id}`;
}
