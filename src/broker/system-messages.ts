// What the node says about itself on `$SYS/…`: retained in memory only, sent at most once. Nobody else may publish there.

import { Message, defaultPriority } from '../message/message.ts';
import type { BrokerContext } from './context.ts';
import { sendToAll } from './routing/distribution.ts';
import type { TopicSpace } from './routing/topic-space.ts';

const text = new TextEncoder();

export class SystemMessages {
  readonly #context: BrokerContext;
  readonly #spaceOf: (tenant: string) => TopicSpace;

  constructor(context: BrokerContext, spaceOf: (tenant: string) => TopicSpace) {
    this.#context = context;
    this.#spaceOf = spaceOf;
  }

  /** Sets the last value of a `$SYS` topic of a tenant and tells who listens. */
  publish(tenant: string, topic: string, value: string): void {
    const nowMs = this.#context.clock.wallMs();
    const payload = text.encode(value);
    const message = new Message(
      topic,
      text.encode(topic),
      payload,
      0,
      payload.length,
      0,
      true,
      defaultPriority,
      0,
      nowMs,
      '$SYS',
      undefined,
    );
    const space = this.#spaceOf(tenant);
    space.retained.setVolatile(message);
    sendToAll(undefined, space.route(topic), message);
  }
}
