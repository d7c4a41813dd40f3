// Policy documents: what they look like and what can be wrong with them. docs/policies.md tells it to people.
//
// A document comes from a person, a program or a file, so nothing in it is taken to be of the type it claims, nothing that is not
// known here is let through, and everything is bounded.

import { methods, type Action, type Method, type Principal } from '../security.ts';
import { DocumentCheck } from './document-check.ts';
import type { Checked, Fault } from './document-check.ts';
import { managedResources, wholeInterface } from './management-resources.ts';
import { hasHostBits, networkText, parseNetwork } from './network.ts';
import { readStrictJson } from './strict-json.ts';
import { days, momentOf, timeOfDay } from './time-window.ts';
import type { TimeCondition } from './time-window.ts';
import { patternFault } from './topic-pattern.ts';

export type { Fault } from './document-check.ts';

export const actions: readonly Action[] = ['connect', 'publish', 'subscribe', 'consume', 'retain', 'manage'];
const principalKinds: readonly Principal['kind'][] = ['device', 'application', 'user', 'anonymous'];

/** Whom a statement binds among those that it reaches: all that is given must fit, each by one of its list. */
export type PrincipalTerms = {
  readonly kinds?: readonly Principal['kind'][];
  /** `*` stands for any characters. */
  readonly ids?: readonly string[];
  readonly roles?: readonly string[];
  readonly groups?: readonly string[];
  readonly tenants?: readonly string[];
};

/** When a statement holds: all that is given must be so. */
export type Conditions = {
  readonly listeners?: readonly string[];
  readonly networks?: readonly string[];
  readonly time?: TimeCondition;
  readonly secure?: boolean;
  readonly methods?: readonly Method[];
  readonly guarantee?: { readonly min?: number; readonly max?: number };
  readonly maxPayloadBytes?: number;
  readonly payload?: 'signed' | 'encrypted';
};

export type Statement = {
  readonly effect: 'allow' | 'deny';
  readonly actions: readonly Action[];
  /** May be absent for connect and manage, and means "any" then. */
  readonly topics?: readonly string[];
  readonly principals?: PrincipalTerms;
  readonly conditions?: Conditions;
  /** For people. */
  readonly title?: string;
};

export type PolicyDocument = { readonly version: 1; readonly title?: string; readonly statements: readonly Statement[] };

export type PolicyReading =
  | { readonly ok: true; readonly document: PolicyDocument }
  | { readonly ok: false; readonly faults: readonly Fault[] };

export const policyLimits = {
  bytes: 64 * 1024,
  depth: 8,
  statements: 1000,
  /** Of each list in a statement. */
  entries: 1000,
  /** UTF-16 units, and levels, of a pattern. */
  patternLength: 1024,
  patternLevels: 128,
  titleLength: 256,
} as const;

/** Everything that is wrong with a document, which is JSON text or what such a text was read into; empty when nothing is. */
export function policyFaults(document: unknown): readonly Fault[] {
  const reading = readPolicy(document);
  return reading.ok ? [] : reading.faults;
}

/** Reads JSON text, or checks what was read already. */
export function readPolicy(given: unknown): PolicyReading {
  let value = given;
  if (typeof given === 'string') {
    if (Buffer.byteLength(given) > policyLimits.bytes) {
      const fix = 'split it into several policies: a role can name many';
      return { ok: false, faults: [{ path: '', what: `is larger than ${policyLimits.bytes} bytes`, fix }] };
    }
    const read = readStrictJson(given, policyLimits.depth);
    if (!read.ok) return { ok: false, faults: [{ path: '', what: read.what, fix: 'correct the JSON at this place' }] };
    value = read.value;
  }
  const check = new DocumentCheck();
  checkDocument(check.of('', value));
  return check.faults.length === 0 ? { ok: true, document: value as PolicyDocument } : { ok: false, faults: check.faults };
}

function checkDocument(document: Checked): void {
  if (!document.isObject('version', 'statements', 'title')) return;
  const version = document.field('version');
  if (version.value !== 1) version.fault(version.isAbsent ? 'is missing' : 'is not a version that is known here', 'write "version": 1');
  checkTitle(document);
  const statements = document.field('statements');
  for (const statement of statements.needed().items(0, policyLimits.statements)) checkStatement(statement);
}

function checkTitle(of: Checked): void {
  const title = of.field('title');
  if (title.isAbsent) return;
  if (title.isText(policyLimits.titleLength) && /[\p{Cc}\p{Zl}\p{Zp}]/u.test(title.value as string)) {
    title.fault('holds a character that cannot be seen', 'write it on one line');
  }
}

/** Each has a meaning of its own for topics, so it stands alone in its statement. */
const loners: readonly Action[] = ['connect', 'manage'];

function checkStatement(statement: Checked): void {
  if (!statement.isObject('effect', 'actions', 'topics', 'principals', 'conditions', 'title')) return;
  const effect = statement.field('effect').needed();
  effect.isOneOf(['allow', 'deny']);
  const named = statement.field('actions').needed();
  const known: Action[] = [];
  for (const action of named.items(1, actions.length)) if (action.isOneOf(actions)) known.push(action.value as Action);
  for (const loner of loners) {
    if (!known.includes(loner) || known.every((action) => action === loner)) continue;
    const meant = loner === 'connect' ? 'client ids' : 'parts of the management interface';
    named.fault(`has ${loner} beside others, though the topics of ${loner} are ${meant}`, `put ${loner} into a statement of its own`);
  }
  checkTopics(statement.field('topics'), known);
  checkTitle(statement);
  checkPrincipals(statement.field('principals'));
  checkConditions(statement.field('conditions'), known, effect.value === 'deny');
}

function checkTopics(topics: Checked, known: readonly Action[]): void {
  if (topics.isAbsent) {
    const needy = known.find((action) => !loners.includes(action));
    if (needy !== undefined) topics.fault(`is missing, and ${needy} needs it`, 'name patterns of topics, such as "dev/${id}/#"');
    return;
  }
  for (const topic of topics.items(1, policyLimits.entries)) {
    if (!topic.isText(policyLimits.patternLength)) continue;
    const text = topic.value as string;
    const what =
      text.split('/').length > policyLimits.patternLevels ? `has more than ${policyLimits.patternLevels} levels` : patternFault(text);
    if (what !== undefined) topic.fault(`is a pattern that ${what}`, 'see docs/policies.md for patterns');
    else if (known.includes('manage') && !isManaged(text)) {
      topic.fault(
        'is no part of the management interface',
        `use # for all of it, or ${managedResources.slice(0, 4).join(', ')}… (docs/policies.md)`,
      );
    }
  }
}

function isManaged(pattern: string): boolean {
  return pattern === '#' || pattern === '+' || pattern === wholeInterface || managedResources.includes(pattern);
}

function checkPrincipals(principals: Checked): void {
  if (principals.isAbsent || !principals.isObject('kinds', 'ids', 'roles', 'groups', 'tenants')) return;
  const kinds = principals.field('kinds');
  if (!kinds.isAbsent) for (const kind of kinds.items(1, principalKinds.length)) kind.isOneOf(principalKinds);
  for (const key of ['ids', 'roles', 'groups', 'tenants']) {
    const names = principals.field(key);
    if (names.isAbsent) continue;
    for (const name of names.items(1, policyLimits.entries)) {
      if (name.isText(policyLimits.titleLength) && name.value === '') name.fault('is empty', 'name one, or remove it');
    }
  }
}

const conditionKeys = ['listeners', 'networks', 'time', 'secure', 'methods', 'guarantee', 'maxPayloadBytes', 'payload'] as const;
/** What only a message can meet. */
const messageKeys = ['guarantee', 'maxPayloadBytes', 'payload'] as const;

function checkConditions(conditions: Checked, known: readonly Action[], isDeny: boolean): void {
  if (conditions.isAbsent || !conditions.isObject(...conditionKeys)) return;
  const listeners = conditions.field('listeners');
  if (!listeners.isAbsent) for (const name of listeners.items(1, policyLimits.entries)) name.isText(policyLimits.titleLength);
  const networks = conditions.field('networks');
  if (!networks.isAbsent) for (const network of networks.items(1, policyLimits.entries)) checkNetwork(network);
  checkTime(conditions.field('time'));
  const secure = conditions.field('secure');
  if (!secure.isAbsent && typeof secure.value !== 'boolean') secure.fault('must be true or false', 'write true for connections with TLS');
  const named = conditions.field('methods');
  if (!named.isAbsent) for (const method of named.items(1, methods.length)) method.isOneOf(methods);
  checkMessage(conditions, isDeny);
  const other = known.find((action) => action !== 'publish' && action !== 'retain');
  for (const key of messageKeys) {
    const condition = conditions.field(key);
    if (condition.isAbsent || other === undefined) continue;
    condition.fault(`asks for a message, and ${other} has none`, 'put publish and retain into a statement of their own');
  }
}

function checkNetwork(network: Checked): void {
  if (!network.isText(100)) return;
  const parsed = parseNetwork(network.value as string);
  if (parsed === undefined) network.fault('is no network', 'write it as 10.0.0.0/8 or 2001:db8::/32');
  else if (hasHostBits(parsed)) network.fault('has bits behind its length', `write ${networkText(parsed)}, or a longer length`);
}

function checkTime(time: Checked): void {
  if (time.isAbsent || !time.isObject('days', 'from', 'until', 'notBefore', 'notAfter', 'zone')) return;
  const named = time.field('days');
  if (!named.isAbsent) for (const day of named.items(1, days.length)) day.isOneOf(days);
  const zone = time.field('zone');
  if (!zone.isAbsent) zone.isOneOf(['UTC']);
  const read = (key: string, parse: (text: string) => number | undefined, fix: string): number | undefined => {
    const field = time.field(key);
    if (field.isAbsent || !field.isText(100)) return undefined;
    const found = parse(field.value as string);
    if (found === undefined) field.fault(`is not what it must be`, fix);
    return found;
  };
  const clock = 'write the time of day in UTC as 06:30';
  const from = read('from', (text) => (text === '24:00' ? undefined : timeOfDay(text)), clock);
  const until = read('until', timeOfDay, clock);
  if (until !== undefined && until === (from ?? 0))
    time.field('until').fault('is when it begins', 'leave out from and until for the whole day');
  const date = 'write the moment in UTC as 2026-01-31T06:30:00Z';
  const notBefore = read('notBefore', momentOf, date);
  const notAfter = read('notAfter', momentOf, date);
  if (notBefore !== undefined && notAfter !== undefined && notAfter <= notBefore) {
    time.field('notAfter').fault('is not after notBefore, so the statement would never hold', 'correct one of them');
  }
}

function checkMessage(conditions: Checked, isDeny: boolean): void {
  const guarantee = conditions.field('guarantee');
  if (!guarantee.isAbsent && guarantee.isObject('min', 'max')) {
    const ends = ['min', 'max'].map((key) => guarantee.field(key)).filter((end) => !end.isAbsent);
    if (ends.length === 0) guarantee.fault('names neither min nor max', 'write for example {"min": 1}');
    const areWhole = ends.every((end) => end.isWhole(0, 2));
    if (areWhole && ends.length === 2 && (ends[0]!.value as number) > (ends[1]!.value as number)) {
      guarantee.fault('has min above max, so the statement would never hold', 'correct one of them');
    }
  }
  const size = conditions.field('maxPayloadBytes');
  if (!size.isAbsent && size.isWhole(0, 0xffff_ffff) && isDeny) {
    size.fault('would make this deny small messages and let large ones pass', 'allow with maxPayloadBytes instead');
  }
  const payload = conditions.field('payload');
  if (!payload.isAbsent) payload.isOneOf(['signed', 'encrypted']);
}
