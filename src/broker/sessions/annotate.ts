// What a consumer that gives a message back wants it to carry from now on (AMQP 1.0 part 3 §3.4.5, message-annotations).

import type { Property } from '../../message/attributes.ts';
import { withFields } from '../../message/attributes.ts';
import { Message } from '../../message/message.ts';
import type { Entry } from '../queues/queue.ts';
import { propertyBytes } from '../journal/stored.ts';

/** Consumers may give back a message as often as they like: it must not grow with it. */
const maxAnnotations = 64;
const maxAnnotationBytes = 16 * 1024;

/**
 * Merges annotations into the message of an entry that is with nobody any more, and does not wait. `then` is called when that is
 * done: at once if the message is in memory.
 */
export function annotate(entry: Entry, annotations: readonly Property[], then: () => void): void {
  const { queue } = entry;
  let isLater = false;
  const go = (): void => {
    if (entry.gone) return;
    const message = queue.shard.load(entry.stored!, { holder: { pump: go } });
    if (message === undefined) {
      if (!isLater) queue.setAside(entry);
      isLater = true;
      return;
    }
    const merged = mergedInto(message.attributes?.annotations, annotations);
    if (merged !== undefined) queue.rewrite(entry, withAnnotations(message, merged));
    if (isLater) queue.fetch(entry);
    then();
  };
  go();
}

/** The last one with a key wins. Undefined: they would be too many, or too large. */
export function mergedInto(before: readonly Property[] | undefined, added: readonly Property[]): readonly Property[] | undefined {
  const byKey = new Map<string, Property>();
  for (const property of [...(before ?? []), ...added]) byKey.set(property.key, property);
  const merged = [...byKey.values()];
  const bytes = merged.reduce((sum, property) => sum + propertyBytes(property), 0);
  return merged.length <= maxAnnotations && bytes <= maxAnnotationBytes ? merged : undefined;
}

function withAnnotations(m: Message, annotations: readonly Property[]): Message {
  const attributes = withFields(m.attributes, { annotations });
  const { topic, topicBytes, buffer, start, end, guarantee, retain, priority, expiresAtMs, acceptedAtMs, sender } = m;
  return new Message(topic, topicBytes, buffer, start, end, guarantee, retain, priority, expiresAtMs, acceptedAtMs, sender, attributes);
}
