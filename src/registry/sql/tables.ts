// Which table keeps which kind, and how a field becomes a column. The tables themselves are made by the migrations.
//
// Beside some tables stands one of terms (`device_terms`), which answers searches by label and group in the order of ids.

import type { AuthorityStatus, Entry, Fields, Kind, Owner, OwnerKind, Quotas } from '../entries.ts';
import type { Row, Value } from './statement.ts';

type Codec = { readonly encode: (given: never) => Value; readonly decode: (stored: never) => unknown };

const plain: Codec = { encode: (given: Value) => given, decode: (stored: Value) => stored };
const optional: Codec = { encode: (given: Value | undefined) => given ?? null, decode: (stored: Value) => stored ?? undefined };
const noLabels = Object.freeze({});
const noNames: readonly string[] = Object.freeze([]);
const labels: Codec = {
  encode: (given: Readonly<Record<string, string>>) => JSON.stringify(given),
  decode: (stored: string) => (stored === '{}' ? noLabels : JSON.parse(stored)) as unknown,
};
const names: Codec = {
  encode: (given: readonly string[]) => JSON.stringify(given),
  decode: (stored: string) => (stored === '[]' ? noNames : JSON.parse(stored)) as unknown,
};
/** `device/pump-7`: no id holds a slash. */
const owner: Codec = {
  encode: (given: Owner | undefined) => ownerText(given) ?? null,
  decode(stored: string | null): Owner | undefined {
    if (stored === null) return undefined;
    const slash = stored.indexOf('/');
    return { kind: stored.slice(0, slash) as OwnerKind, id: stored.slice(slash + 1) };
  },
};
const hex: Codec = {
  encode: (given: string) => Buffer.from(given, 'hex'),
  decode: (stored: Uint8Array) => Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength).toString('hex'),
};

const optionalHex: Codec = {
  encode: (given: string | undefined) => (given === undefined ? null : hex.encode(given as never)),
  decode: (stored: Uint8Array | null) => (stored === null ? undefined : hex.decode(stored as never)),
};
const noQuotas: Quotas = Object.freeze({});
const quotas: Codec = {
  encode: (given: Quotas) => JSON.stringify(given),
  decode: (stored: string) => (stored === '{}' ? noQuotas : JSON.parse(stored)) as unknown,
};
const optionalJson: Codec = {
  encode: (given: object | undefined) => (given === undefined ? null : JSON.stringify(given)),
  decode: (stored: string | null) => (stored === null ? undefined : JSON.parse(stored)) as unknown,
};

export function ownerText(given: Owner | undefined): string | undefined {
  return given === undefined ? undefined : `${given.kind}/${given.id}`;
}

type Column = { readonly field: string; readonly column: string; readonly codec: Codec };

export type Table = {
  readonly kind: Kind;
  readonly name: string;
  readonly id: Codec;
  readonly columns: readonly Column[];
  /** What the entry can be found by in `<kind>_terms`; absent: there is no such table. */
  readonly terms?: (fields: never) => string[];
  readonly hasOwner: boolean;
  /** What its status may be; empty: it has none. */
  readonly statuses: readonly string[];
  /** All columns, for SELECT. */
  readonly selected: string;
  readonly insert: string;
  readonly update: string;
};

export const labelTerm = (key: string, text: string): string => `l:${key}=${text}`;
export const groupTerm = (group: string): string => `g:${group}`;
export const policyTerm = (policy: string): string => `p:${policy}`;
/** The few that are not active, among very many that are. */
export const disabledTerm = 's:disabled';

function principalTerms(fields: Fields['device']): string[] {
  const terms = fields.groups.map(groupTerm);
  for (const [key, text] of Object.entries(fields.labels)) terms.push(labelTerm(key, text));
  if (fields.status === 'disabled') terms.push(disabledTerm);
  return terms;
}

const principalColumns = { status: plain, labels, groups: names, roles: names };

export const tables: { readonly [K in Kind]: Table } = {
  tenant: table('tenant', 'tenants', { status: plain, title: plain, quotas, principalQuotas: quotas }),
  device: table('device', 'devices', principalColumns, principalTerms),
  application: table('application', 'applications', principalColumns, principalTerms),
  user: table('user', 'users', { ...principalColumns, title: plain }, principalTerms),
  role: table('role', 'roles', { title: plain, policies: names, quotas }, (fields: Fields['role']) => fields.policies.map(policyTerm)),
  policy: table('policy', 'policies', { document: plain }),
  credential: table('credential', 'credentials', { owner, type: plain, secret: plain, expiresAtMs: optional, handle: optional }),
  certificate: table('certificate', 'certificates', {
    owner,
    serial: plain,
    issuer: hex,
    subject: plain,
    notBeforeMs: plain,
    notAfterMs: plain,
    status: plain,
    revokedAtMs: optional,
    reason: optional,
  }),
  authority: table('authority', 'authorities', {
    role: plain,
    status: plain,
    certificate: plain,
    subject: plain,
    issuer: optionalHex,
    notBeforeMs: plain,
    notAfterMs: plain,
    registration: plain,
    groups: names,
    roles: names,
    crlUrls: names,
    ocspUrls: names,
    revocationCheck: plain,
  }),
  enrolment: table('enrolment', 'enrolments', {
    status: plain,
    tokenHash: hex,
    maxUses: plain,
    uses: plain,
    expiresAtMs: plain,
    devicePattern: plain,
    newDevices: optionalJson,
  }),
  approval: table('approval', 'approvals', {
    status: plain,
    requestedBy: plain,
    decidedBy: optional,
    summary: plain,
    request: plain,
    expiresAtMs: plain,
  }),
};

function statusesOf(kind: Kind): readonly string[] {
  if (kind === 'certificate') return ['valid', 'revoked'];
  if (kind === 'authority') return ['pending', 'active', 'retiring', 'retired'] satisfies AuthorityStatus[];
  return kind === 'approval' ? ['pending', 'approved', 'refused'] : ['active', 'disabled'];
}

function table(kind: Kind, name: string, codecs: Readonly<Record<string, Codec>>, terms?: (fields: never) => string[]): Table {
  const columns = Object.entries(codecs).map(([field, codec]) => ({ field, column: columnName(field), codec }));
  const own = columns.map(({ column }) => column);
  const all = ['tenant', 'id', 'version', 'created_ms', 'updated_ms', ...own];
  return {
    kind,
    name,
    id: hasHexId(kind) ? hex : plain,
    columns,
    ...(terms && { terms }),
    hasOwner: own.includes('owner'),
    statuses: own.includes('status') ? statusesOf(kind) : [],
    selected: all.map((column) => `e.${column}`).join(', '),
    insert: `INSERT INTO ${name} (${all.join(', ')}) VALUES (${all.map(() => '?').join(', ')}) ON CONFLICT DO NOTHING RETURNING version`,
    update: `UPDATE ${name} SET version = ?, updated_ms = ?, ${own.map((column) => `${column} = ?`).join(', ')} WHERE tenant = ? AND id = ?`,
  };
}

/** Ids that are hashes are kept as bytes. */
export function hasHexId(kind: Kind): boolean {
  return kind === 'certificate' || kind === 'authority';
}

function columnName(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

export function decodeEntry<K extends Kind>(table: Table, row: Row): Entry<K> {
  const entry: Record<string, unknown> = {
    tenant: row['tenant'],
    id: table.id.decode(row['id'] as never),
    version: row['version'],
    createdMs: row['created_ms'],
    updatedMs: row['updated_ms'],
  };
  for (const { field, column, codec } of table.columns) entry[field] = codec.decode(row[column] as never);
  return entry as unknown as Entry<K>;
}

export function encodeId(table: Table, id: string): Value {
  return table.id.encode(id as never);
}

/** The columns of the kind's own fields, in order. */
export function encodeFields(table: Table, fields: object): Value[] {
  return table.columns.map(({ field, codec }) => codec.encode((fields as Record<string, never>)[field]!));
}
