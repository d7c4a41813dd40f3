// Why somebody may do something, or may not: each statement that speaks of it, and what came of it. Decides by the same parts as
// decision.ts, but statement by statement; a test holds both to the same answer.

import type { Action, MessageFacts, Principal } from '../security.ts';
import type { ConditionName } from './conditions.ts';
import { belongsToBroker, withoutShare } from './decision.ts';
import { isOfNode, shownByWholeInterface, wholeInterface } from './management-resources.ts';
import type { CompiledStatement, Origin } from './statement.ts';
import { policiesOf } from './tenant-policies.ts';
import type { TenantSnapshot } from './tenant-policies.ts';
import { coversFilter, matchesTopic, touchesFilter } from './topic-pattern.ts';

/**
 * One statement that binds the principal and names the action. topic-differs: no pattern of it fits. condition-unmet: `condition`
 * is not so. condition-unknown: it cannot be known, so an allow does not apply (a deny does, and says applies). node-only: what
 * is asked for is the node's as a whole, and the statement is the tenant's.
 */
export type Finding = {
  readonly origin: Origin;
  readonly effect: 'allow' | 'deny';
  readonly title: string | undefined;
  readonly outcome: 'applies' | 'topic-differs' | 'condition-unmet' | 'condition-unknown' | 'node-only';
  /** The pattern that fits; undefined: none does, or the statement holds for any topic. */
  readonly pattern: string | undefined;
  readonly condition: ConditionName | undefined;
};

export type Explanation = {
  readonly isAllowed: boolean;
  /**
   * denied-by, allowed-by: `decisive` is the statement. nothing-allows: no statement applies. not-restricted: whoever is known may
   * connect. broker-only: only the broker publishes to `$SYS` and `$coap`. invalid: the topic cannot be asked for. unknown-tenant: the
   * policies of the tenant could not be read.
   */
  readonly reason: 'denied-by' | 'allowed-by' | 'nothing-allows' | 'not-restricted' | 'broker-only' | 'invalid' | 'unknown-tenant';
  readonly decisive: Finding | undefined;
  readonly findings: readonly Finding[];
  /** Things that are probably not as they were meant. */
  readonly notes: readonly string[];
};

export type Asked = {
  readonly principal: Principal;
  readonly action: Action;
  readonly topic: string;
  /** Absent: any message that can be allowed. */
  readonly facts: MessageFacts | undefined;
  readonly nowMs: number;
  readonly statements: readonly CompiledStatement[];
  readonly snapshot: TenantSnapshot | undefined;
  readonly isTenantKnown: boolean;
  readonly connectIsListed: boolean;
  readonly reachesNode: boolean;
};

export function explain(asked: Asked): Explanation {
  const { principal, action, topic, statements } = asked;
  const notes = [...notesOn(asked)];
  const answer = (isAllowed: boolean, reason: Explanation['reason'], findings: readonly Finding[], decisive?: Finding): Explanation => ({
    isAllowed,
    reason,
    decisive,
    findings,
    notes,
  });
  if (!asked.isTenantKnown) return answer(false, 'unknown-tenant', []);
  const isFilter = action === 'subscribe' || action === 'consume';
  if (isFilter && withoutShare(topic) === undefined) return answer(false, 'invalid', []);
  if ((action === 'publish' || action === 'retain') && belongsToBroker(topic)) return answer(false, 'broker-only', []);
  const findings = statements.filter(({ actions }) => actions.includes(action)).map((statement) => findingOn(statement, asked));
  const applies = (effect: 'allow' | 'deny'): Finding | undefined =>
    findings.find((one) => one.effect === effect && one.outcome === 'applies');
  const deny = applies('deny');
  if (deny !== undefined) return answer(false, 'denied-by', findings, deny);
  if (action === 'connect' && !asked.connectIsListed) return answer(true, 'not-restricted', findings);
  const allow = applies('allow');
  if (allow !== undefined) return answer(true, 'allowed-by', findings, allow);
  if (principal.roles.length === 0) notes.push('the principal has no roles, so only statements without roles can bind it');
  return answer(false, 'nothing-allows', findings);
}

function findingOn(statement: CompiledStatement, asked: Asked): Finding {
  const { origin, effect, title, conditions } = statement;
  const pattern = fitting(statement, asked);
  const finding = (outcome: Finding['outcome'], condition?: ConditionName): Finding => ({
    origin,
    effect,
    title,
    outcome,
    pattern: pattern ?? undefined,
    condition,
  });
  if (pattern === null) return finding('topic-differs');
  if (asked.action === 'manage' && effect === 'allow' && !asked.reachesNode && !statement.isOfNode && isOfNode(asked.topic)) {
    return finding('node-only');
  }
  const unmet = conditions?.unmet(asked.principal.access, asked.nowMs);
  if (unmet?.state === 'not-met') return finding('condition-unmet', unmet.condition);
  if (unmet?.state === 'unknown' && effect === 'allow') return finding('condition-unknown', unmet.condition);
  const { facts } = asked;
  if (facts === undefined) {
    // Without a message the question is whether there is one that may pass: what denies only some does not decide.
    if (effect === 'deny' && conditions?.asksMessage === true) return finding('condition-unknown', unmet?.condition ?? 'guarantee');
    return finding('applies', unmet?.condition);
  }
  const byMessage = conditions?.unmetByMessage(facts.guarantee, facts.payloadBytes);
  return byMessage === undefined ? finding('applies', unmet?.condition) : finding('condition-unmet', byMessage);
}

/** The text of the first pattern that fits, undefined when any topic does, null when none does. */
function fitting({ patterns, effect }: CompiledStatement, { principal, action, topic }: Asked): string | null | undefined {
  if (patterns === undefined) return undefined;
  if (action === 'subscribe' || action === 'consume') {
    const filter = withoutShare(topic)!;
    const fits = effect === 'deny' ? touchesFilter : coversFilter;
    return patterns.find((pattern) => fits(pattern, filter, principal))?.text ?? null;
  }
  const topics = [topic.split('/')];
  if (action === 'manage' && shownByWholeInterface.has(topic)) topics.push([wholeInterface]);
  return patterns.find((pattern) => topics.some((levels) => matchesTopic(pattern, levels, principal)))?.text ?? null;
}

function* notesOn({ principal, snapshot }: Asked): Iterable<string> {
  for (const name of policiesOf(principal, snapshot)) {
    const policy = snapshot!.policies.get(name);
    const [fault] = policy?.faults ?? [];
    if (fault === undefined) continue;
    const denies = policy!.statements.length > 0 ? 'and denies messages, as it may have denied some' : 'and denies nothing';
    yield `the policy ${name} is broken, grants nothing ${denies}: ${fault.path === '' ? 'it' : fault.path} ${fault.what}`;
  }
  if (principal.access === undefined) {
    yield 'how the principal is connected was not told, so conditions on it cannot be met';
  }
}
