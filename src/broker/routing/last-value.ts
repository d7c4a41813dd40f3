// The last value of one topic for one principal, without a subscription.

import { topicProblem } from '../../message/topic.ts';
import type { Message } from '../../message/message.ts';
import type { Principal } from '../../security/security.ts';
import type { BrokerContext } from '../context.ts';
import { Outcome } from '../port.ts';
import type { Retained } from './retained-messages.ts';
import { isTemporary } from '../queues/temporary-nodes.ts';
import type { TopicSpace } from './topic-space.ts';

/** See Session.lastValue. */
export function lastValue(
  context: BrokerContext,
  space: TopicSpace,
  principal: Principal,
  topic: string,
  answer: (outcome: Outcome, message: Message | undefined) => void,
): void {
  if (topicProblem(topic, context.limits.maxTopicLevels) !== undefined) return answer(Outcome.topicInvalid, undefined);
  // Nothing is retained there, and whether it is there is nobody's affair.
  if (isTemporary(topic)) return answer(Outcome.notAuthorized, undefined);
  if (!context.security.allows(principal, 'subscribe', topic)) return answer(Outcome.notAuthorized, undefined);
  load(context, space, topic, answer);
}

function load(
  context: BrokerContext,
  space: TopicSpace,
  topic: string,
  answer: (outcome: Outcome, message: Message | undefined) => void,
): void {
  const retained: Retained | undefined = space.retained.get(topic);
  if (retained === undefined) return answer(Outcome.accepted, undefined);
  const { shard, stored } = retained;
  // Nobody knows when it will be written, so nobody may be told of it.
  if (stored.home !== undefined && stored.home.row > shard.durableRow && shard.stall !== undefined) {
    return answer(Outcome.unavailable, undefined);
  }
  // It may change while it is read: then the new one is the answer.
  const message = shard.load(stored, { holder: { pump: () => load(context, space, topic, answer) } });
  if (message === undefined) return;
  const isOver = message.expiresAtMs > 0 && message.expiresAtMs <= context.clock.wallMs();
  answer(Outcome.accepted, isOver ? undefined : message);
}
