// What principals may do: the one place where statements that are built in, of the configuration, of files and of the registry
// come together. Statements are compiled once per combination that binds a principal, so that a hundred thousand devices with the
// same role share one; answers are remembered per principal and topic.

import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { MetricSource, Sample } from '../../base/metrics.ts';
import { UserError } from '../../base/user-error.ts';
import { defaultTenant } from '../../message/names.ts';
import type { NowOrLater, Registry } from '../../registry/registry.ts';
import { isNodePrincipal } from '../security.ts';
import type { Action, MessageFacts, MessageTerms, Principal } from '../security.ts';
import { StatementSet } from './decision.ts';
import type { Decision } from './decision.ts';
import { explain } from './explain.ts';
import type { Explanation } from './explain.ts';
import { readPolicy } from './policy-document.ts';
import { compileRules, ruleFaults } from './rules.ts';
import type { Rule } from './rules.ts';
import { builtInStatements, compileDocument, windowsOf } from './statement.ts';
import type { CompiledStatement } from './statement.ts';
import { hasPolicies, policiesOf, TenantPolicies } from './tenant-policies.ts';
import type { TenantPoliciesLimits, TenantSnapshot } from './tenant-policies.ts';
import type { TimeWindow } from './time-window.ts';

/** A policy of the configuration: it binds every principal that its statements name. `name` is what people find it by. */
export type PolicyFile = { readonly name: string; readonly document: unknown };

/** What may change while the node runs. */
export type AuthorizationSettings = {
  readonly rules: readonly Rule[];
  /** Absent: none. */
  readonly files?: readonly PolicyFile[];
};

export type AuthorizationLimits = TenantPoliciesLimits & {
  /** Answers that are remembered, over all principals. About 150 bytes each. 0: none. */
  readonly decisions: number;
  /** Combinations of statements that are kept compiled. */
  readonly combinations: number;
};

export const defaultAuthorizationLimits: AuthorizationLimits = {
  tenants: 100_000,
  entriesPerTenant: 1000,
  decisions: 100_000,
  combinations: 4096,
};

export type AuthorizationServices = {
  readonly clock: Clock;
  readonly log: Log;
  /** Absent: no tenant has roles and policies of its own. */
  readonly registry?: Pick<Registry, 'list' | 'subscribe'>;
  /** Runs a task later, and returns how to call it off. Absent: by a timer of the system that keeps no process alive. */
  readonly later?: (ms: number, task: () => void) => () => void;
};

export interface Authorization extends MetricSource {
  /** See Security.version. */
  readonly version: number;
  /** See Security.allows. For connect the topic is the client id, for manage a resource (management-resources.ts). */
  allows(principal: Principal, action: Action, topic: string): boolean;
  /** See Security.forbids. */
  forbids(principal: Principal, action: 'publish', topic: string): boolean;
  /** See Security.messageTerms. */
  messageTerms(principal: Principal, action: Action, topic: string): MessageTerms | undefined;
  /**
   * Asked before anything else about a principal of this tenant that connects: what its tenant grants must have been read. false:
   * it cannot be read now, so nothing would be allowed; whoever connects is to try later.
   */
  ready(tenant: string): NowOrLater<boolean>;
  /** Why the answer is what it is. `facts`: of the message. The tenant must be ready. */
  explain(principal: Principal, action: Action, topic: string, facts?: MessageFacts): Explanation;
  /** Takes new settings; on an error what was in force stays. @throws UserError */
  reload(settings: AuthorizationSettings): void;
  close(): void;
}

/** @throws UserError when a rule or a policy file is broken */
export function createAuthorization(
  settings: AuthorizationSettings,
  services: AuthorizationServices,
  limits: AuthorizationLimits = defaultAuthorizationLimits,
): Authorization {
  return new LocalAuthorization(settings, services, limits);
}

/** What is remembered of a principal. */
type State = { readonly set: StatementSet; readonly reachesNode: boolean } & { [A in RememberedAction]: Map<string, Decision> | undefined };

/** What is asked again and again of the same principal. */
type RememberedAction = 'publish' | 'retain' | 'manage';

type Node = {
  readonly statements: readonly CompiledStatement[];
  readonly windows: readonly TimeWindow[];
  readonly listsConnect: boolean;
};

const denied: Decision = { isAllowed: false, isForbidden: true, terms: undefined };
const ownVoice: Decision = { isAllowed: true, isForbidden: false, terms: undefined };

class LocalAuthorization implements Authorization {
  readonly #clock: Clock;
  readonly #limits: AuthorizationLimits;
  readonly #tenants: TenantPolicies | undefined;
  #node: Node;
  #version = 1;
  #states = new WeakMap<Principal, State>();
  readonly #sets = new Map<string, StatementSet>();
  /** Answers made at a time in [since, until) hold: no time condition changes meanwhile. */
  #sinceMs = -Infinity;
  #untilMs = Infinity;
  /** Tenants of whose principals something was asked before they had been read. */
  readonly #deniedUnread = new Set<string>();
  #remembered = 0;
  #hits = 0;
  #computed = 0;
  #refused = 0;

  constructor(settings: AuthorizationSettings, { clock, log, registry, later }: AuthorizationServices, limits: AuthorizationLimits) {
    this.#clock = clock;
    this.#limits = limits;
    this.#node = compileNode(settings);
    this.#tenants = registry && new TenantPolicies({ registry, log, later: later ?? systemLater, onChange: () => this.#changed() }, limits);
    this.#watchTime();
  }

  get version(): number {
    this.#checkTime();
    return this.#version;
  }

  forbids(principal: Principal, action: 'publish', topic: string): boolean {
    return this.#decide(principal, action, topic).isForbidden;
  }

  allows(principal: Principal, action: Action, topic: string): boolean {
    return this.#decide(principal, action, topic).isAllowed;
  }

  messageTerms(principal: Principal, action: Action, topic: string): MessageTerms | undefined {
    return this.#decide(principal, action, topic).terms;
  }

  ready(tenant: string): NowOrLater<boolean> {
    if (this.#tenants === undefined || !hasPolicies(tenant)) return true;
    const isKnown = this.#tenants.snapshot(tenant) !== undefined;
    const answer = this.#tenants.ready(tenant);
    if (!(answer instanceof Promise) || isKnown) return answer;
    return answer.then((isReady) => {
      if (!isReady) return false;
      if (this.#deniedUnread.delete(tenant)) {
        this.#changed();
      } else {
        // What the tenant brings may depend on the time, too.
        this.#checkTime();
        this.#watchTime();
      }
      return true;
    });
  }

  explain(principal: Principal, action: Action, topic: string, facts?: MessageFacts): Explanation {
    const snapshot = this.#tenants?.snapshot(principal.tenant);
    const { statements } = this.#binding(principal, snapshot);
    return explain({
      principal,
      action,
      topic,
      facts,
      nowMs: this.#clock.wallMs(),
      statements,
      snapshot,
      isTenantKnown: this.#tenants === undefined || snapshot !== undefined,
      connectIsListed: this.#listsConnect(statements),
      reachesNode: reachesNode(principal),
    });
  }

  reload(settings: AuthorizationSettings): void {
    this.#node = compileNode(settings);
    this.#changed();
  }

  close(): void {
    this.#tenants?.close();
  }

  #decide(principal: Principal, action: Action, topic: string): Decision {
    this.#checkTime();
    let state = this.#states.get(principal);
    if (state === undefined) {
      if (isNodePrincipal(principal)) return ownVoice;
      const snapshot = this.#tenants?.snapshot(principal.tenant);
      if (this.#tenants !== undefined && snapshot === undefined) {
        this.#deniedUnread.add(principal.tenant);
        void this.ready(principal.tenant);
        return denied;
      }
      const set = this.#setFor(principal, snapshot);
      state = { set, reachesNode: reachesNode(principal), publish: undefined, retain: undefined, manage: undefined };
      this.#states.set(principal, state);
    }
    if (action === 'connect' || action === 'subscribe' || action === 'consume') return this.#make(state, principal, action, topic);
    const answers = (state[action] ??= new Map());
    const known = answers.get(topic);
    if (known !== undefined) {
      this.#hits++;
      return known;
    }
    const decision = this.#make(state, principal, action, topic);
    if (this.#limits.decisions === 0) return decision;
    if (this.#remembered++ >= this.#limits.decisions) this.#forget();
    else answers.set(topic, decision);
    return decision;
  }

  #make({ set, reachesNode }: State, principal: Principal, action: Action, topic: string): Decision {
    const decision = set.decide(principal, action, topic, this.#clock.wallMs(), reachesNode);
    this.#computed++;
    if (!decision.isAllowed) this.#refused++;
    return decision;
  }

  /** The statements that bind a principal, those of the node first; `key` names the combination. */
  #binding(principal: Principal, snapshot: TenantSnapshot | undefined): { readonly statements: CompiledStatement[]; readonly key: string } {
    const statements: CompiledStatement[] = [];
    let key = `${principal.tenant}/`;
    for (const [i, statement] of this.#node.statements.entries()) {
      if (!statement.binds(principal)) continue;
      statements.push(statement);
      key += `${i},`;
    }
    for (const name of policiesOf(principal, snapshot)) {
      for (const statement of snapshot!.policies.get(name)?.statements ?? []) {
        if (!statement.binds(principal)) continue;
        statements.push(statement);
        // No name holds a slash.
        key += `/${name}/${statement.origin.index}`;
      }
    }
    return { statements, key };
  }

  /** Of the node's own statements any one counts, of a tenant's only those that bind the principal. */
  #listsConnect(statements: readonly CompiledStatement[]): boolean {
    return this.#node.listsConnect || statements.some((one) => one.origin.source === 'registry' && allowsConnect(one));
  }

  #setFor(principal: Principal, snapshot: TenantSnapshot | undefined): StatementSet {
    const { statements, key } = this.#binding(principal, snapshot);
    let set = this.#sets.get(key);
    if (set === undefined) {
      set = new StatementSet(statements, this.#listsConnect(statements));
      if (this.#sets.size >= this.#limits.combinations) this.#sets.clear();
      this.#sets.set(key, set);
    }
    return set;
  }

  #forget(): void {
    this.#states = new WeakMap();
    this.#remembered = 0;
  }

  #changed(): void {
    this.#sets.clear();
    this.#forget();
    this.#version++;
    this.#watchTime();
  }

  /** Asked with every question and every look at the version, so that nobody has to wait for a timer. */
  #checkTime(): void {
    const nowMs = this.#clock.wallMs();
    if (nowMs < this.#untilMs && nowMs >= this.#sinceMs) return;
    this.#forget();
    this.#version++;
    this.#watchTime();
  }

  #watchTime(): void {
    const nowMs = this.#clock.wallMs();
    let nextMs = Infinity;
    let hasWindows = false;
    const look = (window: TimeWindow): void => {
      hasWindows = true;
      nextMs = Math.min(nextMs, window.nextChangeMs(nowMs));
    };
    this.#node.windows.forEach(look);
    for (const { windows } of this.#tenants?.timed() ?? []) windows.forEach(look);
    this.#untilMs = nextMs;
    this.#sinceMs = hasWindows ? nowMs : -Infinity;
  }

  *metrics(): Iterable<Sample> {
    const one = (name: string, type: 'counter' | 'gauge', help: string, value: number): Sample => ({
      name: `heliograph_security_policy_${name}`,
      help,
      type,
      value,
    });
    let policies = 0;
    let broken = 0;
    let tenants = 0;
    for (const snapshot of this.#tenants?.snapshots() ?? []) {
      tenants++;
      policies += snapshot.policies.size;
      for (const { faults } of snapshot.policies.values()) if (faults.length > 0) broken++;
    }
    yield one('decisions_remembered_total', 'counter', 'Questions of access that were answered from memory.', this.#hits);
    yield one('decisions_made_total', 'counter', 'Questions of access that were decided anew.', this.#computed);
    yield one('refusals_total', 'counter', 'Questions of access that were decided anew, and denied.', this.#refused);
    yield one('decisions', 'gauge', 'Answers that are remembered.', this.#remembered);
    yield one('combinations', 'gauge', 'Combinations of statements that are kept compiled.', this.#sets.size);
    yield one('tenants', 'gauge', 'Tenants whose roles and policies are held ready.', tenants);
    yield one('policies', 'gauge', 'Policies of the registry that are held ready.', policies);
    yield one(
      'broken',
      'gauge',
      'Policies of the registry that cannot be used: they grant nothing, and deny messages if they may have denied some.',
      broken,
    );
    yield one('read_failures_total', 'counter', 'Times that the policies of a tenant could not be read.', this.#tenants?.failures ?? 0);
  }
}

/** Only the default tenant's administrators, operators and viewers manage the node as a whole. */
function reachesNode({ tenant }: Principal): boolean {
  return tenant === defaultTenant;
}

function allowsConnect({ effect, actions }: CompiledStatement): boolean {
  return effect === 'allow' && actions.includes('connect');
}

function compileNode({ rules, files = [] }: AuthorizationSettings): Node {
  const fault = ruleFaults(rules)[0];
  if (fault !== undefined) throw new UserError(`An access rule cannot be used: it ${fault.what}.`, { where: fault.at });
  const given = [...compileRules(rules), ...files.flatMap(compileFile)];
  return {
    statements: [...builtInStatements(), ...given],
    windows: windowsOf(given),
    listsConnect: given.some(allowsConnect),
  };
}

function compileFile({ name, document }: PolicyFile): CompiledStatement[] {
  const reading = readPolicy(document);
  if (reading.ok) return compileDocument(reading.document, 'file', name);
  const [{ path, what, fix }] = reading.faults as [(typeof reading.faults)[0]];
  throw new UserError(`A policy file cannot be used: ${path === '' ? 'it' : path} ${what}.`, { where: name, fix });
}

function systemLater(ms: number, task: () => void): () => void {
  const timer = setTimeout(task, ms).unref();
  return () => clearTimeout(timer);
}
