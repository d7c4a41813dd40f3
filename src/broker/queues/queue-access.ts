// What an operator does with the messages of a queue: look at them, drop them, put them into another queue. A little at a time:
// a queue of a million messages does not hold up anybody.

import { Message } from '../../message/message.ts';
import type { BrokerContext } from '../context.ts';
import { competingOf } from './competing-consumers.ts';
import type { ManagementFault, ManagementResult, PageOf, QueuedMessage } from '../management.ts';
import { QueueCursor } from './queue-cursor.ts';
import type { Entry, Queue } from './queue.ts';
import type { Shard } from '../journal/shard.ts';
import { KeptOnce } from '../journal/stored.ts';
import type { Stored } from '../journal/stored.ts';

/** Messages dropped or moved before other work gets its turn. */
const sliceMessages = 1000;
/** Messages moved at a time into another journal. */
const sliceBetween = 100;
/** Of a page that is browsed. At least one message is on it. */
const maxPageBytes = 4 * 1024 * 1024;

type Count = { readonly messages: number };

export class QueueAccess {
  readonly #context: BrokerContext;
  /** Being emptied or moved. */
  readonly #busy = new Set<Queue>();

  constructor(context: BrokerContext) {
    this.#context = context;
  }

  async browse(queue: Queue, limit: number, after: string | undefined): Promise<ManagementResult<PageOf<QueuedMessage>>> {
    const entries = entriesAfter(queue, after === undefined ? 0 : Number(after), limit + 1);
    const found: QueuedMessage[] = [];
    let bytes = 0;
    for (const entry of entries.slice(0, limit)) {
      const { stored } = entry;
      // Others may have settled it while an earlier one was read.
      if (stored === undefined) continue;
      if (found.length > 0 && bytes + stored.bytes > maxPageBytes) return value({ entries: found, next: found.at(-1)!.position });
      bytes += stored.bytes;
      const message = await this.read(queue.shard, stored);
      if (message === 'unavailable') return unavailable;
      if (message !== undefined)
        found.push({ position: String(entry.position), message, unsettled: entry.state !== 'ready', deliveryCount: entry.deliveryCount });
    }
    return value({ entries: found, next: entries.length > limit ? String(entries[limit - 1]!.position) : undefined });
  }

  /** A copy of a stored message; undefined: it has gone meanwhile. */
  async read(shard: Shard, stored: Stored): Promise<Message | undefined | 'unavailable'> {
    for (;;) {
      if (stored.references === 0) return undefined;
      const { home } = stored;
      // Nobody knows when it will be written.
      if (home !== undefined && home.row > shard.durableRow && shard.stall !== undefined) return 'unavailable';
      let isReady = false;
      let ready = (): void => void (isReady = true);
      const message = shard.load(stored, { holder: { pump: () => ready() } });
      if (message !== undefined) return copyOf(message);
      const copy = await new Promise<Message | undefined>((resolve) => {
        // Its row may leave the memory again as soon as this turn is over.
        const take = (): void => {
          const there = stored.references === 0 ? undefined : shard.load(stored, undefined);
          resolve(there && copyOf(there));
        };
        if (isReady) take();
        else ready = take;
      });
      if (copy !== undefined) return copy;
    }
  }

  async purge(queue: Queue): Promise<ManagementResult<Count>> {
    const refused = this.#refusal(queue);
    if (refused !== undefined) return refused;
    this.#busy.add(queue);
    // What comes meanwhile stays.
    const before = queue.nextPosition;
    const cursor = new QueueCursor(queue);
    let messages = 0;
    let left = sliceMessages;
    for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
      if (entry.position < before) {
        queue.takeOut(entry);
        queue.leave(entry, 'purged');
        messages++;
      } else {
        cursor.pass(entry);
      }
      if (--left > 0) continue;
      left = sliceMessages;
      await this.#nextTurn();
    }
    cursor.close();
    this.#busy.delete(queue);
    await durable(queue.shard);
    return value({ messages });
  }

  async move(from: Queue, to: Queue, maxMessages: number): Promise<ManagementResult<Count>> {
    if (from.kind === 'delayed' || to.kind === 'delayed') return fault('busy', 'what waits for its time stays where it is');
    const refused = from === to ? fault('busy', 'a queue cannot be moved into itself') : (this.#refusal(from) ?? this.#refusal(to));
    if (refused !== undefined) return refused;
    if (from.durable && !to.durable)
      return fault('unavailable', 'the target is in memory only: what is stored would be lost with the node');
    this.#busy.add(from).add(to);
    const within = from.durable && from.shard === to.shard;
    const before = from.nextPosition;
    let messages = 0;
    let isFull = false;
    while (messages < maxMessages && !isFull && canGoOn(from) && canGoOn(to)) {
      const first = from.ready.first;
      // What comes meanwhile stays.
      if (first === undefined || first.position >= before) break;
      const most = Math.min(maxMessages - messages, before - first.position, within ? sliceMessages : sliceBetween);
      messages += within ? moveWithin(from, to, most) : await this.#moveBetween(from, to, most);
      const next = from.ready.first;
      isFull = next !== undefined && !to.fits(next.stored!.bytes);
      await this.#nextTurn();
    }
    this.#busy.delete(from);
    this.#busy.delete(to);
    this.#context.counters.messagesMoved += messages;
    await Promise.all([durable(from.shard), durable(to.shard)]);
    return messages === 0 && isFull ? fault('full', 'the target is full') : value({ messages });
  }

  /**
   * Between queues that do not share a journal: a message is durable in the target before it leaves the source. The target's row
   * says where it came from, so that a crash in between leaves it in the target alone.
   */
  async #moveBetween(from: Queue, to: Queue, most: number): Promise<number> {
    const moved: Entry[] = [];
    for (let entry = from.ready.first; entry !== undefined && moved.length < most; entry = from.ready.first) {
      const stored = entry.stored!;
      const message = await this.read(from.shard, stored);
      if (message === 'unavailable' || !canGoOn(to) || !to.fits(stored.bytes)) break;
      // Meanwhile a consumer may have been quicker.
      if (message === undefined || from.ready.first !== entry) continue;
      from.setAside(from.takeFirst()!);
      put(to, entry, message);
      moved.push(entry);
    }
    if (moved.length === 0) return 0;
    await durable(to.shard);
    for (const entry of moved) from.movedAway(entry);
    const sources = [...to.shard.movedFrom].filter(({ shard, queueId }) => shard === from.shard.index && queueId === from.id);
    // When it is durable that they have left, nobody need know where they came from.
    from.shard.afterAll(() => {
      for (const source of sources) to.shard.movedFrom.delete(source);
    });
    to.holder?.pump();
    return moved.length;
  }

  #refusal(queue: Queue): ManagementResult<never> | undefined {
    if (this.#busy.has(queue)) return fault('busy', 'somebody empties or moves this queue already');
    return queue.shard.stall === undefined ? undefined : unavailable;
  }

  #nextTurn(): Promise<void> {
    return new Promise((resolve) => this.#context.turn.later(resolve));
  }
}

/** Resolves when everything written so far is durable. */
export function durable(shard: Shard): Promise<void> {
  return new Promise((resolve) => shard.afterAll(resolve));
}

export function value<T>(found: T): ManagementResult<T> {
  return { ok: true, value: found };
}

export function fault(code: ManagementFault['code'], message: string): ManagementResult<never> {
  return { ok: false, error: { code, message } };
}

export const unavailable = fault('unavailable', 'the store cannot be written now');

/** On bytes of its own. */
function copyOf(message: Message): Message {
  const kept = message.kept();
  const topicBytes = new Uint8Array(kept.topicBytes);
  const { topic, buffer, start, end, guarantee, retain, priority, expiresAtMs, acceptedAtMs, sender, attributes } = kept;
  return new Message(topic, topicBytes, buffer, start, end, guarantee, retain, priority, expiresAtMs, acceptedAtMs, sender, attributes);
}

function canGoOn({ removed, shard }: Queue): boolean {
  return !removed && shard.stall === undefined;
}

/** Waiting and unsettled ones after a position, in their order. */
function entriesAfter(queue: Queue, after: number, limit: number): Entry[] {
  const taken = [...(queue.holder?.taken() ?? [])].filter(({ position, stored }) => position > after && stored !== undefined);
  const { ready } = queue;
  const entries = taken;
  // Within a level they stand in their order, so no level has more of the first ones than these.
  for (let level = ready.first?.level ?? -1; level >= ready.lowestLevel; level--) {
    let found = 0;
    for (let entry = ready.firstOf(level); entry?.level === level && found < limit; entry = entry.after) {
      if (entry.position <= after) continue;
      entries.push(entry);
      found++;
    }
  }
  return entries.toSorted((a, b) => a.position - b.position).slice(0, limit);
}

function moveWithin(from: Queue, to: Queue, most: number): number {
  let moved = 0;
  for (let entry = from.ready.first; entry !== undefined && moved < most; entry = from.ready.first) {
    if (!to.fits(entry.stored!.bytes)) break;
    from.takeFirst();
    if (entry.row > 0) {
      from.moveTo(to, entry);
    } else {
      // It came before its queue was journaled, so it is in memory.
      put(to, entry, entry.stored!.message!);
      from.leave(entry, 'delivered');
    }
    moved++;
  }
  return moved;
}

/** A copy of an entry at the end of another queue. */
function put(to: Queue, entry: Entry, message: Message): void {
  const copy = to.append(entry.guarantee, entry.retained, undefined);
  copy.redelivered = entry.redelivered;
  if (to.durable) {
    to.shard.store(message, undefined, 0, 0, [copy]);
    if (entry.row > 0) to.shard.writeMovedFrom({ shard: entry.queue.shard.index, queueId: entry.queue.id, position: entry.position });
    to.shard.pumpWhenDurable(to);
  } else {
    copy.stored = new KeptOnce(message).stored();
    to.shard.acquire(copy.stored);
  }
  to.enqueue(copy);
}

/** Unsettled entries of a queue. */
export function unsettledOf(queue: Queue): number {
  const competing = competingOf(queue);
  let count = 0;
  for (const _ of competing?.taken() ?? queue.holder?.taken() ?? []) count++;
  return count;
}
