// Queues and topics that sessions make for themselves (`$temp/<random>`): queues in memory, topics without last values; consumed by
// nobody but their principal, and gone with the connection of the session that made them.

import type { ClientSession } from '../sessions/client-session.ts';
import type { BrokerContext } from '../context.ts';

const prefix = '$temp/';
const nameBytes = 18;

/** Of the name of a queue, and of a topic or filter. */
export function isTemporary(name: string): boolean {
  return name.startsWith(prefix);
}

export class TemporaryNodes {
  readonly #context: BrokerContext;
  /** Who made them, by name. */
  readonly #makers = new Map<string, ClientSession>();
  /** Those that are topics. */
  readonly #topics = new Set<string>();
  readonly #made = new Map<ClientSession, Set<string>>();
  /** How many each principal has. */
  readonly #counts = new Map<string, number>();

  constructor(context: BrokerContext) {
    this.#context = context;
  }

  get queues(): number {
    return this.#makers.size - this.#topics.size;
  }

  get topics(): number {
    return this.#topics.size;
  }

  /** A name of which nobody knows; undefined: the principal has as many as it may. */
  add(maker: ClientSession, kind: 'queue' | 'topic'): string | undefined {
    const { random, limits } = this.#context;
    const { id } = maker.principal;
    const count = this.#counts.get(id) ?? 0;
    if (random === undefined || count >= limits.maxTemporaryQueuesPerPrincipal) return undefined;
    const name = prefix + Buffer.from(random.bytes(nameBytes)).toString('base64url');
    this.#counts.set(id, count + 1);
    this.#makers.set(name, maker);
    if (kind === 'topic') this.#topics.add(name);
    const made = this.#made.get(maker);
    if (made === undefined) this.#made.set(maker, new Set([name]));
    else made.add(name);
    return name;
  }

  delete(name: string): void {
    const maker = this.#makers.get(name);
    if (maker === undefined) return;
    const { id } = maker.principal;
    const made = this.#made.get(maker)!;
    made.delete(name);
    if (made.size === 0) this.#made.delete(maker);
    const count = this.#counts.get(id)! - 1;
    if (count === 0) this.#counts.delete(id);
    else this.#counts.set(id, count);
    this.#makers.delete(name);
    this.#topics.delete(name);
  }

  /** The principal that may consume the queue, and publish to it without being allowed to; undefined: there is no such queue. */
  ownerOfQueue(name: string): string | undefined {
    return this.#topics.has(name) ? undefined : this.#makers.get(name)?.principal.id;
  }

  /** The same of a topic. */
  ownerOfTopic(topic: string): string | undefined {
    return this.#topics.has(topic) ? this.#makers.get(topic)?.principal.id : undefined;
  }

  /** Those that the session has made. */
  of(maker: ClientSession): readonly string[] {
    return [...(this.#made.get(maker) ?? [])];
  }
}
