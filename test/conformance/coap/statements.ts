// What the RFCs of CoAP, and the draft of its pub/sub, demand of a server, and of a client where the node is one. The RFCs do not number their statements: a number here
// is that of the RFC, of the section, and a count of ours; the words are ours, too. Which test proves a statement stands with the test
// (conforms.ts); coverage.ts fails where none does. Statements of a layer stand in a file of their own.

import { blockStatements } from './statements/blocks.ts';
import { messageStatements } from './statements/messages.ts';
import { reliableStatements } from './statements/reliable.ts';
import { resourceStatements } from './statements/resources.ts';
import { securityStatements } from './statements/security.ts';

export const statements: ReadonlyMap<string, string> = read(
  messageStatements,
  reliableStatements,
  blockStatements,
  resourceStatements,
  securityStatements,
);

/** Why a statement is not kept, or cannot be proved. */
export const deviations: Readonly<Record<string, string>> = {
  '7252/4.4-2':
    'ids go round in order, so that as many as there are lie between two uses; more than 265 messages a second to one peer are not held back for it, for what was asked for would come late and queues would grow. Observe several topics by one wildcard, or by several endpoints',
  '7252/4.5-4':
    'what is remembered of a peer, and of all, is bounded (maxRememberedPerPeer and its like); a repetition that comes later is processed again. Where that matters a request has its key (mid), which is remembered durably',
  '7252/4.7-2':
    'what is sent non-confirmable to a peer that does not answer is bounded by the observation (resources) and by three times what it has sent until it is proven, not by PROBING_RATE',
  '7252/5.8.1-1':
    'GET of /q/<name> takes a message, so that a device needs no more than GET; its answer has Max-Age 0, and what is not acknowledged goes back to its queue. All other GETs change nothing',
  '7641/4.2-3':
    'a topic carries the messages of many publishers, by other protocols too, and each says its format; an observer that wants one asks for it by Accept, and is not sent others',
  '7641/4.5.1-1':
    'who observes a topic at most once wants each message, not only the newest state; how many there are is for the quotas of the broker to bound, and an observer that is congested asks for confirmable notifications',
  '8613/4.1.3.4-1':
    'blocks outside of OSCORE come from proxies that cut what they carry: put together before anything is opened, they would let strangers fill memory; they are refused by 4.02, and blocks inside are taken',
  '9177/7.2-4':
    'as 7252/4.7-2: who observes without acknowledging is asked for a confirmable notification from time to time, and is sent nothing more when that is lost; sets of one body keep to NON_TIMEOUT_RANDOM',
  '9176/6.2-3': 'not offered: what is kept of registrations are last values of $coap/rd/#, which may be observed as a topic',
};

/** A line each: the id, a space, the words. */
function read(...texts: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of texts.join('\n').split('\n')) {
    const [id = '', ...words] = line.trim().split(' ');
    if (id === '') continue;
    if (found.has(id)) throw new Error(`${id} stands in the table twice`);
    found.set(id, words.join(' '));
  }
  return found;
}
