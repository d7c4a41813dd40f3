// What a write does, statement by statement. Each one checks everything before it writes anything, so that a refused one leaves no
// trace in its transaction.

import type { Entry, Fields, Kind, Owner, OwnerKind } from '../entries.ts';
import { isOwnerKind, kinds, ownerKinds, systemScope } from '../entries.ts';
import { changedFields, entryLimits, idFault, newFields, sameFields, scopeFault } from '../entry-checks.ts';
import { maxWrites, refusal, value, type Result, type Write } from '../registry.ts';
import { row, rows, type Steps } from './statement.ts';
import { decodeEntry, encodeFields, encodeId, ownerText, policyTerm, tables, type Table } from './tables.ts';
import { Transaction } from './transaction.ts';

type Applied = {
  readonly result: Result<readonly Result<Entry<Kind>>[]>;
  /** False: nothing was written, and the transaction is to be rolled back. */
  readonly commit: boolean;
};

export function* applyWrites(writes: readonly Write[], atomic: boolean, schema: number, nowMs: number): Steps<Applied> {
  if (writes.length > maxWrites) return { result: refusal('limit', `at most ${maxWrites} writes at a time`), commit: false };
  const transaction = yield* Transaction.begin(schema, nowMs);
  const results: Result<Entry<Kind>>[] = [];
  for (const [index, write] of writes.entries()) {
    const result = yield* applyWrite(transaction, write);
    if (!result.ok && atomic) return { result: { ok: false, error: { ...result.error, index } }, commit: false };
    results.push(result);
  }
  if (transaction.hasChanges) yield* transaction.end();
  return { result: value(results), commit: transaction.hasChanges };
}

function* applyWrite(transaction: Transaction, write: Write): Steps<Result<Entry<Kind>>> {
  const { kind, tenant, id } = write;
  const scopeProblem = scopeFault(kind, tenant);
  if (scopeProblem !== undefined) return refusal('invalid', `the tenant's name ${scopeProblem}`, { field: 'tenant' });
  const idProblem = idFault(kind, id);
  if (idProblem !== undefined) return refusal('invalid', `the id ${idProblem}`, { field: 'id' });
  if (write.do === 'create') return yield* create(transaction, kind, tenant, id, write.fields);
  const entry = yield* readEntry(tables[kind], tenant, id);
  if (entry === undefined) {
    if (write.do === 'put') return yield* create(transaction, kind, tenant, id, write.fields);
    return refusal('not-found', `there is no ${kind} ${tenant}/${id}`);
  }
  const version = write.do === 'put' ? undefined : write.version;
  if (version !== undefined && version !== entry.version) {
    return refusal('conflict', `${kind} ${tenant}/${id} was changed meanwhile: it has version ${entry.version}`, {
      version: entry.version,
    });
  }
  return write.do === 'remove' ? yield* remove(transaction, entry, kind) : yield* update(transaction, entry, kind, write.fields);
}

function* readEntry<K extends Kind>(table: Table, tenant: string, id: string): Steps<Entry<K> | undefined> {
  const text = `SELECT ${table.selected} FROM ${table.name} e WHERE e.tenant = ? AND e.id = ?`;
  const found = yield* row(text, [tenant, encodeId(table, id)]);
  return found && decodeEntry<K>(table, found);
}

function* create(transaction: Transaction, kind: Kind, tenant: string, id: string, given: object): Steps<Result<Entry<Kind>>> {
  const { revision, nowMs } = transaction;
  const checked = newFields(kind, given as never, nowMs);
  if (!checked.ok) return checked;
  // Two names must not look the same, whatever composes their letters. What an earlier release let in stays as it is.
  if (id.normalize('NFC') !== id) return refusal('invalid', 'the id is not in its composed form (Unicode NFC)', { field: 'id' });
  if (kind === 'authority' && tenant !== systemScope && (checked.value as Fields['authority']).role !== 'foreign') {
    return refusal('invalid', `an authority of our own stands in ${systemScope}`, { field: 'tenant' });
  }
  if (!(yield* transaction.knowsTenant(tenant))) return refusal('unknown-tenant', `there is no tenant ${tenant}`, { field: 'tenant' });
  const missing = yield* missingReference(kind, tenant, checked.value, undefined);
  if (missing !== undefined) return missing;
  const other = yield* otherOfName(kind, tenant, id);
  if (other !== undefined) return refusal('exists', `there is a ${other} ${tenant}/${id} already: a name stands for one`);
  const table = tables[kind];
  const head = [tenant, encodeId(table, id), revision, nowMs, nowMs];
  const written = yield* rows(table.insert, [...head, ...encodeFields(table, checked.value)]);
  if (written.length === 0) return refusal('exists', yield* whatExists(kind, tenant, id));
  yield* addTerms(table, tenant, id, table.terms?.(checked.value as never) ?? []);
  transaction.note('created', kind, tenant, id);
  return value({ tenant, id, version: revision, createdMs: nowMs, updatedMs: nowMs, ...checked.value } as Entry<Kind>);
}

/**
 * The device, application or user that has this name, when one of the others is to be created. Writers come one after the other
 * (Transaction.begin), so nobody takes it in between.
 */
function* otherOfName(kind: Kind, tenant: string, id: string): Steps<OwnerKind | undefined> {
  if (!isOwnerKind(kind)) return undefined;
  for (const other of ownerKinds) if (other !== kind && (yield* isThere(other, tenant, id))) return other;
  return undefined;
}

/** One of another tenant may stand in the way, or a certificate by its serial number: of that nothing is told. */
function* whatExists(kind: Kind, tenant: string, id: string): Steps<string> {
  if ((yield* readEntry(tables[kind], tenant, id)) !== undefined) return `there is a ${kind} ${tenant}/${id} already`;
  if (kind === 'authority') return 'an authority with this public key is registered already';
  if (kind === 'credential') return 'a credential that peers show in the same way is registered already';
  if (kind === 'enrolment') return 'an enrolment with this token is registered already';
  return 'this certificate, or one of its issuer with its serial number, is registered already';
}

function* update(transaction: Transaction, entry: Entry<Kind>, kind: Kind, given: object): Steps<Result<Entry<Kind>>> {
  const { revision, nowMs } = transaction;
  const { tenant, id } = entry;
  const checked = changedFields(kind, entry, given, nowMs);
  if (!checked.ok) return checked;
  if (sameFields(kind, entry, checked.value)) return value(entry);
  const missing = yield* missingReference(kind, tenant, checked.value, entry);
  if (missing !== undefined) return missing;
  const table = tables[kind];
  yield* rows(table.update, [revision, nowMs, ...encodeFields(table, checked.value), tenant, encodeId(table, id)]);
  if (table.terms !== undefined) {
    const before = table.terms(entry as never);
    const after = table.terms(checked.value as never);
    const gone = before.filter((term) => !after.includes(term));
    for (const term of gone) yield* removeTerm(table, tenant, id, term);
    yield* addTerms(
      table,
      tenant,
      id,
      after.filter((term) => !before.includes(term)),
    );
  }
  transaction.note('updated', kind, tenant, id);
  return value({ ...entry, ...checked.value, version: revision, updatedMs: nowMs } as Entry<Kind>);
}

function* remove(transaction: Transaction, entry: Entry<Kind>, kind: Kind): Steps<Result<Entry<Kind>>> {
  const { tenant, id } = entry;
  const use = yield* useOf(entry, kind, transaction.nowMs);
  if (use !== undefined) return refusal('in-use', use);
  const table = tables[kind];
  if (isOwnerKind(kind)) yield* removeBelongings(transaction, tenant, { kind, id });
  yield* rows(`DELETE FROM ${table.name} WHERE tenant = ? AND id = ?`, [tenant, encodeId(table, id)]);
  for (const term of table.terms?.(entry as never) ?? []) yield* removeTerm(table, tenant, id, term);
  if (kind === 'tenant') transaction.forgetTenant(id);
  transaction.note('removed', kind, tenant, id);
  return value(entry);
}

function* removeBelongings(transaction: Transaction, tenant: string, owner: Owner): Steps<void> {
  const { revision, nowMs } = transaction;
  const own = [tenant, ownerText(owner)!];
  const credentials = yield* rows('DELETE FROM credentials WHERE tenant = ? AND owner = ? RETURNING id', own);
  for (const gone of credentials) transaction.note('removed', 'credential', tenant, gone['id'] as string);
  const set = `status = 'revoked', reason = 'cessationOfOperation', revoked_at_ms = coalesce(revoked_at_ms, ?), version = ?, updated_ms = ?`;
  const where = `tenant = ? AND owner = ? AND (status = 'valid' OR reason = 'certificateHold')`;
  const revoked = yield* rows(`UPDATE certificates SET ${set} WHERE ${where} RETURNING id`, [nowMs, revision, nowMs, ...own]);
  for (const { id } of revoked) {
    transaction.note('updated', 'certificate', tenant, tables.certificate.id.decode(id as never) as string);
  }
}

function* addTerms({ kind }: Table, tenant: string, id: string, terms: readonly string[]): Steps<void> {
  if (terms.length === 0) return;
  const places = terms.map(() => '(?, ?, ?)').join(', ');
  yield* rows(
    `INSERT INTO ${kind}_terms (tenant, term, id) VALUES ${places}`,
    terms.flatMap((term) => [tenant, term, id]),
  );
}

function* removeTerm({ kind }: Table, tenant: string, id: string, term: string): Steps<void> {
  yield* rows(`DELETE FROM ${kind}_terms WHERE tenant = ? AND term = ? AND id = ?`, [tenant, term, id]);
}

/** A reference of a new or changed entry to what is not there. */
function* missingReference(
  kind: Kind,
  tenant: string,
  fields: Fields[Kind],
  old: Entry<Kind> | undefined,
): Steps<Result<never> | undefined> {
  if (kind === 'role') {
    const known = (old as Entry<'role'> | undefined)?.policies ?? [];
    for (const policy of (fields as Fields['role']).policies) {
      if (known.includes(policy) || (yield* isThere('policy', tenant, policy))) continue;
      return refusal('unknown-reference', `there is no policy ${tenant}/${policy}`, { field: 'policies' });
    }
  }
  if (kind === 'authority') {
    const { issuer } = fields as Fields['authority'];
    if (issuer === undefined || issuer === (old as Entry<'authority'> | undefined)?.issuer) return undefined;
    const found = yield* row(`SELECT version FROM authorities WHERE id = ? AND tenant IN (?, ?)`, [
      Buffer.from(issuer, 'hex'),
      tenant,
      systemScope,
    ]);
    return found === undefined ? refusal('unknown-reference', `there is no authority ${issuer}`, { field: 'issuer' }) : undefined;
  }
  // The owner of what is there already cannot change.
  if ((kind === 'credential' || kind === 'certificate') && old === undefined) {
    const { owner } = fields as Fields['certificate'];
    if (owner === undefined) return undefined;
    if (!(yield* isThere(owner.kind, tenant, owner.id))) {
      return refusal('unknown-reference', `there is no ${owner.kind} ${tenant}/${owner.id}`, { field: 'owner' });
    }
    if (kind === 'credential') return yield* tooManyCredentials(tenant, owner);
  }
  return undefined;
}

function* tooManyCredentials(tenant: string, owner: Owner): Steps<Result<never> | undefined> {
  const most = entryLimits.credentialsOfOwner;
  const found = yield* row('SELECT count(*) AS n FROM credentials WHERE tenant = ? AND owner = ?', [tenant, ownerText(owner)!]);
  if (Number(found!['n']) < most) return undefined;
  return refusal('limit', `${owner.kind} ${tenant}/${owner.id} has ${most} credentials already`);
}

function* isThere(kind: Kind, tenant: string, id: string): Steps<boolean> {
  return (yield* row(`SELECT version FROM ${tables[kind].name} WHERE tenant = ? AND id = ?`, [tenant, id])) !== undefined;
}

/** Why this entry cannot go, in words. */
function* useOf(entry: Entry<Kind>, kind: Kind, nowMs: number): Steps<string | undefined> {
  const { tenant, id } = entry;
  if (kind === 'tenant') {
    for (const other of kinds) {
      const found = yield* row(`SELECT version FROM ${tables[other].name} WHERE tenant = ? LIMIT 1`, [id]);
      if (found !== undefined) return `tenant ${id} still has a ${other}`;
    }
  }
  if (kind === 'policy') {
    const role = yield* row('SELECT id FROM role_terms WHERE tenant = ? AND term = ? LIMIT 1', [tenant, policyTerm(id)]);
    if (role !== undefined) return `policy ${tenant}/${id} is part of the role ${String(role['id'])}`;
  }
  if (kind === 'authority') {
    const signed = yield* row('SELECT subject FROM authorities WHERE issuer = ? LIMIT 1', [Buffer.from(id, 'hex')]);
    if (signed !== undefined) return `it has signed the authority ${String(signed['subject'])}`;
    const issued = yield* row('SELECT version FROM certificates WHERE issuer = ? AND not_after_ms >= ? LIMIT 1', [
      Buffer.from(id, 'hex'),
      nowMs,
    ]);
    if (issued !== undefined)
      return 'an authority must be known until the last certificate of it that is registered expires; retire it instead';
  }
  if (kind === 'certificate' && (entry as Entry<'certificate'>).notAfterMs >= nowMs) {
    return 'a certificate must be known until it expires, because it may have to be revoked; revoke it instead';
  }
  return undefined;
}
