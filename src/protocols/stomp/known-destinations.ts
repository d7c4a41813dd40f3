// What a connection remembers of the destinations its client sends to: check and route, until rights change.

import { type Address, Outcome, type Session } from '../../broker/port.ts';
import { parseDestination } from './destination.ts';
import type { StompServer } from './server.ts';

export type KnownDestination = { readonly address: Address; readonly version: number; mayRetain: boolean | undefined };

export class KnownDestinations {
  readonly #server: StompServer;
  readonly #session: Session;
  readonly #known = new Map<string, KnownDestination>();

  constructor(server: StompServer, session: Session) {
    this.#server = server;
    this.#session = session;
  }

  find(destination: string): KnownDestination {
    const known = this.#known.get(destination);
    if (known !== undefined && known.version === this.#session.addressVersion) return known;
    const { topicCacheEntries } = this.#server.options;
    if (known === undefined && this.#known.size >= topicCacheEntries)
      for (const oldest of this.#known.keys()) if (this.#known.delete(oldest)) break;
    const found: KnownDestination = { address: this.#ask(destination), version: this.#session.addressVersion, mayRetain: undefined };
    this.#known.set(destination, found);
    return found;
  }

  mayRetain(known: KnownDestination): boolean {
    return (known.mayRetain ??= this.#server.parts.security.allows(this.#session.principal, 'retain', known.address.topic));
  }

  #ask(destination: string): Address {
    const { maxTopicBytes, maxTopicLevels } = this.#server.options;
    const topic = parseDestination(destination).filter;
    const topicBytes = new Uint8Array(Buffer.from(topic));
    const isNone =
      topic === '' ||
      topicBytes.length > maxTopicBytes ||
      /[+#\0]/.test(topic) ||
      topic.split('/', maxTopicLevels + 1).length > maxTopicLevels;
    return isNone ? { topic, topicBytes, outcome: Outcome.topicInvalid } : this.#session.address(topic, topicBytes);
  }
}
