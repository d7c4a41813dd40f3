// The consumers of one shared or named queue. Entries go to the members in turn, each to one; what a member leaves behind
// unsettled goes back to its place and to another.

import { Outcome } from './port.ts';
import type { ClientSession } from './client-session.ts';
import type { Message } from '../message/message.ts';
import type { Entry, Queue, QueueHolder } from './queue.ts';
import { writeQueue } from './records.ts';
import type { Subscription } from './route.ts';

/** Who competes for the entries of a queue; undefined for a session's inbox. */
export function competingOf(queue: Queue): CompetingConsumers | undefined {
  return queue.kind === 'inbox' ? undefined : (queue.holder as CompetingConsumers);
}

export class CompetingConsumers implements QueueHolder {
  readonly queue: Queue;
  /** Subscribed filter; empty for a named queue, which gets only what is sent to it. */
  readonly filter: string;
  readonly #members: Subscription[] = [];
  readonly #taken = new Set<Entry>();
  #next = 0;
  #pumping = false;
  /** The queue is gone but for what is under way; called when that is settled. */
  #whenSettled: (() => void) | undefined = undefined;

  constructor(queue: Queue, filter: string) {
    this.queue = queue;
    this.filter = filter;
    queue.holder = this;
  }

  get members(): readonly Subscription[] {
    return this.#members;
  }

  join(subscription: Subscription): void {
    this.#members.push(subscription);
  }

  /** A subscription is gone. What its session has unsettled is the session's affair. */
  quit(subscription: Subscription): void {
    const index = this.#members.indexOf(subscription);
    if (index < 0) return;
    this.#members.splice(index, 1);
    if (index < this.#next) this.#next--;
  }

  memberOf(session: ClientSession): Subscription | undefined {
    return this.#members.find((member) => member.session === session);
  }

  taken(): Iterable<Entry> {
    return this.#taken;
  }

  /** A member has settled it, or lost it for good. */
  finished(entry: Entry): void {
    this.#taken.delete(entry);
    if (this.#whenSettled !== undefined && this.#taken.size === 0) this.#whenSettled();
  }

  /** A member is gone before it settled the entries. */
  returned(entries: readonly Entry[]): void {
    if (!this.retired) {
      for (const entry of entries) this.#taken.delete(entry);
      this.queue.giveBack(entries);
      return;
    }
    for (const entry of entries) {
      this.queue.leave(entry, 'sessionEnded');
      this.finished(entry);
    }
  }

  /** Nothing is to come any more. What members have under way they may settle [MQTT-3.10.4-3]; then `settled` is called. */
  retire(settled: () => void): void {
    this.#whenSettled = settled;
    if (this.#taken.size === 0) settled();
  }

  /** Its queue is gone but for what is under way. */
  get retired(): boolean {
    return this.#whenSettled !== undefined;
  }

  /** The caller has touched the shard. */
  writeRecord(): void {
    const { id, kind, tenant, name, shard, nextPosition, keepMs, forsakenAtMs } = this.queue;
    // Inboxes have sessions for holders.
    if (kind === 'inbox') return;
    writeQueue(shard.writer, { queueId: id, kind, retired: this.retired, tenant, name, nextPosition, keepMs, forsakenAtMs });
  }

  /** Delivers at most once to one member that can take it now. */
  send(message: Message): Outcome {
    const member = this.#nextMember(hasRoom);
    if (member === undefined) {
      this.queue.passThrough('noConsumer');
      return Outcome.noSubscribers;
    }
    const retained = member.retainAsPublished && message.retain;
    const sent = member.session.consumer!.send(message, retained, member.subscriptionIds);
    this.queue.passThrough(sent ? 'delivered' : 'slowConsumer');
    return Outcome.accepted;
  }

  pump(): void {
    // Delivering can free a member's credit at once and so ask for this again.
    if (this.#pumping) return;
    this.#pumping = true;
    const queue = this.queue;
    for (let entry = queue.ready.first; entry !== undefined; entry = queue.ready.first) {
      if (entry.row > queue.shard.durableRow) break;
      const member = this.#nextMember(canTake);
      if (member === undefined) break;
      const sendAs = entry.guarantee < member.guarantee ? entry.guarantee : member.guarantee;
      const taken = member.session.take(entry, sendAs, entry.retained && member.retainAsPublished, member.subscriptionIds);
      if (taken === 'loading') break;
      if (taken === 'unsettled') this.#taken.add(entry);
    }
    this.#pumping = false;
  }

  /** An entry found in the journal that a session has under way. */
  recoverTaken(entry: Entry): void {
    this.#taken.add(entry);
  }

  /** The next in turn that suits. */
  #nextMember(suits: (session: ClientSession) => boolean): Subscription | undefined {
    const members = this.#members;
    for (let i = 0; i < members.length; i++) {
      const index = (this.#next + i) % members.length;
      const member = members[index]!;
      if (!suits(member.session)) continue;
      this.#next = index + 1;
      return member;
    }
    return undefined;
  }
}

const canTake = (session: ClientSession): boolean => session.canTake();

/** What is delivered at most once needs no credit [MQTT-3.3.4-9]. */
const hasRoom = (session: ClientSession): boolean => session.connected && !session.consumer!.congested;
