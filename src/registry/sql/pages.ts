// Lists and searches, page by page. A page costs the same whatever is searched for: it looks at a bounded number of candidates, and
// when few of them fit, it is short and has a next one all the same.

import type { AuthorityRole, AuthorityStatus, Entry, Kind } from '../entries.ts';
import { isOwnerKind } from '../entries.ts';
import { idFault, scopeFault } from '../entry-checks.ts';
import {
  defaultPage,
  maxPage,
  refusal,
  value,
  type AuthorityQuery,
  type Page,
  type PageQuery,
  type Query,
  type Result,
} from '../registry.ts';
import { rows, type Steps, type Value } from './statement.ts';
import {
  decodeEntry,
  disabledTerm,
  encodeId,
  groupTerm,
  hasHexId,
  labelTerm,
  ownerText,
  policyTerm,
  tables,
  type Table,
} from './tables.ts';

/** Candidates that one page looks at, about 5 ms of SQLite's time. */
const maxCandidates = 2000;
/** More would be a question that no index helps with. */
const maxTerms = 16;
/** Above every character that a name may hold. */
const afterAll = '\u{10FFFF}';

/** One page of a tenant's entries of a kind. */
export function* listPage<K extends Kind>(kind: K, tenant: string, query: Query): Steps<Result<Page<Entry<K>>>> {
  const plan = planOf(kind, tenant, query);
  if (!plan.ok) return plan;
  if (plan.value === 'nothing') return value({ entries: [], next: undefined });
  const { table, from, fromValues, rest, restValues, limit } = plan.value;
  const candidates = rest.length === 0 ? limit + 1 : Math.max(maxCandidates, limit + 1);
  const where = ['e.tenant = ?', 'e.id = c.id', ...rest].join(' AND ');
  // CROSS JOIN: SQLite takes the candidates first, as written, and never goes through the whole table instead.
  const text = `SELECT ${table.selected} FROM (${from} ORDER BY s.id LIMIT ?) c CROSS JOIN ${table.name} e WHERE ${where} ORDER BY c.id LIMIT ?`;
  const found = yield* rows(text, [...fromValues, candidates, tenant, ...restValues, limit + 1]);
  const entries = found.slice(0, limit).map((each) => decodeEntry<K>(table, each));
  if (found.length > limit) return value({ entries, next: cursor([entries.at(-1)!.id]) });
  if (rest.length === 0) return value({ entries, next: undefined });
  // The last candidate, if there were as many as were looked at: the next page begins behind it.
  const last = yield* rows(`${from} ORDER BY s.id LIMIT 1 OFFSET ?`, [...fromValues, candidates - 1]);
  const next = last[0] === undefined ? undefined : cursor([table.id.decode(last[0]['id'] as never)]);
  return value({ entries, next });
}

type Plan = {
  readonly table: Table;
  /** Gives the candidates' ids, in order, by an index. */
  readonly from: string;
  readonly fromValues: readonly Value[];
  /** What the candidates must also be. */
  readonly rest: readonly string[];
  readonly restValues: readonly Value[];
  readonly limit: number;
};

function planOf(kind: Kind, tenant: string, query: Query): Result<Plan | 'nothing'> {
  const table = tables[kind];
  const refused = misfit(table, query);
  if (refused !== undefined) return refused;
  const limit = limitOf(query);
  const after = afterOf(query, ['string']);
  if (!limit.ok) return limit;
  if (!after.ok) return after;
  if (scopeFault(kind, tenant) !== undefined || !canMatch(query)) return value('nothing');
  const terms = termsOf(table, query);
  if (terms.length > maxTerms) return refusal('limit', `at most ${maxTerms} labels and groups at a time`, { field: 'labels' });
  const [first, ...others] = terms;
  const source = ['s.tenant = ?'];
  const fromValues: Value[] = [tenant];
  const rest: string[] = [];
  const restValues: Value[] = [];
  if (first !== undefined) {
    source.push('s.term = ?');
    fromValues.push(first);
  } else if (query.owner !== undefined) {
    source.push('s.owner = ?');
    fromValues.push(ownerText(query.owner)!);
  }
  for (const term of others) {
    rest.push(`EXISTS (SELECT 1 FROM ${kind}_terms t WHERE t.tenant = ? AND t.term = ? AND t.id = e.id)`);
    restValues.push(tenant, term);
  }
  if (query.status !== undefined && !terms.includes(disabledTerm)) {
    rest.push('e.status = ?');
    restValues.push(query.status);
  }
  const afterId = after.value?.[0] as string | undefined;
  if (afterId !== undefined && idFault(kind, afterId) !== undefined) return badCursor();
  const { prefix = '' } = query;
  // One lower bound, the higher one: with two, an index may begin at the other, and walk over all the pages before.
  if (afterId !== undefined && Buffer.compare(Buffer.from(afterId), Buffer.from(prefix)) >= 0) {
    source.push('s.id > ?');
    fromValues.push(encodeId(table, afterId));
  } else if (prefix !== '') {
    source.push('s.id >= ?');
    fromValues.push(prefix);
  }
  if (prefix !== '') {
    source.push('s.id < ?');
    fromValues.push(prefix + afterAll);
  }
  const from = `SELECT s.id FROM ${first === undefined ? table.name : `${kind}_terms`} s WHERE ${source.join(' AND ')}`;
  return value({ table, from, fromValues, rest, restValues, limit: limit.value });
}

/** The rarest first, as far as one can guess: it decides how many candidates there are. */
function termsOf(table: Table, { labels = {}, groups = [], status, policy }: Query): string[] {
  const terms = groups.map(groupTerm);
  for (const [key, text] of Object.entries(labels)) terms.push(labelTerm(key, text));
  if (status === 'disabled' && table.terms !== undefined) terms.unshift(disabledTerm);
  if (policy !== undefined) terms.push(policyTerm(policy));
  return [...new Set(terms)];
}

/** A filter that this kind does not have. */
function misfit({ kind, terms, hasOwner, statuses }: Table, query: Query): Result<never> | undefined {
  const refused = (field: keyof Query): Result<never> => refusal('invalid', `a ${kind} cannot be searched by ${field}`, { field });
  const isPrincipal = isOwnerKind(kind);
  if (query.labels !== undefined && !isPrincipal) return refused('labels');
  if (query.groups !== undefined && !isPrincipal) return refused('groups');
  if (query.policy !== undefined && (kind !== 'role' || terms === undefined)) return refused('policy');
  if (query.owner !== undefined && !hasOwner) return refused('owner');
  if (query.prefix !== undefined && hasHexId(kind)) return refused('prefix');
  if (query.status === undefined) return undefined;
  if (statuses.length === 0) return refused('status');
  if (statuses.includes(query.status)) return undefined;
  return refusal('invalid', `the status of a ${kind} is ${statuses.join(' or ')}`, { field: 'status' });
}

/** False: some text in it is none that an entry can hold, and that a database may take for another. */
function canMatch({ prefix = '', labels = {}, groups = [], owner, policy = '' }: Query): boolean {
  const texts = [prefix, policy, owner?.id ?? '', ...groups, ...Object.keys(labels), ...Object.values(labels)];
  // The label a with the value b=c must not pass for the label a=b with the value c.
  if (Object.keys(labels).some((key) => key.includes('='))) return false;
  return texts.every((text) => text.isWellFormed() && !text.includes('\0'));
}

/** Authorities of every tenant. There are few, so that no index is needed besides that of their ids. */
export function* authoritiesPage(query: AuthorityQuery): Steps<Result<Page<Entry<'authority'>>>> {
  const limit = limitOf(query);
  const after = afterOf(query, ['string']);
  if (!limit.ok) return limit;
  if (!after.ok) return after;
  const table = tables.authority;
  const refused = misfit(table, { status: query.status });
  if (refused !== undefined) return refused;
  const where = ['e.id > ?'];
  const values: Value[] = [Buffer.from((after.value?.[0] as string | undefined) ?? '', 'hex')];
  for (const [column, wanted] of [
    ['status', query.status satisfies AuthorityStatus | undefined],
    ['role', query.role satisfies AuthorityRole | undefined],
  ] as const) {
    if (wanted === undefined) continue;
    where.push(`e.${column} = ?`);
    values.push(wanted);
  }
  const text = `SELECT ${table.selected} FROM authorities e WHERE ${where.join(' AND ')} ORDER BY e.id LIMIT ?`;
  const found = yield* rows(text, [...values, limit.value + 1]);
  const entries = found.slice(0, limit.value).map((each) => decodeEntry<'authority'>(table, each));
  return value({ entries, next: found.length > limit.value ? cursor([entries.at(-1)!.id]) : undefined });
}

/** The revoked certificates of an authority. */
export function* revokedPage(issuer: string, query: PageQuery): Steps<Result<Page<Entry<'certificate'>>>> {
  const limit = limitOf(query);
  const after = afterOf(query, ['string']);
  if (!limit.ok) return limit;
  if (!after.ok) return after;
  if (!/^[0-9a-f]{64}$/.test(issuer)) return value({ entries: [], next: undefined });
  const table = tables.certificate;
  const behind = after.value === undefined ? '' : 'AND e.id > ?';
  const text = `SELECT ${table.selected} FROM certificates e WHERE e.issuer = ? AND e.status = 'revoked' ${behind} ORDER BY e.id LIMIT ?`;
  const values = [Buffer.from(issuer, 'hex'), ...(after.value ?? []).map((id) => Buffer.from(id as string, 'hex')), limit.value + 1];
  const found = yield* rows(text, values);
  const entries = found.slice(0, limit.value).map((each) => decodeEntry<'certificate'>(table, each));
  return value({ entries, next: found.length > limit.value ? cursor([entries.at(-1)!.id]) : undefined });
}

/** Valid certificates by when they end. */
export function* expiringPage(fromMs: number, beforeMs: number, query: PageQuery): Steps<Result<Page<Entry<'certificate'>>>> {
  const limit = limitOf(query);
  const after = afterOf(query, ['number', 'string']);
  if (!limit.ok) return limit;
  if (!after.ok) return after;
  const table = tables.certificate;
  const behind = after.value === undefined ? '' : 'AND (e.not_after_ms, e.id) > (?, ?)';
  const where = `e.status = 'valid' AND e.not_after_ms >= ? AND e.not_after_ms < ? ${behind}`;
  const text = `SELECT ${table.selected} FROM certificates e WHERE ${where} ORDER BY e.not_after_ms, e.id LIMIT ?`;
  const [atMs, id] = after.value ?? [];
  const behindValues = after.value === undefined ? [] : [atMs as number, Buffer.from(id as string, 'hex')];
  const bounds = [fromMs, beforeMs].map((ms) => Math.min(Math.max(Math.ceil(ms), 0), Number.MAX_SAFE_INTEGER));
  const found = yield* rows(text, [...bounds, ...behindValues, limit.value + 1]);
  const entries = found.slice(0, limit.value).map((each) => decodeEntry<'certificate'>(table, each));
  const last = entries.at(-1);
  return value({ entries, next: found.length > limit.value ? cursor([last!.notAfterMs, last!.id]) : undefined });
}

function limitOf({ limit = defaultPage }: PageQuery): Result<number> {
  if (Number.isInteger(limit) && limit >= 1 && limit <= maxPage) return value(limit);
  return refusal('invalid', `limit must be a whole number from 1 to ${maxPage}`, { field: 'limit' });
}

function cursor(position: readonly unknown[]): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url');
}

/** A cursor comes from outside: it only ever says where to go on, never what may be seen. */
function afterOf({ after }: PageQuery, types: readonly ('string' | 'number')[]): Result<(string | number)[] | undefined> {
  if (after === undefined) return value(undefined);
  let position: unknown;
  try {
    position = JSON.parse(Buffer.from(after, 'base64url').toString());
  } catch {
    return badCursor();
  }
  const fits =
    Array.isArray(position) &&
    position.length === types.length &&
    position.every((part, i) => typeof part === types[i] && (typeof part === 'string' || Number.isSafeInteger(part)));
  if (!fits) return badCursor();
  const strings = (position as unknown[]).filter((part) => typeof part === 'string');
  return strings.every((text) => text.isWellFormed() && !text.includes('\0')) ? value(position as (string | number)[]) : badCursor();
}

function badCursor(): Result<never> {
  return refusal('invalid', 'after is not the end of an earlier page', { field: 'after' });
}
