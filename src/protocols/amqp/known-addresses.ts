// What a link remembers of the addresses that its peer publishes to, so that a message costs no question to the broker.

import type { Address, Outcome, Session } from '../../broker/port.ts';
import { topicOfTo } from './address.ts';
import { AmqpFault } from './codec/index.ts';
import type { AmqpServer } from './server.ts';

const RetainRight = { unknown: 0, yes: 1, no: 2 } as const;
type RetainRight = (typeof RetainRight)[keyof typeof RetainRight];

/** An address as the peer may use it. The holder renews it when `version` is behind the session's `addressVersion`. */
export class KnownAddress {
  address: Address;
  version: number;
  #retainRight: RetainRight = RetainRight.unknown;

  constructor(session: Session, topic: string) {
    this.address = session.address(topic, new Uint8Array(Buffer.from(topic)));
    this.version = session.addressVersion;
  }

  renew(session: Session): void {
    this.address = session.address(this.address.topic, this.address.topicBytes);
    this.version = session.addressVersion;
    this.#retainRight = RetainRight.unknown;
  }

  /** Why nothing can be published there now; `accepted`: it can. */
  get outcome(): Outcome {
    return this.address.outcome;
  }

  /** May the peer set the last value? Asked once for each version of the rules. */
  mayRetain(server: AmqpServer, session: Session): boolean {
    if (this.#retainRight === RetainRight.unknown) {
      const may = server.security.allows(session.principal, 'retain', this.address.topic);
      this.#retainRight = may ? RetainRight.yes : RetainRight.no;
    }
    return this.#retainRight === RetainRight.yes;
  }
}

/** Of a link without address, whose messages name their own by `to`. */
export class KnownAddresses {
  readonly #server: AmqpServer;
  readonly #byTo = new Map<string, KnownAddress>();

  constructor(server: AmqpServer) {
    this.#server = server;
  }

  find(session: Session, to: string, toType: number | undefined): KnownAddress | AmqpFault {
    const key = toType === undefined ? to : `${toType}\0${to}`;
    const known = this.#byTo.get(key);
    if (known !== undefined) return known;
    const { options } = this.#server;
    const topic = topicOfTo(to, toType, options);
    if (topic instanceof AmqpFault) return topic;
    // A peer with very many addresses costs itself look-ups, and nobody memory.
    if (this.#byTo.size >= options.topicCacheEntries) this.#byTo.clear();
    const learned = new KnownAddress(session, topic);
    this.#byTo.set(key, learned);
    return learned;
  }
}
