// The last value of each topic of a tenant.

import type { Message } from '../../message/message.ts';
import { shardOf } from '../context.ts';
import type { BrokerContext } from '../context.ts';
import { writeRetained } from '../journal/records.ts';
import type { Shard } from '../journal/shard.ts';
import { Stored, storedBytes } from '../journal/stored.ts';
import { TopicIndex } from './topic-index.ts';
import type { TopicSearch } from './topic-index.ts';
import type { Usage } from '../quotas/usage.ts';

/** Who published retained messages, and how much of them there is. */
class Owner {
  readonly name: string;
  messages = 0;
  bytes = 0;

  constructor(name: string) {
    this.name = name;
  }
}

/** A retained message: the journal keeps it in the shard of its topic. */
export class Retained {
  readonly topic: string;
  readonly shard: Shard;
  readonly stored: Stored;
  readonly owner: Owner;

  constructor(topic: string, shard: Shard, stored: Stored, owner: Owner) {
    this.topic = topic;
    this.shard = shard;
    this.stored = stored;
    this.owner = owner;
  }
}

export class RetainedMessages {
  readonly tenant: string;
  readonly #context: BrokerContext;
  readonly #index = new TopicIndex<Retained>();
  /** By principal; without those that have nothing here. */
  readonly #owners = new Map<string, Owner>();
  #bytes = 0;
  /** No value expires before it. */
  #nextExpiryMs = Infinity;
  /** Values that went because their time was over. */
  expired = 0;

  constructor(context: BrokerContext, tenant: string) {
    this.#context = context;
    this.tenant = tenant;
  }

  get count(): number {
    return this.#index.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(topic: string): Retained | undefined {
    return this.#index.get(topic);
  }

  shardFor(topic: string): Shard {
    return shardOf(this.#context, this.tenant, topic);
  }

  /** What a principal has here. */
  ownedBy(principalId: string): { readonly messages: number; readonly bytes: number } {
    return this.#owners.get(principalId) ?? { messages: 0, bytes: 0 };
  }

  /** There is room for one more message of this size, in place of the topic's present one; `usage` is that of who publishes it. */
  admits(message: Message, usage: Usage): boolean {
    const before = this.#index.get(message.topic);
    const bytes = storedBytes(message);
    const { maxRetainedMessages, maxRetainedBytes } = this.#context.limits;
    const messages = this.#index.size + (before === undefined ? 1 : 0);
    const total = this.#bytes - (before?.stored.bytes ?? 0) + bytes;
    if ((before === undefined && messages > maxRetainedMessages) || total > maxRetainedBytes) return false;
    const own = this.ownedBy(message.sender);
    const isOwn = before?.owner.name === message.sender;
    const ownMessages = own.messages + (isOwn ? 0 : 1);
    const ownBytes = own.bytes - (isOwn ? before.stored.bytes : 0) + bytes;
    if (usage.admitsRetained({ messages, bytes: total }, { messages: ownMessages, bytes: ownBytes })) return true;
    usage.refuse('retained');
    return false;
  }

  /** `stored` is journaled in the topic's shard already, or has no row: then it is forgotten when the node stops. */
  set(topic: string, stored: Stored, ownerName: string): void {
    const shard = this.shardFor(topic);
    shard.acquire(stored);
    this.#bytes += stored.bytes;
    let owner = this.#owners.get(ownerName);
    if (owner === undefined) this.#owners.set(ownerName, (owner = new Owner(ownerName)));
    owner.messages++;
    owner.bytes += stored.bytes;
    if (stored.expiresAtMs > 0) this.#nextExpiryMs = Math.min(this.#nextExpiryMs, stored.expiresAtMs);
    const before = this.#index.set(topic, new Retained(topic, shard, stored, owner));
    if (before !== undefined) this.#letGo(before);
  }

  /** For what the node says about itself: kept in memory only. */
  setVolatile(message: Message): void {
    const stored = new Stored(message, undefined, 0, storedBytes(message), message.expiresAtMs, message.priority, undefined);
    this.set(message.topic, stored, message.sender);
  }

  /** Returns the shard in which the clearing was journaled; undefined when there was nothing to clear. */
  clear(topic: string): Shard | undefined {
    const before = this.#index.delete(topic);
    if (before === undefined) return undefined;
    const journaled = before.stored.home !== undefined;
    if (journaled) {
      before.shard.touch();
      writeRetained(before.shard.writer, { tenant: this.tenant, topic, stored: undefined, owner: '' });
    }
    this.#letGo(before);
    return journaled ? before.shard : undefined;
  }

  /** Clears the values past their time. */
  dropExpired(nowMs: number): void {
    if (nowMs < this.#nextExpiryMs) return;
    this.#nextExpiryMs = Infinity;
    const expired: string[] = [];
    for (const [topic, { stored }] of this.#index.entries()) {
      if (stored.expiresAtMs === 0) continue;
      if (stored.expiresAtMs <= nowMs) expired.push(topic);
      else this.#nextExpiryMs = Math.min(this.#nextExpiryMs, stored.expiresAtMs);
    }
    for (const topic of expired) this.clear(topic);
    this.expired += expired.length;
  }

  search(filter: string): TopicSearch<Retained> {
    return this.#index.search(filter);
  }

  entries(): Iterable<[topic: string, retained: Retained]> {
    return this.#index.entries();
  }

  #letGo(retained: Retained): void {
    const { owner, stored } = retained;
    this.#bytes -= stored.bytes;
    owner.bytes -= stored.bytes;
    owner.messages--;
    if (owner.messages === 0) this.#owners.delete(owner.name);
    retained.shard.release(retained.stored);
  }
}
