// The questions that are answered by one entry, or the few of one owner. Names that no entry can have are not looked for: they may
// hold what a database does not take, or takes for something else.

import type { Entry, Kind, Owner, OwnerKind } from '../entries.ts';
import { ownerKinds } from '../entries.ts';
import { handlePattern, idFault, scopeFault } from '../entry-checks.ts';
import type { NamedPrincipal } from '../registry.ts';
import type { Statement, Steps } from './statement.ts';
import { row, rows } from './statement.ts';
import { decodeEntry, encodeId, ownerText, tables } from './tables.ts';

/** Undefined: no entry can be called that. */
export function getStatement(kind: Kind, tenant: string, id: string): Statement | undefined {
  if (scopeFault(kind, tenant) !== undefined || idFault(kind, id) !== undefined) return undefined;
  return { text: getTexts[kind], values: [tenant, encodeId(tables[kind], id)] };
}

const getTexts = Object.fromEntries(
  Object.values(tables).map(({ kind, selected, name }) => [kind, `SELECT ${selected} FROM ${name} e WHERE e.tenant = ? AND e.id = ?`]),
) as Readonly<Record<Kind, string>>;

/** The device, application or user of this name, in one question. */
export function* named(tenant: string, id: string): Steps<NamedPrincipal | undefined> {
  if (scopeFault('device', tenant) !== undefined || idFault('device', id) !== undefined) return undefined;
  const found = yield* rows(namedText, [tenant, id, tenant, id, tenant, id]);
  // The order of a union is nobody's promise.
  const first = found.length < 2 ? found[0] : ownerKinds.map((kind) => found.find((each) => each['kind'] === kind)).find(Boolean);
  if (first === undefined) return undefined;
  const kind = first['kind'] as OwnerKind;
  return { kind, entry: decodeEntry(tables[kind], first) } as NamedPrincipal;
}

const namedText = ownerKinds
  .map((kind) => {
    const title = kind === 'user' ? '' : `, '' AS title`;
    return `SELECT '${kind}' AS kind, ${tables[kind].selected}${title} FROM ${tables[kind].name} e WHERE e.tenant = ? AND e.id = ?`;
  })
  .join(' UNION ALL ');

/** By fingerprint, over all tenants. */
export function certificateStatement(fingerprint: string): Statement | undefined {
  if (idFault('certificate', fingerprint) !== undefined) return undefined;
  return { text: certificateText, values: [encodeId(tables.certificate, fingerprint)] };
}

const certificateText = `SELECT ${tables.certificate.selected} FROM certificates e WHERE e.id = ?`;

export function credentialsStatement(tenant: string, owner: Owner): Statement | undefined {
  if (scopeFault('credential', tenant) !== undefined || idFault(owner.kind, owner.id) !== undefined) return undefined;
  return { text: credentialsText, values: [tenant, ownerText(owner)!] };
}

const credentialsText = `SELECT ${tables.credential.selected} FROM credentials e WHERE e.tenant = ? AND e.owner = ? ORDER BY e.id`;

/** Most that begin with the same handle and are told. */
const maxOfHandle = 8;

/** The one with this handle, and those whose handle goes on after it with a slash. */
export function handleStatement(handle: string): Statement | undefined {
  if (!handlePattern.test(handle)) return undefined;
  // The character after the slash.
  return { text: handleText, values: [handle, `${handle}/`, `${handle}0`] };
}

const handleText = `SELECT ${tables.credential.selected} FROM credentials e
  WHERE e.handle = ? OR (e.handle > ? AND e.handle < ?) ORDER BY e.handle LIMIT ${maxOfHandle}`;

/** Runs what one of these made. */
export function* one<K extends Kind>(kind: K, statement: Statement | undefined): Steps<Entry<K> | undefined> {
  const found = statement && (yield* row(statement.text, statement.values));
  return found && decodeEntry<K>(tables[kind], found);
}

export function* all<K extends Kind>(kind: K, statement: Statement | undefined): Steps<Entry<K>[]> {
  const found = statement === undefined ? [] : yield* rows(statement.text, statement.values);
  return found.map((each) => decodeEntry<K>(tables[kind], each));
}

export function* bySerial(issuer: string, serial: string): Steps<Entry<'certificate'> | undefined> {
  if (!/^[0-9a-f]{64}$/.test(issuer) || !/^[0-9a-f]{1,40}$/.test(serial)) return undefined;
  const text = `SELECT ${tables.certificate.selected} FROM certificates e WHERE e.issuer = ? AND e.serial = ?`;
  return yield* one('certificate', { text, values: [Buffer.from(issuer, 'hex'), serial] });
}

export function* byTokenHash(tokenHash: string): Steps<Entry<'enrolment'> | undefined> {
  if (!/^[0-9a-f]{64}$/.test(tokenHash)) return undefined;
  const text = `SELECT ${tables.enrolment.selected} FROM enrolments e WHERE e.token_hash = ?`;
  return yield* one('enrolment', { text, values: [Buffer.from(tokenHash, 'hex')] });
}
