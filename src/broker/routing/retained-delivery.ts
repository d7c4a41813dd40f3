// Retained messages on their way to a session that has just subscribed. They flow as the session can take them, so that a
// subscription to `#` over a million topics costs neither memory nor anybody's time.

import type { Guarantee, Message } from '../../message/message.ts';
import type { ClientSession } from '../sessions/client-session.ts';
import type { BrokerContext } from '../context.ts';
import type { Retained } from './retained-messages.ts';
import type { Subscription } from './route.ts';
import { KeptOnce, storedBytes } from '../journal/stored.ts';
import type { TopicSearch } from './topic-index.ts';

/** Topics looked at in one go. */
const sliceTopics = 256;
/** Messages delivered before other work gets its turn. */
const sliceMessages = 256;
/** Waiting messages in the inbox above which no more are added. */
const maxWaiting = 1024;

type Task = { readonly subscription: Subscription; readonly search: TopicSearch<Retained>; found: Retained[] };

export class RetainedDelivery {
  readonly #context: BrokerContext;
  readonly #session: ClientSession;
  readonly #tasks: Task[] = [];
  #scheduled = false;

  constructor(context: BrokerContext, session: ClientSession) {
    this.#context = context;
    this.#session = session;
  }

  add(subscription: Subscription): void {
    this.remove(subscription);
    this.#tasks.push({ subscription, search: this.#session.space.retained.search(subscription.filter), found: [] });
  }

  /** Unsubscribed, or subscribed again. */
  remove(subscription: Subscription): void {
    const index = this.#tasks.findIndex((task) => task.subscription.text === subscription.text);
    if (index >= 0) this.#tasks.splice(index, 1);
  }

  /** Delivers what the session can take now. Returns false when there is nothing left. */
  run(): boolean {
    let budget = sliceMessages;
    for (let task = this.#tasks[0]; task !== undefined; task = this.#tasks[0]) {
      const retained = task.found[0] ?? this.#next(task);
      if (retained === undefined) {
        if (task.search.done) this.#tasks.shift();
        else if (--budget <= 0) return this.#continueLater();
        continue;
      }
      if (budget-- <= 0) return this.#continueLater();
      if (!this.#deliver(task.subscription, retained)) return true;
      task.found.shift();
    }
    return false;
  }

  #next(task: Task): Retained | undefined {
    if (!task.search.done) task.search.next(sliceTopics, (_topic, retained) => task.found.push(retained));
    return task.found[0];
  }

  #continueLater(): true {
    if (this.#scheduled) return true;
    this.#scheduled = true;
    this.#context.turn.later(() => {
      this.#scheduled = false;
      this.#session.pump();
    });
    return true;
  }

  /** Returns false when it has to wait: for its bytes, or for the session to take more. */
  #deliver(subscription: Subscription, retained: Retained): boolean {
    const session = this.#session;
    // Changed since it was found: the new value reaches the subscription by itself.
    if (session.space.retained.get(retained.topic) !== retained) return true;
    const message = retained.shard.load(retained.stored, session.inbox);
    if (message === undefined) return false;
    if (subscription.selector?.matches(message) === false) return true;
    if (message.expiresAtMs > 0 && message.expiresAtMs <= this.#context.clock.wallMs()) return true;
    const guarantee = Math.min(message.guarantee, subscription.guarantee) as Guarantee;
    if (guarantee === 0) {
      if (session.consumer === undefined || session.consumer.congested) return false;
      session.send(message, true, subscription.subscriptionIds);
      return true;
    }
    return this.#queue(message, guarantee, subscription.subscriptionIds);
  }

  #queue(message: Message, guarantee: Guarantee, ids: readonly number[] | undefined): boolean {
    const session = this.#session;
    const inbox = session.inbox;
    if (!session.durable) {
      // Straight to the peer: in a queue it would push out, or be pushed out by, what is new.
      if (inbox.ready.length > 0 || !session.canTake()) return false;
      session.offer(new KeptOnce(message), guarantee, true, ids);
      return true;
    }
    if (inbox.ready.length >= maxWaiting) return false;
    if (inbox.shard.stall !== undefined) {
      inbox.shard.pumpWhenResumed(inbox);
      return false;
    }
    if (!inbox.fits(storedBytes(message))) {
      if (inbox.ledger.queued > 0) return false;
      // It never will.
      inbox.passThrough('queueFull');
      return true;
    }
    const entry = inbox.append(guarantee, true, ids);
    // A copy: the message itself stays where the retained set keeps it.
    inbox.shard.store(message.kept(), undefined, 0, 0, [entry]);
    inbox.enqueue(entry);
    inbox.shard.pumpWhenDurable(inbox);
    return true;
  }
}
