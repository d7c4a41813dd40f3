// Is every statement that binds a server proved by a test that passed, or is there a reason why it is not?

import { proofs } from './conforms.ts';
import { deviations, statements } from './statements.ts';

type Coverage = {
  readonly statements: number;
  readonly covered: number;
  readonly deviations: readonly string[];
  readonly uncovered: readonly string[];
  /** Statements that tests claim to prove and that the table does not have, or that are excused although a test proves them. */
  readonly mistakes: readonly string[];
};

export function coverage(): Coverage {
  const isProved = (id: string): boolean => proofs.get(id)?.every(({ passed }) => passed) ?? false;
  const ids = [...statements.keys()];
  const mistakes = [...proofs.keys()].filter((id) => !statements.has(id)).map((id) => `${id} is not in the table`);
  for (const id of Object.keys(deviations)) {
    if (!statements.has(id)) mistakes.push(`${id} is not in the table`);
    if (proofs.has(id)) mistakes.push(`${id} is excused, but a test proves it`);
  }
  return {
    statements: ids.length,
    covered: ids.filter(isProved).length,
    deviations: ids.filter((id) => id in deviations).map((id) => `${id} (${statements.get(id)}): ${deviations[id]}`),
    uncovered: ids.filter((id) => !isProved(id) && !(id in deviations)),
    mistakes,
  };
}
