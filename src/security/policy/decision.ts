// What a combination of statements decides. Default deny; a deny wins over every allow.

import type { Action, MessageTerms, Principal } from '../security.ts';
import { isOfNode, shownByWholeInterface, wholeInterface } from './management-resources.ts';
import { PatternTree } from './pattern-tree.ts';
import { actions } from './policy-document.ts';
import type { PatternEntry } from './pattern-tree.ts';
import type { CompiledStatement } from './statement.ts';
import { coversFilter, touchesFilter } from './topic-pattern.ts';

/**
 * `terms`: what is asked of the message besides. `isForbidden`: it is not for want of somebody who allows it; of filters it is not
 * told.
 */
export type Decision = { readonly isAllowed: boolean; readonly isForbidden: boolean; readonly terms: MessageTerms | undefined };

const denied: Decision = { isAllowed: false, isForbidden: false, terms: undefined };
const forbidden: Decision = { isAllowed: false, isForbidden: true, terms: undefined };
const allowed: Decision = { isAllowed: true, isForbidden: false, terms: undefined };

/** The statements of one action with one effect. */
class Side {
  /** Without patterns: they hold for any topic. */
  readonly anywhere: CompiledStatement[] = [];
  readonly entries: PatternEntry[] = [];
  readonly #tree = new PatternTree();

  add(statement: CompiledStatement): void {
    if (statement.patterns === undefined) this.anywhere.push(statement);
    for (const pattern of statement.patterns ?? []) {
      const entry = { statement, pattern };
      this.entries.push(entry);
      this.#tree.add(entry);
    }
  }

  /** Those whose topics match; one may come twice. */
  matching(levels: readonly string[], principal: Principal): CompiledStatement[] {
    const found = [...this.anywhere];
    if (this.entries.length > 0) this.#tree.collect(levels, principal, found);
    return found;
  }
}

export class StatementSet {
  readonly statements: readonly CompiledStatement[];
  readonly #sides: Readonly<Record<Action, { readonly allow: Side; readonly deny: Side }>>;
  /** Who has proved who it is may connect, unless connecting is allowed to some. */
  readonly #connectIsListed: boolean;

  /** `statements`: those that bind the principals who ask here. */
  constructor(statements: readonly CompiledStatement[], connectIsListed: boolean) {
    this.statements = statements;
    this.#connectIsListed = connectIsListed;
    const sides = actions.map((action) => [action, { allow: new Side(), deny: new Side() }] as const);
    this.#sides = Object.fromEntries(sides) as Record<Action, { allow: Side; deny: Side }>;
    for (const statement of statements) {
      for (const action of statement.actions) this.#sides[action][statement.effect].add(statement);
    }
  }

  /** `reachesNode`: the principal's tenant is one whose administrators manage the node. */
  decide(principal: Principal, action: Action, topic: string, nowMs: number, reachesNode: boolean): Decision {
    const { allow, deny } = this.#sides[action];
    if (action === 'subscribe' || action === 'consume') return this.#decideFilter(principal, topic, nowMs, allow, deny);
    if ((action === 'publish' || action === 'retain') && belongsToBroker(topic)) return forbidden;
    let denies = deny.matching(topic.split('/'), principal);
    let allows = allow.matching(topic.split('/'), principal);
    if (action === 'connect' && !this.#connectIsListed) return denies.some((one) => isInForce(one, principal, nowMs)) ? denied : allowed;
    if (action === 'manage') {
      if (shownByWholeInterface.has(topic)) {
        denies = [...denies, ...deny.matching([wholeInterface], principal)];
        allows = [...allows, ...allow.matching([wholeInterface], principal)];
      }
      if (!reachesNode && isOfNode(topic)) allows = allows.filter((statement) => statement.isOfNode);
    }
    return judge(denies, allows, principal, nowMs);
  }

  #decideFilter(principal: Principal, topic: string, nowMs: number, allow: Side, deny: Side): Decision {
    const filter = withoutShare(topic);
    if (filter === undefined) return denied;
    for (const statement of deny.anywhere) if (isInForce(statement, principal, nowMs)) return denied;
    for (const { statement, pattern } of deny.entries) {
      if (touchesFilter(pattern, filter, principal) && isInForce(statement, principal, nowMs)) return denied;
    }
    for (const statement of allow.anywhere) if (isInForce(statement, principal, nowMs)) return allowed;
    for (const { statement, pattern } of allow.entries) {
      if (coversFilter(pattern, filter, principal) && isInForce(statement, principal, nowMs)) return allowed;
    }
    return denied;
  }
}

/** Whether all but the message speaks for the statement's being applied. What cannot be known works against whoever asks. */
export function isInForce({ conditions, effect }: CompiledStatement, { access }: Principal, nowMs: number): boolean {
  const unmet = conditions?.unmet(access, nowMs);
  return unmet === undefined || (effect === 'deny' && unmet.state === 'unknown');
}

function judge(denies: readonly CompiledStatement[], allows: readonly CompiledStatement[], principal: Principal, nowMs: number): Decision {
  const denyTerms: CompiledStatement[] = [];
  for (const statement of denies) {
    if (!isInForce(statement, principal, nowMs)) continue;
    if (statement.conditions?.asksMessage !== true) return forbidden;
    denyTerms.push(statement);
  }
  let isOpen = false;
  const allowTerms: CompiledStatement[] = [];
  for (const statement of allows) {
    if (!isInForce(statement, principal, nowMs)) continue;
    if (statement.conditions?.asksMessage === true) allowTerms.push(statement);
    else isOpen = true;
  }
  if (!isOpen && allowTerms.length === 0) return denyTerms.length === 0 ? denied : forbidden;
  if (isOpen && denyTerms.length === 0) return allowed;
  const meets = (statement: CompiledStatement, guarantee: number, bytes: number): boolean =>
    statement.conditions!.meetsMessage(guarantee, bytes);
  return {
    isAllowed: true,
    isForbidden: false,
    terms: {
      allows: (guarantee, bytes) =>
        !denyTerms.some((one) => meets(one, guarantee, bytes)) && (isOpen || allowTerms.some((one) => meets(one, guarantee, bytes))),
    },
  };
}

/** `$SYS` is the broker's own voice, `$coap` its memory of CoAP: registrations of devices, configurations of topics. */
export function belongsToBroker(topic: string): boolean {
  return isBelow(topic, '$SYS') || isBelow(topic, '$coap');
}

function isBelow(topic: string, level: string): boolean {
  return topic.startsWith(level) && (topic.length === level.length || topic.charCodeAt(level.length) === 47);
}

/** The levels of the filter that decides; undefined when a shared subscription has none. A named queue is a topic like others. */
export function withoutShare(filter: string): readonly string[] | undefined {
  if (filter.length === 0) return undefined;
  const levels = filter.split('/');
  if (levels[0] !== '$share') return levels;
  const rest = levels.slice(2);
  return rest.length === 0 || (rest.length === 1 && rest[0] === '') ? undefined : rest;
}
