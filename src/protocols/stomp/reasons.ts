// The broker's outcomes in words for ERROR (docs/mapping.md §4).

import { type CloseReason, Outcome } from '../../broker/port.ts';
import type { AuthenticationResult } from '../../security/security.ts';
import { StompFault } from './codec/index.ts';

const words: Readonly<Record<Outcome, string>> = {
  [Outcome.accepted]: 'unexpected answer',
  [Outcome.noSubscribers]: 'unexpected answer',
  [Outcome.pending]: 'unexpected answer',
  [Outcome.notAuthorized]: 'not authorized',
  [Outcome.topicInvalid]: 'the destination is no topic that is accepted here',
  [Outcome.filterInvalid]: 'the destination is no filter that is accepted here',
  [Outcome.payloadFormatInvalid]: 'the body is not what it is said to be',
  [Outcome.tooLarge]: 'the message is too large',
  [Outcome.quotaExceeded]: 'a queue is full, or a limit of the server is reached',
  [Outcome.unavailable]: 'the server cannot store it now',
  [Outcome.notSupported]: 'not supported here',
  [Outcome.noSubscription]: 'there is no such subscription',
  [Outcome.selectorInvalid]: 'the selector cannot be read',
  [Outcome.inUse]: 'another consumer has the queue to itself',
  [Outcome.notFound]: 'there is no such destination',
  [Outcome.aborted]: 'the transaction was rolled back: it took too long, or one of its messages could not be taken',
};

export function outcomeFault(command: string, outcome: Outcome): StompFault {
  return new StompFault(words[outcome], `${command} was refused: ${words[outcome]}`);
}

export function credentialsFault(reason: (AuthenticationResult & { ok: false })['reason']): StompFault {
  switch (reason) {
    case 'refused':
      return new StompFault('not authenticated', 'login and passcode, or the certificate, are not accepted here');
    case 'overloaded':
      return new StompFault('overloaded', 'too many handshakes at once: try again later');
    case 'banned':
      return new StompFault('locked out', 'locked out for a while');
  }
}

const closeWords: Readonly<Record<CloseReason, string>> = {
  takenOver: 'another connection has taken the subscription over',
  administrative: 'closed by an operator',
  shuttingDown: 'the server is going down',
  unavailable: 'the server cannot store it now',
};

export function closeFault(reason: CloseReason): StompFault {
  return new StompFault(closeWords[reason], 'the connection was ended by the server');
}
