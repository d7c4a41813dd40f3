// Whether the messages of a transaction can be taken together: all of them, or none, before anything has happened.

import type { BrokerContext } from '../context.ts';
import { Outcome } from '../port.ts';
import type { Queue } from '../queues/queue.ts';
import type { Shard } from '../journal/shard.ts';
import { storedBytes } from '../journal/stored.ts';
import type { Taken } from './transaction.ts';
import type { BrokerTransaction } from './transaction.ts';
import type { Usage } from '../quotas/usage.ts';

type Sum = { messages: number; bytes: number };

export class TransactionAdmission {
  /** Shards in which something of it is journaled. */
  readonly parts = new Set<Shard>();
  /** Somebody gets something of it that is not journaled, and so sees it when it happens. */
  isSeen = false;
  readonly #context: BrokerContext;
  readonly #queues = new Map<Queue, Sum>();
  #refused: Outcome | undefined = undefined;

  constructor(context: BrokerContext, transaction: BrokerTransaction) {
    this.#context = context;
    for (const { entry, settlement } of transaction.provisional) {
      if (entry.row > 0) this.parts.add(entry.queue.shard);
      if (settlement === 'accepted' || settlement === 'received') this.#add(entry.queue, -1, -(entry.stored?.bytes ?? 0));
    }
    for (const taken of transaction.taken) this.#plan(taken);
  }

  /** `accepted`, or why nothing of it can be taken. */
  outcome(): Outcome {
    const { counters } = this.#context;
    const outcome = this.#refused ?? this.#full();
    if (outcome === Outcome.quotaExceeded) counters.publishesRefusedByFullQueue++;
    if (outcome !== undefined) return outcome;
    for (const shard of this.parts) {
      if (shard.stall === undefined) continue;
      counters.publishesRefusedByStore++;
      return Outcome.unavailable;
    }
    return Outcome.accepted;
  }

  #plan({ session, routed, message }: Taken): void {
    const { space } = routed;
    const bytes = storedBytes(message);
    // See distribute: it waits for its time.
    if (message.attributes?.deliverAtMs !== undefined) return this.#enters(space.obtainDelayed().queue, bytes);
    const route = routed.route();
    if (route.full) this.#refused = Outcome.quotaExceeded;
    if (message.retain) {
      this.parts.add(space.retained.shardFor(message.topic));
      if (message.end > message.start && !space.retained.admits(message, session.inbox.usage ?? space.usages.tenant)) {
        this.#context.counters.retainedRefused++;
        this.#refused = Outcome.quotaExceeded;
      }
    }
    for (const whole of route.targets) {
      const target = whole.isChoosy ? whole.forMessage(message, session) : whole;
      if (target === undefined) continue;
      if (Math.min(message.guarantee, target.guarantee) === 0) this.isSeen = true;
      else this.#enters(target.session.inbox, bytes);
    }
    for (const competing of route.competing) {
      if (!competing.wants(message)) continue;
      if (message.guarantee === 0 && competing.queue.kind === 'shared') this.isSeen = true;
      else this.#enters(competing.queue, bytes);
    }
  }

  #enters(queue: Queue, bytes: number): void {
    if (queue.durable) this.parts.add(queue.shard);
    else this.isSeen = true;
    // One that is not journaled may drop what comes, by its policy.
    if (queue.durable || queue.kind !== 'inbox') this.#add(queue, 1, bytes);
  }

  #add(queue: Queue, messages: number, bytes: number): void {
    const sum = this.#queues.get(queue);
    if (sum === undefined) {
      this.#queues.set(queue, { messages, bytes });
      return;
    }
    sum.messages += messages;
    sum.bytes += bytes;
  }

  #full(): Outcome | undefined {
    const usages = new Map<Usage, Sum>();
    const nowMs = this.#context.clock.wallMs();
    for (const [queue, sum] of this.#queues) {
      if (queue.limits.onFull === 'reject-new' && sum.messages > 0 && !hasRoom(queue, sum)) {
        queue.dropExpired(nowMs);
        if (!hasRoom(queue, sum)) return Outcome.quotaExceeded;
      }
      for (let usage = queue.usage; usage !== undefined; usage = usage.parent) {
        const all = usages.get(usage);
        usages.set(usage, { messages: (all?.messages ?? 0) + sum.messages, bytes: (all?.bytes ?? 0) + sum.bytes });
      }
    }
    for (const [usage, { messages, bytes }] of usages) {
      if (!usage.queueBounded || messages <= 0 || usage.admitsQueued(messages, bytes)) continue;
      usage.refuse('queue');
      return Outcome.quotaExceeded;
    }
    return undefined;
  }
}

function hasRoom({ ledger, bytes, limits }: Queue, sum: Sum): boolean {
  return ledger.queued + sum.messages <= limits.maxMessages && bytes + sum.bytes <= limits.maxBytes;
}
