// What principals may do. Rules are compiled once per combination of rules that a principal falls under, so that a hundred
// thousand devices with the same roles share one policy; only `${id}` and `${tenant}` are filled in at the question.
//
// Default deny, and a deny rule wins over every allow rule.

import type { Action, Principal } from './security.ts';
import { compilePattern, coversFilter, matchesTopic, patternFault, touchesFilter } from './policy/topic-pattern.ts';
import type { TopicPattern } from './policy/topic-pattern.ts';

export const actions: readonly Action[] = ['connect', 'publish', 'subscribe', 'consume', 'retain', 'manage'];

/**
 * One rule. Exactly one of `allow` and `deny`. `topics` are patterns in the grammar of MQTT filters, with `${id}` and `${tenant}`;
 * they may be left out for `connect` (where they are matched against the client id) and `manage`, and mean "any" then. A rule
 * binds the principals of its `tenants` that it names by `users` or by `roles`; what is left out means "all".
 */
export type Rule = {
  readonly allow?: readonly Action[];
  readonly deny?: readonly Action[];
  readonly topics?: readonly string[];
  readonly users?: readonly string[];
  readonly roles?: readonly string[];
  readonly tenants?: readonly string[];
};

/** May do everything that no deny rule forbids; only nobody publishes to `$SYS`. */
export const adminRole = 'admin';

/** The rules of a broker that was not told any: a device has its own branch, an application has every topic of its tenant. */
export const defaultRules: readonly Rule[] = [
  { allow: ['publish', 'subscribe', 'consume', 'retain'], topics: ['dev/${id}/#'], roles: ['device'] },
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

/** The patterns of one action in one direction; `always`: a rule without topics is among them. */
type Patterns = { always: boolean; readonly list: TopicPattern[] };
type Policy = Record<Action, { readonly allow: Patterns; readonly deny: Patterns }>;

/** How many combinations of rules are kept; beyond it they are compiled again. Stops rules that name users one by one. */
const maxPolicies = 4096;

export class AccessRules {
  readonly #rules: readonly Rule[];
  readonly #patterns: readonly (readonly TopicPattern[] | undefined)[];
  /** Authentication alone is the permission to connect, until a rule allows it to some. */
  readonly #connectIsListed: boolean;
  readonly #policies = new Map<string, Policy>();
  readonly #ofPrincipal = new WeakMap<Principal, Policy>();

  /** `rules` must have no `ruleFaults`. */
  constructor(rules: readonly Rule[]) {
    const fault = ruleFaults(rules)[0];
    if (fault !== undefined) throw new Error(`${fault.at}: ${fault.what}`);
    this.#rules = rules;
    this.#patterns = rules.map((rule) => rule.topics?.map(compilePattern));
    this.#connectIsListed = rules.some((rule) => rule.allow?.includes('connect'));
  }

  /** See Security.allows. For 'connect' the topic is the client id, for 'manage' the thing managed (`$admin`). */
  allows(principal: Principal, action: Action, topic: string): boolean {
    let policy = this.#ofPrincipal.get(principal);
    if (policy === undefined) {
      policy = this.#policyFor(principal);
      this.#ofPrincipal.set(principal, policy);
    }
    const { allow, deny } = policy[action];
    if (deny.always) return false;
    if (action === 'subscribe' || action === 'consume') {
      const filter = withoutShare(topic);
      if (filter === undefined) return false;
      for (const pattern of deny.list) if (touchesFilter(pattern, filter, principal)) return false;
      if (allow.always) return true;
      for (const pattern of allow.list) if (coversFilter(pattern, filter, principal)) return true;
      return false;
    }
    if ((action === 'publish' || action === 'retain') && belongsToBroker(topic)) return false;
    const levels = topic.split('/');
    for (const pattern of deny.list) if (matchesTopic(pattern, levels, principal)) return false;
    if (allow.always) return true;
    for (const pattern of allow.list) if (matchesTopic(pattern, levels, principal)) return true;
    return false;
  }

  #policyFor(principal: Principal): Policy {
    const binding: number[] = [];
    for (let i = 0; i < this.#rules.length; i++) if (binds(this.#rules[i]!, principal)) binding.push(i);
    const isAdmin = principal.roles.includes(adminRole);
    const key = `${isAdmin ? 'admin:' : ''}${binding.join(',')}`;
    let policy = this.#policies.get(key);
    if (policy === undefined) {
      policy = this.#compile(binding, isAdmin);
      if (this.#policies.size >= maxPolicies) this.#policies.clear();
      this.#policies.set(key, policy);
    }
    return policy;
  }

  #compile(binding: readonly number[], isAdmin: boolean): Policy {
    const one = (always: boolean) => ({ allow: { always, list: [] }, deny: { always: false, list: [] } });
    const policy: Policy = {
      connect: one(isAdmin || !this.#connectIsListed),
      publish: one(isAdmin),
      subscribe: one(isAdmin),
      consume: one(isAdmin),
      retain: one(isAdmin),
      manage: one(isAdmin),
    };
    for (const i of binding) {
      const rule = this.#rules[i]!;
      const patterns = this.#patterns[i];
      for (const action of new Set(rule.allow ?? rule.deny)) {
        const target = rule.allow === undefined ? policy[action].deny : policy[action].allow;
        if (patterns === undefined) target.always = true;
        else target.list.push(...patterns);
      }
    }
    return policy;
  }
}

function binds(rule: Rule, principal: Principal): boolean {
  if (rule.tenants !== undefined && !rule.tenants.includes(principal.tenant)) return false;
  if (rule.users === undefined && rule.roles === undefined) return true;
  return rule.users?.includes(principal.id) === true || rule.roles?.some((role) => principal.roles.includes(role)) === true;
}

/** `$SYS` is the broker's own voice. */
function belongsToBroker(topic: string): boolean {
  return topic.startsWith('$SYS') && (topic.length === 4 || topic.charCodeAt(4) === 47);
}

/** The levels of the filter that decides; undefined when a shared subscription has none. A named queue is a topic like others. */
function withoutShare(filter: string): readonly string[] | undefined {
  if (filter.length === 0) return undefined;
  const levels = filter.split('/');
  if (levels[0] !== '$share') return levels;
  const rest = levels.slice(2);
  return rest.length === 0 || (rest.length === 1 && rest[0] === '') ? undefined : rest;
}
