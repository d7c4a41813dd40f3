// The broker's outcomes in the words of MQTT, packet by packet: not every packet may carry every reason code.

import type { CloseReason } from '../../broker/port.ts';
import { Outcome } from '../../broker/port.ts';
import { DecodeError, ReasonCode } from './codec/index.ts';
import type { AuthenticationResult } from '../../security/security.ts';

type Answer = { readonly reason: ReasonCode; readonly words: string | undefined };
type Answers = Readonly<Record<Outcome, Answer>>;

function answer(reason: ReasonCode, words?: string): Answer {
  return { reason, words };
}

const unexpected = answer(ReasonCode.unspecifiedError);
const notAuthorized = answer(ReasonCode.notAuthorized, 'not authorized');
const noQuota = answer(ReasonCode.quotaExceeded, 'a limit of the server is reached');
// 0x88 and 0x9C belong to CONNACK: nothing else says "not now" in an acknowledgement.
const notNow = answer(ReasonCode.implementationSpecificError, 'the server cannot store it now');

const publishAnswers: Answers = {
  [Outcome.accepted]: answer(ReasonCode.success),
  [Outcome.noSubscribers]: answer(ReasonCode.noMatchingSubscribers),
  [Outcome.pending]: unexpected,
  [Outcome.notAuthorized]: notAuthorized,
  [Outcome.topicInvalid]: answer(ReasonCode.topicNameInvalid, 'the topic is not accepted here'),
  [Outcome.filterInvalid]: unexpected,
  [Outcome.payloadFormatInvalid]: answer(ReasonCode.payloadFormatInvalid, 'the payload is not UTF-8'),
  // 0x95 belongs to DISCONNECT; 0x97 is "an implementation or administrative imposed limit".
  [Outcome.tooLarge]: answer(ReasonCode.quotaExceeded, 'the message is too large'),
  [Outcome.quotaExceeded]: noQuota,
  [Outcome.unavailable]: notNow,
  [Outcome.notSupported]: answer(ReasonCode.implementationSpecificError, 'not supported here'),
  [Outcome.noSubscription]: unexpected,
  // What MQTT has no way to ask for.
  [Outcome.selectorInvalid]: unexpected,
  [Outcome.inUse]: unexpected,
  [Outcome.notFound]: unexpected,
  [Outcome.aborted]: unexpected,
};

const subscribeAnswers: Answers = {
  ...publishAnswers,
  [Outcome.noSubscribers]: unexpected,
  [Outcome.topicInvalid]: answer(ReasonCode.topicFilterInvalid),
  [Outcome.filterInvalid]: answer(ReasonCode.topicFilterInvalid),
  [Outcome.payloadFormatInvalid]: unexpected,
  [Outcome.inUse]: answer(ReasonCode.implementationSpecificError, 'another consumer has the queue to itself'),
  [Outcome.notSupported]: answer(ReasonCode.sharedSubscriptionsNotSupported),
};

const unsubscribeAnswers: Answers = {
  ...subscribeAnswers,
  [Outcome.inUse]: unexpected,
  [Outcome.noSubscription]: answer(ReasonCode.noSubscriptionExisted),
  [Outcome.tooLarge]: unexpected,
  [Outcome.quotaExceeded]: unexpected,
  [Outcome.notSupported]: unexpected,
};

/** For PUBACK and PUBREC [MQTT-3.4.2-1] [MQTT-3.5.2-1]. */
export function publishAnswer(outcome: Outcome): Answer {
  return publishAnswers[outcome];
}

const refusalWords: ReadonlyMap<number, string | undefined> = new Map(
  // A quota is the more likely of the two that share 0x97.
  [...Object.values(publishAnswers), noQuota].map(({ reason, words }) => [reason, words]),
);

/** For a PUBACK or PUBREC of which only the reason is still known. */
export function wordsOf(reason: ReasonCode): string | undefined {
  return reason < 0x80 ? undefined : refusalWords.get(reason);
}

/** For SUBACK, where the outcome is not `accepted` [MQTT-3.9.3-2]. */
export function subscribeReason(outcome: Outcome): ReasonCode {
  return subscribeAnswers[outcome].reason;
}

/** For UNSUBACK [MQTT-3.11.3-2]. */
export function unsubscribeReason(outcome: Outcome): ReasonCode {
  return unsubscribeAnswers[outcome].reason;
}

/** For CONNACK, where the session could not be opened [MQTT-3.2.2-8]. */
export function connectReason(outcome: Outcome): ReasonCode {
  switch (outcome) {
    case Outcome.notAuthorized:
      return ReasonCode.notAuthorized;
    case Outcome.quotaExceeded:
      return ReasonCode.quotaExceeded;
    case Outcome.topicInvalid:
      return ReasonCode.topicNameInvalid;
    case Outcome.unavailable:
      return ReasonCode.serverUnavailable;
    default:
      return ReasonCode.unspecifiedError;
  }
}

/** For CONNACK, where the credentials were not accepted. */
export function credentialsFault(why: (AuthenticationResult & { ok: false })['reason']): DecodeError {
  switch (why) {
    case 'refused':
      return new DecodeError(ReasonCode.badUserNameOrPassword, 'bad user name or password');
    case 'overloaded':
      return new DecodeError(ReasonCode.serverBusy, 'too many handshakes at once');
    case 'banned':
      return new DecodeError(ReasonCode.banned, 'locked out for a while');
  }
}

/** For DISCONNECT. */
export const closeReasons: Readonly<Record<CloseReason, Answer & { readonly words: string }>> = {
  takenOver: { reason: ReasonCode.sessionTakenOver, words: 'another connection uses this client identifier' }, // [MQTT-3.1.4-3]
  administrative: { reason: ReasonCode.administrativeAction, words: 'closed by an operator' },
  shuttingDown: { reason: ReasonCode.serverShuttingDown, words: 'the server is going down' },
  unavailable: { reason: ReasonCode.unspecifiedError, words: 'the session cannot be stored now' },
};
