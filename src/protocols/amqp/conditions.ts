// The broker's outcomes and reasons in the words of AMQP (docs/mapping.md §4).

import { Outcome, type CloseReason } from '../../broker/port.ts';
import { Condition } from './codec/index.ts';

export type Words = { readonly condition: Condition; readonly message: string };

function words(condition: Condition, message: string): Words {
  return { condition, message };
}

const unexpected = words(Condition.internalError, 'the request was answered in a way that does not fit it');

const answers: Readonly<Record<Outcome, Words>> = {
  [Outcome.accepted]: unexpected,
  [Outcome.noSubscribers]: unexpected,
  [Outcome.pending]: unexpected,
  [Outcome.notAuthorized]: words(Condition.unauthorizedAccess, 'not authorized'),
  [Outcome.topicInvalid]: words(Condition.invalidField, 'the address is not accepted here'),
  [Outcome.filterInvalid]: words(Condition.invalidField, 'the address is not a filter that is accepted here'),
  [Outcome.payloadFormatInvalid]: words(Condition.decodeError, 'the payload is not what it is said to be'),
  [Outcome.tooLarge]: words(Condition.messageSizeExceeded, 'the message is too large'),
  [Outcome.quotaExceeded]: words(Condition.resourceLimitExceeded, 'a limit of the server is reached'),
  [Outcome.unavailable]: words(Condition.internalError, 'the server cannot store it now'),
  [Outcome.notSupported]: words(Condition.notImplemented, 'not supported here'),
  [Outcome.noSubscription]: words(Condition.notFound, 'there is no such subscription'),
  [Outcome.selectorInvalid]: words(Condition.invalidField, 'the selector cannot be read'),
  [Outcome.inUse]: words(Condition.resourceLocked, 'another consumer has it to itself'),
  [Outcome.notFound]: words(Condition.notFound, 'there is no such node'),
  [Outcome.aborted]: words(Condition.transactionRollback, 'the transaction is over'),
};

/** Why a request was refused; of outcomes that refuse nothing: that this is our mistake. */
export function wordsOf(outcome: Outcome): Words {
  return answers[outcome];
}

/** For the close of a connection whose broker session is gone. */
export const closeWords: Readonly<Record<CloseReason, Words>> = {
  takenOver: words(Condition.connectionForced, 'another connection has taken over'),
  administrative: words(Condition.connectionForced, 'closed by an operator'),
  shuttingDown: words(Condition.connectionForced, 'the server is going down'),
  unavailable: words(Condition.internalError, 'the session cannot be stored now'),
};

/** For the detach of a link whose broker session is gone. */
export const detachWords: Readonly<Record<CloseReason, Words>> = {
  takenOver: words(Condition.stolen, 'the link was attached elsewhere'),
  administrative: words(Condition.detachForced, 'closed by an operator'),
  shuttingDown: words(Condition.connectionForced, 'the server is going down'),
  unavailable: words(Condition.internalError, 'the link cannot be stored now'),
};
