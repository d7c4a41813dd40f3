// Shows one subscriber what waits in a queue, and takes nothing: what waits now, in the order in which it would be delivered, then
// what comes later. What is with consumers is not shown, unless it comes back.

import { QueueCursor } from './queue-cursor.ts';
import type { Queue } from './queue.ts';
import type { Subscription } from '../routing/route.ts';

const readAheadEntries = 256;

export class QueueBrowser {
  readonly subscription: Subscription;
  readonly #queue: Queue;
  readonly #cursor: QueueCursor;
  #told = false;

  constructor(queue: Queue, subscription: Subscription) {
    this.#queue = queue;
    this.subscription = subscription;
    this.#cursor = new QueueCursor(queue);
  }

  close(): void {
    this.#cursor.close();
  }

  /**
   * Shows what its consumer can take now, as long as `goOn` says so before each message. Returns whether it goes on by itself: when
   * a message has been read.
   */
  show(goOn: () => boolean): boolean {
    const { session, selector, retainAsPublished, subscriptionIds } = this.subscription;
    const { shard } = this.#queue;
    for (let entry = this.#cursor.next(); ; entry = this.#cursor.next()) {
      const consumer = session.connected ? session.consumer : undefined;
      if (consumer === undefined) return false;
      if (entry === undefined || entry.row > shard.durableRow) {
        if (!this.#told) consumer.browsed?.();
        this.#told = true;
        return false;
      }
      if (consumer.congested) return false;
      if (!goOn()) return true;
      const message = shard.load(entry.stored!, this.#queue);
      if (message === undefined) {
        shard.readAhead(entry, readAheadEntries);
        return true;
      }
      this.#cursor.pass(entry);
      if (selector !== undefined && !selector.matches(message)) continue;
      consumer.send(message, entry.retained && retainAsPublished, subscriptionIds);
    }
  }
}
