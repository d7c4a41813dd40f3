// What the configuration says of one queue: the limits of its kind, and of the first entry of `queues` that matches its name.

import { matches } from '../../message/filter.ts';
import { plainRules } from '../limits.ts';
import type { BrokerLimits, QueueLimits, QueueRules } from '../limits.ts';
import { nameOf } from './queue.ts';
import type { Queue } from './queue.ts';

export type QueueSettings = { readonly limits: QueueLimits; readonly rules: QueueRules };

/** Of a named or shared queue. */
export function settingsOf(all: BrokerLimits, queue: Queue): QueueSettings {
  const name = queue.kind === 'shared' ? nameOf(queue) : queue.name;
  const limits = queue.kind === 'shared' ? all.sharedQueue : all.namedQueue;
  const { maxDeliveries, deadLetterQueue } = all;
  const rules = { ...plainRules, priorities: true, maxDeliveries, deadLetterQueue };
  const setting = all.queues.find(({ match }) => match === name || matches(match, name));
  if (setting === undefined) return { limits, rules };
  const { match: _, maxMessages, maxBytes, onFull, ...others } = setting;
  return {
    limits: { maxMessages: maxMessages ?? limits.maxMessages, maxBytes: maxBytes ?? limits.maxBytes, onFull: onFull ?? limits.onFull },
    rules: { ...rules, ...others },
  };
}

/** Of an inbox whose dead messages are kept (AttachRequest.deadLetters). */
export function inboxRules({ maxDeliveries, deadLetterQueue }: BrokerLimits): QueueRules {
  return { ...plainRules, maxDeliveries, deadLetterQueue };
}
