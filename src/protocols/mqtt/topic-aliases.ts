// Topic aliases of one connection (MQTT 5 §3.3.2.3.4), one table for each direction. They end with the connection
// [MQTT-3.3.2-7].

import type { KnownTopic } from './topic-cache.ts';

/** What the client's aliases stand for. */
export class InboundAliases {
  readonly #maximum: number;
  #topics: (KnownTopic | undefined)[] | undefined = undefined;

  /** `maximum`: the Topic Alias Maximum of our CONNACK. */
  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** 1 to the maximum: no other alias may be used [MQTT-3.3.2-8] [MQTT-3.3.2-9]. */
  allows(alias: number): boolean {
    return alias > 0 && alias <= this.#maximum;
  }

  /** The topic that an allowed alias stands for; undefined when it was never set. */
  topic(alias: number): KnownTopic | undefined {
    return this.#topics?.[alias];
  }

  /** Sets or replaces what an allowed alias stands for [MQTT-3.3.2-12]. */
  set(alias: number, topic: KnownTopic): void {
    this.#topics ??= [];
    // Sparse numbers must not become a sparse array.
    for (let i = this.#topics.length; i < alias; i++) this.#topics.push(undefined);
    this.#topics[alias] = topic;
  }
}

/** Which alias stands for a topic towards the client. The first topics get one and keep it. */
export class OutboundAliases {
  readonly #maximum: number;
  #aliases: Map<string, number> | undefined = undefined;

  /** `maximum`: what the client allows, or less [MQTT-3.3.2-11]. */
  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** The alias the client already knows for the topic, or 0. */
  known(topic: string): number {
    return this.#aliases?.get(topic) ?? 0;
  }

  /** The alias to set with a topic that has none, or 0 when all are taken. It is taken only by `set`. */
  free(): number {
    const used = this.#aliases?.size ?? 0;
    return used < this.#maximum ? used + 1 : 0;
  }

  /** The packet that sets the alias is written. */
  set(topic: string, alias: number): void {
    this.#aliases ??= new Map();
    this.#aliases.set(topic, alias);
  }
}
