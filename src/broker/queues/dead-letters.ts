// Dead messages of one tenant: what was rejected, could not be delivered as often as may be tried, or expired where that counts. They
// are stored anew at the end of their dead-letter queue, with the reason, and wait there for an operator or a program.
//
// A message is in one of both queues at every moment: in one row where they share a shard, else as an operator's move does it
// (QueueAccess). A dead-letter queue that has no room loses nothing: the message stays set aside in its own queue, counts there, and
// is tried again. One that dies where dead messages of its queue go, or would go back to where it died before, is dropped.

import { withFields } from '../../message/attributes.ts';
import { Message } from '../../message/message.ts';
import type { BrokerContext } from '../context.ts';
import { Queue, nameOf } from './queue.ts';
import type { CauseOfDeath, Departure, Entry, Graves } from './queue.ts';
import { writeSettle } from '../journal/records.ts';
import { KeptOnce, storedBytes } from '../journal/stored.ts';
import type { TopicSpace } from '../routing/topic-space.ts';

/** How long a dead message waits for room where it belongs before that is tried again. */
const retryMs = 1000;

type Dead = {
  readonly entry: Entry;
  readonly cause: CauseOfDeath;
  readonly otherwise: Departure;
  readonly diedAtMs: number;
  /** It has been read, and may go where it belongs. */
  readonly waitsForRoom?: boolean;
};

export class DeadLetters implements Graves {
  readonly #context: BrokerContext;
  readonly #space: TopicSpace;
  /** There was no room for them. */
  #waiting: Dead[] = [];

  constructor(context: BrokerContext, space: TopicSpace) {
    this.#context = context;
    this.#space = space;
  }

  /** Dead messages for which there is no room where they belong. */
  get waiting(): number {
    return this.#waiting.length;
  }

  bury(entry: Entry, cause: CauseOfDeath, otherwise: Departure): void {
    const { queue } = entry;
    // With its queue it would have gone, too.
    if (queue.removed) return queue.leave(entry, otherwise);
    if (queue.kind === 'named' && queue.name === queue.rules.deadLetterQueue) return queue.leave(entry, otherwise);
    const wasSent = entry.state !== 'ready' && entry.sendAs === 2 && entry.row > 0;
    entry.state = 'ready';
    entry.owner = undefined;
    entry.deliveryId = 0;
    queue.setAside(entry);
    // Its delivery id is free for others.
    if (wasSent) entry.row = queue.shard.writeEntries([Queue.checkpointed(entry)!]);
    this.#try({ entry, cause, otherwise, diedAtMs: this.#context.clock.wallMs() });
  }

  #try(dead: Dead): void {
    const { entry, otherwise } = dead;
    if (entry.gone) return;
    const { queue } = entry;
    const { shard, rules } = queue;
    const name = rules.deadLetterQueue;
    if (name === '') return drop(entry, otherwise);
    const target = this.#space.obtainNamed(name, true)!.queue;
    if (shard.stall !== undefined || (target.durable && target.shard.stall !== undefined)) return this.#tryLater(dead);
    // What waits for room may be much, and would be read from the journal for nothing.
    if (dead.waitsForRoom === true && isHopeless(target, entry, this.#context.clock.wallMs())) return this.#tryLater(dead);
    const message = shard.load(entry.stored!, { holder: { pump: () => this.#try(dead) } });
    if (message === undefined) return;
    const from = nameOf(target);
    if (message.attributes?.death?.from === from && nameOf(queue) !== from) return drop(entry, otherwise);
    const found = deadMessage(message, dead);
    const admission = target.admission(storedBytes(found), this.#context.clock.wallMs());
    if (admission === 'refuse') this.#tryLater({ ...dead, waitsForRoom: true });
    else if (admission === 'drop') drop(entry, otherwise);
    else this.#store(found, entry, target);
  }

  #tryLater(dead: Dead): void {
    this.#waiting.push(dead);
    if (this.#waiting.length > 1) return;
    const { timers, clock } = this.#context;
    timers.at(clock.monotonicMs() + retryMs, () => {
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const each of waiting) this.#try(each);
    });
  }

  #store(message: Message, entry: Entry, target: Queue): void {
    const { queue } = entry;
    const { shard } = target;
    this.#context.counters.deadLettered++;
    queue.deadLettered++;
    const copy = target.append(entry.guarantee, false, undefined);
    if (!target.durable) {
      copy.stored = new KeptOnce(message).stored();
      shard.acquire(copy.stored);
      target.enqueue(copy);
      queue.movedAway(entry);
      target.holder?.pump();
      return;
    }
    const isWithin = queue.shard === shard && entry.row > 0;
    const source = { shard: queue.shard.index, queueId: queue.id, position: entry.position };
    const isBetween = !isWithin && entry.row > 0;
    shard.atomically(() => {
      shard.store(message, undefined, 0, 0, [copy]);
      if (isWithin) writeSettle(shard.writer, queue.id, entry.position);
      if (isBetween) shard.writeMovedFrom(source);
    });
    target.enqueue(copy);
    shard.pumpWhenDurable(target);
    if (isWithin) {
      queue.fetch(entry);
      queue.movedInRow(entry);
    } else if (isBetween) {
      shard.whenDurable(() => {
        queue.movedAway(entry);
        // When it is durable that it has left, nobody need know where it came from.
        queue.shard.afterAll(() => shard.movedFrom.delete(source));
      });
    } else {
      queue.movedAway(entry);
    }
  }
}

/** It would be refused even if telling why it died took no room. */
function isHopeless(target: Queue, { stored }: Entry, nowMs: number): boolean {
  return target.limits.onFull === 'reject-new' && target.admission(stored!.bytes, nowMs) === 'refuse';
}

function drop(entry: Entry, otherwise: Departure): void {
  entry.queue.fetch(entry);
  entry.queue.leave(entry, otherwise);
}

/** Nothing of it expires: somebody is to look at it. */
function deadMessage(m: Message, { entry, cause, diedAtMs }: Dead): Message {
  const { reason, description } = cause;
  const death = { reason, ...(description !== undefined && { description }), from: nameOf(entry.queue), diedAtMs };
  const attributes = withFields(m.attributes, { death });
  const payload = new Uint8Array(m.payload());
  const topicBytes = new Uint8Array(m.topicBytes);
  const { topic, guarantee, priority, acceptedAtMs, sender } = m;
  return new Message(topic, topicBytes, payload, 0, payload.length, guarantee, false, priority, 0, acceptedAtMs, sender, attributes);
}
