// What an operator does with the messages of a queue: look at them, drop them, put them into another queue. A little at a time:
// a queue of a million messages does not hold up anybody.

import { Message } from '../message/message.ts';
import type { BrokerContext } from './context.ts';
import { competingOf } from './competing-consumers.ts';
import type { ManagementFault, ManagementResult, PageOf, QueuedMessage } from './management.ts';
import type { Entry, Queue } from './queue.ts';
import type { Shard } from './shard.ts';
import { KeptOnce } from './stored.ts';
import type { Stored } from './stored.ts';

/** Messages dropped or moved before other work gets its turn. */
const sliceMessages = 1000;
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
      if (message !== undefined) found.push({ position: String(entry.position), message, unsettled: entry.state !== 'ready' });
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
    let messages = 0;
    let left = sliceMessages;
    for (let entry = queue.ready.at(0); entry !== undefined && entry.position < before; entry = queue.ready.at(0)) {
      queue.leave(queue.takeFirst()!, 'purged');
      messages++;
      if (--left > 0) continue;
      left = sliceMessages;
      await this.#nextTurn();
    }
    this.#busy.delete(queue);
    await durable(queue.shard);
    return value({ messages });
  }

  async move(from: Queue, to: Queue, maxMessages: number): Promise<ManagementResult<Count>> {
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
      const chunk = waiting(from, before, Math.min(within ? sliceMessages : 100, maxMessages - messages));
      if (chunk.length === 0) break;
      const moved = within ? moveWithin(from, to, chunk) : await this.#moveBetween(from, to, chunk);
      messages += moved;
      isFull = moved < chunk.length && !hasRoom(to, chunk);
      await this.#nextTurn();
    }
    this.#busy.delete(from);
    this.#busy.delete(to);
    await Promise.all([durable(from.shard), durable(to.shard)]);
    return messages === 0 && isFull ? fault('full', 'the target is full') : value({ messages });
  }

  /**
   * Between queues that do not share a journal: a message is durable in the target before it leaves the source, so that a crash may
   * leave it in both, and never in none.
   */
  async #moveBetween(from: Queue, to: Queue, chunk: readonly Entry[]): Promise<number> {
    const messages: (Message | undefined)[] = [];
    for (const { stored } of chunk) {
      const message = stored && (await this.read(from.shard, stored));
      messages.push(message === 'unavailable' ? undefined : message);
    }
    const moved: { readonly entry: Entry; readonly copy: Entry }[] = [];
    for (const [i, entry] of chunk.entries()) {
      const message = messages[i];
      if (message === undefined || !isWaiting(entry) || !canGoOn(to)) continue;
      if (!to.fits(entry.stored!.bytes)) break;
      moved.push({ entry, copy: put(to, entry, message) });
    }
    if (moved.length === 0) return 0;
    if (to.durable) await durable(to.shard);
    const gone = new Set<Entry>();
    const doubled = new Set<Entry>();
    for (const { entry, copy } of moved) {
      if (isWaiting(entry)) gone.add(entry);
      // A consumer was quicker.
      else if (isWaiting(copy)) doubled.add(copy);
    }
    from.removeWaiting(gone, 'moved');
    to.removeWaiting(doubled, 'moved');
    to.holder?.pump();
    return gone.size;
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

function isWaiting(entry: Entry): boolean {
  return !entry.gone && entry.state === 'ready' && entry.stored !== undefined;
}

/** Waiting and unsettled ones after a position, in their order. */
function entriesAfter(queue: Queue, after: number, limit: number): Entry[] {
  const taken = [...(queue.holder?.taken() ?? [])].filter(({ position, stored }) => position > after && stored !== undefined);
  const { ready } = queue;
  let low = 0;
  for (let high = ready.length; low < high;) {
    const middle = (low + high) >> 1;
    if (ready.at(middle)!.position <= after) low = middle + 1;
    else high = middle;
  }
  const entries = taken;
  for (let i = low; i < ready.length && i < low + limit; i++) entries.push(ready.at(i)!);
  return entries.toSorted((a, b) => a.position - b.position).slice(0, limit);
}

function waiting(queue: Queue, before: number, most: number): Entry[] {
  const entries: Entry[] = [];
  for (let i = 0; i < most; i++) {
    const entry = queue.ready.at(i);
    if (entry === undefined || entry.position >= before) break;
    entries.push(entry);
  }
  return entries;
}

function hasRoom(queue: Queue, entries: readonly Entry[]): boolean {
  return queue.fits(Math.max(0, ...entries.map(({ stored }) => stored?.bytes ?? 0)));
}

function moveWithin(from: Queue, to: Queue, chunk: readonly Entry[]): number {
  let moved = 0;
  for (const entry of chunk) {
    if (!to.fits(entry.stored!.bytes)) break;
    from.takeFirst();
    from.moveTo(to, entry);
    moved++;
  }
  return moved;
}

/** A copy of an entry at the end of another queue. */
function put(to: Queue, entry: Entry, message: Message): Entry {
  const copy = to.append(entry.guarantee, entry.retained, undefined);
  copy.redelivered = entry.redelivered;
  if (to.durable) {
    to.shard.store(message, undefined, 0, 0, [copy]);
    to.shard.pumpWhenDurable(to);
  } else {
    copy.stored = new KeptOnce(message).stored();
    to.shard.acquire(copy.stored);
  }
  to.enqueue(copy);
  return copy;
}

/** Unsettled entries of a queue. */
export function unsettledOf(queue: Queue): number {
  const competing = competingOf(queue);
  let count = 0;
  for (const _ of competing?.taken() ?? queue.holder?.taken() ?? []) count++;
  return count;
}
