// What somebody might manage at some time, from somewhere: asked before rights are given, not when they are used.

import type { Principal } from '../security.ts';
import type { Explanation } from './explain.ts';
import { readPolicy } from './policy-document.ts';
import { compilePattern, matchesTopic } from './topic-pattern.ts';

/** Whether something allows it in some circumstance; what denies it may not hold in that one. What cannot be known counts. */
export function mayEver({ reason, findings }: Pick<Explanation, 'reason' | 'findings'>): boolean {
  if (reason === 'unknown-tenant') return true;
  return findings.some(({ effect, outcome }) => effect === 'allow' && outcome !== 'topic-differs' && outcome !== 'node-only');
}

const nobody: Principal = { tenant: '', id: '', kind: 'user', roles: [] };

/** Whether a policy allows to manage `resource` to anybody: variables may become anything. One that is broken allows nothing. */
export function mightAllow(document: string, resource: string): boolean {
  const read = readPolicy(document);
  if (!read.ok) return false;
  const fits = (topic: string): boolean => topic.includes('${') || matchesTopic(compilePattern(topic), [resource], nobody);
  return read.document.statements.some(
    ({ effect, actions, topics }) => effect === 'allow' && actions.includes('manage') && (topics?.some(fits) ?? true),
  );
}
