// Is every statement that binds a server proved by a test that passed, or is there a reason why it cannot be?

import { proofs } from './conforms.ts';
import { mqtt311 } from './statements-3.1.1.ts';
import { mqtt5 } from './statements-5.0.ts';

import type { StandardKey } from './conforms.ts';
import type { Standard } from './statement.ts';

export const standards: Record<StandardKey, Standard> = { v4: mqtt311, v5: mqtt5 };

/** Why no test can prove it. */
const untestable: Record<StandardKey, Record<string, string>> = {
  v4: {
    'MQTT-7.0.0-1': 'this server opens no MQTT connections to other servers',
  },
  v5: {},
};

export type Coverage = {
  readonly name: string;
  readonly serverStatements: number;
  readonly covered: number;
  readonly untestable: readonly string[];
  readonly uncovered: readonly string[];
  /** Statements that tests claim to prove and that the standard does not have, or that are excused although a test proves them. */
  readonly mistakes: readonly string[];
};

export function coverageOf(key: StandardKey): Coverage {
  const { name, statements } = standards[key];
  const known = new Set(statements.map(({ id }) => id));
  const excused = untestable[key];
  const isProved = (id: string): boolean => proofs.get(`${key} ${id}`)?.every(({ runs, passed }) => passed === runs) ?? false;
  const forServers = statements.filter(({ binds }) => binds !== 'client').map(({ id }) => id);
  const mistakes = [...proofs.keys()]
    .filter((proof) => proof.startsWith(`${key} `) && !known.has(proof.slice(key.length + 1)))
    .map((proof) => `${proof.slice(key.length + 1)} is not in the standard`);
  for (const id of Object.keys(excused)) {
    if (!known.has(id)) mistakes.push(`${id} is not in the standard`);
    if (proofs.has(`${key} ${id}`)) mistakes.push(`${id} is excused, but a test proves it`);
  }
  return {
    name,
    serverStatements: forServers.length,
    covered: forServers.filter(isProved).length,
    untestable: forServers.filter((id) => !isProved(id) && id in excused).map((id) => `${id}: ${excused[id]}`),
    uncovered: forServers.filter((id) => !isProved(id) && !(id in excused)),
    mistakes,
  };
}
