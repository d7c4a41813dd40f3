// What the principal of a session may have, and what it may have had: rights change while it is connected, and while it is away.

import type { Message } from '../../message/message.ts';
import type { Principal } from '../../security/security.ts';
import type { ClientSession } from './client-session.ts';
import { competingOf } from '../queues/competing-consumers.ts';
import type { BrokerContext } from '../context.ts';
import type { Entry } from '../queues/queue.ts';
import { isTemporary } from '../queues/temporary-nodes.ts';
import { queuePrefix, sharedPrefix } from '../routing/topic-space.ts';

export class SessionRights {
  /** How often the session was given another principal. */
  facts = 0;
  readonly #context: BrokerContext;
  readonly #session: ClientSession;
  /** Entries of the inbox before this position came when its principal might have more than now; 0: none is left. */
  #suspectBefore = 0;

  constructor(context: BrokerContext, session: ClientSession) {
    this.#context = context;
    this.#session = session;
  }

  /**
   * What is known of its principal, or what principals may do, has changed: what it may not have any more is taken from it.
   * Returns the subscriptions that went.
   */
  reviewed(principal: Principal): readonly string[] {
    const session = this.#session;
    const { inbox, deliveries } = session;
    if (principal !== session.principal) {
      session.principal = principal;
      this.facts++;
    }
    // It may have other quotas now.
    session.space.usages.of(principal);
    session.principalIsKnown = true;
    // What waits may have come by a subscription that is gone now, and what is under way will be sent again some day.
    this.#suspectBefore = inbox.ledger.queued === 0 && deliveries.size === 0 ? 0 : inbox.nextPosition;
    const own = session.recheckSubscriptions();
    this.#context.counters.subscriptionsRevoked += own.length;
    if (own.length > 0) session.consumer?.revoked?.(own);
    const ofParts = Array.from(session.parts, (part) => part.reviewed(principal));
    return ofParts.length === 0 ? own : [own, ...ofParts].flat();
  }

  renew(principal: Principal): void {
    const session = this.#session;
    session.provenAtMs = this.#context.clock.wallMs();
    const revoked = this.reviewed(principal);
    if (revoked.length === 0) return;
    const who = { tenant: session.space.tenant, principal: principal.id, client: session.clientId };
    this.#context.log.info('session.subscriptions.revoked', { ...who, count: revoked.length, first: revoked[0]! });
  }

  /** The entry came when its principal might have more than now, and the message is one that it may not have any more. */
  isRevoked(entry: Entry, message: Message): boolean {
    if (this.#suspectBefore === 0) return false;
    const session = this.#session;
    const { queue } = entry;
    const { security } = this.#context;
    let wanted = message.topic;
    if (queue === session.inbox) {
      if (entry.position >= this.#suspectBefore) return false;
      // Nobody but its own principal has had it.
      if (isTemporary(wanted)) return false;
    } else {
      // As long as it is a member, it may have all that the queue holds.
      if (competingOf(queue)?.memberOf(session) !== undefined) return false;
      if (queue.kind === 'named') return !security.allows(session.principal, 'consume', queuePrefix + queue.name);
      wanted = `${sharedPrefix}${queue.name.slice(0, queue.name.indexOf('/'))}/${message.topic}`;
    }
    return !security.allows(session.principal, 'subscribe', wanted);
  }
}
