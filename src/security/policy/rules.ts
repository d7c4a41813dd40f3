// `security.rules` of the configuration: statements in fewer words, for who does not need more.

import type { Action, Principal } from '../security.ts';
import { actions } from './policy-document.ts';
import type { CompiledStatement } from './statement.ts';
import { compilePattern, patternFault } from './topic-pattern.ts';

/**
 * One rule. Exactly one of `allow` and `deny`. `topics` are patterns in the grammar of MQTT filters, with variables; they may be
 * left out for `connect` (where they are matched against the client id) and `manage`, and mean "any" then. A rule binds the
 * principals of its `tenants` that it names by `users` or by `roles`; what is left out means "all".
 */
export type Rule = {
  readonly allow?: readonly Action[];
  readonly deny?: readonly Action[];
  readonly topics?: readonly string[];
  readonly users?: readonly string[];
  readonly roles?: readonly string[];
  readonly tenants?: readonly string[];
};

/** The rules of a broker that was not told any: a device has its own branch, an application has every topic of its tenant. */
export const defaultRules: readonly Rule[] = [
  { allow: ['publish', 'subscribe', 'consume', 'retain'], topics: ['dev/${id}/#'], roles: ['device'] },
  // Where a device renews its certificate.
  { allow: ['publish', 'subscribe'], topics: ['$enrol/${id}/#'], roles: ['device'] },
  { allow: ['publish', 'subscribe', 'consume', 'retain'], topics: ['#', '$queue/#'], roles: ['application'] },
];

const withoutTopics: readonly Action[] = ['connect', 'manage'];

/** What is wrong with rules, each with the place (`rules[2].topics[0]`); empty when nothing is. */
export function ruleFaults(rules: readonly Rule[]): { readonly at: string; readonly what: string }[] {
  const faults: { at: string; what: string }[] = [];
  for (const [i, rule] of rules.entries()) {
    const at = `rules[${i}]`;
    const named = rule.allow ?? rule.deny;
    if ((rule.allow === undefined) === (rule.deny === undefined)) faults.push({ at, what: 'needs exactly one of `allow` and `deny`' });
    if (named === undefined) continue;
    if (named.length === 0) faults.push({ at, what: 'names no action' });
    for (const action of named) {
      if (!actions.includes(action)) faults.push({ at, what: `knows no action \`${action}\`; there are ${actions.join(', ')}` });
    }
    if (rule.topics === undefined) {
      const needy = named.find((action) => !withoutTopics.includes(action));
      if (needy !== undefined) faults.push({ at, what: `needs \`topics\` for the action \`${needy}\`` });
    } else {
      if (rule.topics.length === 0) faults.push({ at: `${at}.topics`, what: 'is an empty list, so the rule would never hold' });
      for (const [k, topic] of rule.topics.entries()) {
        const what = patternFault(topic);
        if (what !== undefined) faults.push({ at: `${at}.topics[${k}]`, what: `the pattern \`${topic}\` ${what}` });
      }
    }
  }
  return faults;
}

/** `rules` must have no `ruleFaults`. */
export function compileRules(rules: readonly Rule[]): CompiledStatement[] {
  return rules.map((rule, index) => ({
    origin: { source: 'configuration', name: 'security.rules', index },
    effect: rule.allow === undefined ? 'deny' : 'allow',
    actions: [...new Set(rule.allow ?? rule.deny)],
    patterns: rule.topics?.map(compilePattern),
    conditions: undefined,
    title: undefined,
    isOfNode: true,
    binds: (principal) => binds(rule, principal),
  }));
}

function binds(rule: Rule, principal: Principal): boolean {
  if (rule.tenants !== undefined && !rule.tenants.includes(principal.tenant)) return false;
  if (rule.users === undefined && rule.roles === undefined) return true;
  return rule.users?.includes(principal.id) === true || rule.roles?.some((role) => principal.roles.includes(role)) === true;
}
