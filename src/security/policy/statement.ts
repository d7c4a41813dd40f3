// A statement made ready for questions, whether it stands in a policy, in a file, in the configuration or is built in.

import type { Action, Principal } from '../security.ts';
import { CompiledConditions } from './conditions.ts';
import { adminRole, managementRoles } from './management-resources.ts';
import { actions } from './policy-document.ts';
import type { PolicyDocument, PrincipalTerms, Statement } from './policy-document.ts';
import type { TimeWindow } from './time-window.ts';
import { compilePattern } from './topic-pattern.ts';
import type { TopicPattern } from './topic-pattern.ts';

/** Where a statement stands. `name`: of the role, the file or the policy; `index`: which one there, from 0. */
export type Origin = {
  readonly source: 'built-in' | 'configuration' | 'file' | 'registry';
  readonly name: string;
  readonly index: number;
};

export type CompiledStatement = {
  readonly origin: Origin;
  readonly effect: 'allow' | 'deny';
  readonly actions: readonly Action[];
  /** Undefined: any topic. */
  readonly patterns: readonly TopicPattern[] | undefined;
  readonly conditions: CompiledConditions | undefined;
  readonly title: string | undefined;
  /** Written by who runs the node: only such a statement gives a tenant's principal what is of the node as a whole. */
  readonly isOfNode: boolean;
  binds(principal: Principal): boolean;
};

/** `isOfNode`: the document is a file of the node. */
export function compileDocument(document: PolicyDocument, source: 'file' | 'registry', name: string): CompiledStatement[] {
  return document.statements.map((statement, index) => compileStatement(statement, { source, name, index }));
}

function compileStatement(statement: Statement, origin: Origin): CompiledStatement {
  return {
    origin,
    effect: statement.effect,
    actions: [...new Set(statement.actions)],
    patterns: statement.topics?.map(compilePattern),
    conditions: statement.conditions && new CompiledConditions(statement.conditions),
    title: statement.title,
    isOfNode: origin.source !== 'registry',
    binds: binding(statement.principals),
  };
}

export function windowsOf(statements: readonly CompiledStatement[]): TimeWindow[] {
  return statements.flatMap(({ conditions }) => conditions?.window ?? []);
}

function binding(terms: PrincipalTerms | undefined): (principal: Principal) => boolean {
  if (terms === undefined) return () => true;
  const { kinds, roles, groups, tenants } = terms;
  const ids = terms.ids?.map(globOf);
  return (principal) =>
    (kinds === undefined || kinds.includes(principal.kind)) &&
    (tenants === undefined || tenants.includes(principal.tenant)) &&
    (roles === undefined || roles.some((role) => principal.roles.includes(role))) &&
    (groups === undefined || groups.some((group) => principal.groups?.includes(group) === true)) &&
    (ids === undefined || ids.some((matches) => matches(principal.id)));
}

/** Matches ids against text in which `*` stands for any characters, in time that grows with both lengths at most. */
export function globOf(glob: string): (text: string) => boolean {
  const parts = glob.split('*');
  const first = parts[0]!;
  const last = parts.at(-1)!;
  if (parts.length === 1) return (text) => text === glob;
  const middle = parts.slice(1, -1).filter((part) => part !== '');
  return (text) => {
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
    let at = first.length;
    const end = text.length - last.length;
    for (const part of middle) {
      const found = text.indexOf(part, at);
      if (found === -1 || found + part.length > end) return false;
      at = found + part.length;
    }
    return true;
  };
}

/** What the roles of management may, and that the administrator may everything. */
export function builtInStatements(): CompiledStatement[] {
  const of = (role: string, granted: readonly Action[], topics: readonly string[] | undefined): CompiledStatement => ({
    origin: { source: 'built-in', name: role, index: 0 },
    effect: 'allow',
    actions: granted,
    patterns: topics?.map(compilePattern),
    conditions: undefined,
    title: undefined,
    isOfNode: false,
    binds: ({ roles }) => roles.includes(role),
  });
  return [of(adminRole, actions, undefined), ...Object.entries(managementRoles).map(([role, topics]) => of(role, ['manage'], topics))];
}
