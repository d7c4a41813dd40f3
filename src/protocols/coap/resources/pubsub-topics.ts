// The topics of the pub/sub draft of one tenant, and when they end.

import type { Timer } from '../../../base/timers.ts';
import type { Outcome } from '../../../broker/port.ts';
import { noBytes } from '../codec/index.ts';
import type { House } from './house.ts';
import type { Keeper, Kept } from './keeper.ts';
import { decodeTopic, encodeTopic, type PubsubTopic } from './pubsub-topic.ts';

/** Longer timers are looked at again on the way. */
const longestLookMs = 3_600_000;

export class PubsubTopics {
  readonly #house: House;
  readonly #keeper: Keeper;
  readonly #byId = new Map<string, PubsubTopic>();
  readonly #byName = new Map<string, PubsubTopic>();
  readonly #timers = new Map<PubsubTopic, Timer>();

  constructor(house: House, keeper: Keeper) {
    this.#house = house;
    this.#keeper = keeper;
  }

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): PubsubTopic | undefined {
    return this.#byId.get(id);
  }

  named(name: string): PubsubTopic | undefined {
    return this.#byName.get(name);
  }

  ownedBy(owner: string): number {
    let sum = 0;
    for (const topic of this.#byId.values()) if (topic.owner === owner) sum++;
    return sum;
  }

  all(): Iterable<PubsubTopic> {
    return this.#byId.values();
  }

  /** From before a restart. */
  found({ name: id, payload }: Kept): void {
    const topic = decodeTopic(id, payload);
    if (topic !== undefined) this.#set(topic);
  }

  put(topic: PubsubTopic, done: (outcome: Outcome) => void): void {
    this.#set(topic);
    this.#keeper.write('ps', topic.id, encodeTopic(topic), 0, done);
  }

  /** Its data goes with it; who observes that is told by its end. */
  remove(topic: PubsubTopic, done: (outcome: Outcome) => void): void {
    this.#forget(topic);
    this.#keeper.clear(topic.configuration.name);
    this.#keeper.write('ps', topic.id, noBytes, 0, done);
  }

  /** It was not taken: as if it had never been. */
  undo(topic: PubsubTopic): void {
    this.#forget(topic);
  }

  #set(topic: PubsubTopic): void {
    if (!this.#byId.has(topic.id)) this.#house.counters.pubsubTopics++;
    this.#byId.set(topic.id, topic);
    this.#byName.set(topic.configuration.name, topic);
    this.#watch(topic);
  }

  #watch(topic: PubsubTopic): void {
    const { clock, timers } = this.#house;
    timers.cancel(this.#timers.get(topic));
    this.#timers.delete(topic);
    const { expirationDate } = topic.configuration;
    if (expirationDate === undefined) return;
    const leftMs = Math.max(1, Math.min(expirationDate * 1000 - clock.wallMs(), longestLookMs));
    const look = (): void => {
      if (expirationDate * 1000 > clock.wallMs()) this.#watch(topic);
      else this.remove(topic, () => {});
    };
    this.#timers.set(topic, timers.at(clock.monotonicMs() + leftMs, look));
  }

  #forget(topic: PubsubTopic): void {
    if (!this.#byId.delete(topic.id)) return;
    this.#byName.delete(topic.configuration.name);
    this.#house.timers.cancel(this.#timers.get(topic));
    this.#timers.delete(topic);
    this.#house.counters.pubsubTopics--;
  }

  close(): void {
    for (const timer of this.#timers.values()) this.#house.timers.cancel(timer);
    this.#timers.clear();
    this.#byId.clear();
    this.#byName.clear();
  }
}
