// What the RFCs of CoAP demand of a server, and of a client where the node is one. The RFCs do not number their statements: a number here
// is that of the RFC, of the section, and a count of ours; the words are ours, too. Which test proves a statement stands with the test
// (conforms.ts); coverage.ts fails where none does. Statements of a layer stand in a file of their own.

import { messageStatements } from './statements/messages.ts';
import { reliableStatements } from './statements/reliable.ts';

export const statements: ReadonlyMap<string, string> = read(messageStatements, reliableStatements);

/** Why a statement is not kept, or cannot be proved. */
export const deviations: Readonly<Record<string, string>> = {
  '7252/4.7-2':
    'what is sent non-confirmable to a peer that does not answer is bounded by the observation (resources) and by three times what it has sent until it is proven, not by PROBING_RATE',
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
