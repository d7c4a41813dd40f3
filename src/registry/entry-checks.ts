// What an entry may hold. Every write passes here, whether it comes from a person, a program or a file.

import { nameFault } from '../message/names.ts';
import type { Entry, Fields, Kind, NewFields } from './entries.ts';
import { revocationReasons, systemScope } from './entries.ts';
import {
  certificatePem,
  count,
  document,
  entryLimits,
  idPattern,
  labels,
  matching,
  moment,
  nameList,
  newDevices,
  oneOf,
  optional,
  owner,
  principalName,
  quotas,
  sha256,
  status,
  textFault,
  title,
  urlList,
  type Rule,
} from './field-rules.ts';
import { refusal, value, type Result } from './registry.ts';

export { entryLimits } from './field-rules.ts';

const fingerprint = matching(sha256, '64 hex digits in lower case');
const subject: Pick<Rule, 'fault'> = { fault: (given) => textFault(given, 1024) };

/** What a question for a handle may look like, too. */
export const handlePattern = /^(?=.{1,256}$)[\x21-\x2e\x30-\x7e]+(?:\/[\x21-\x2e\x30-\x7e]+)*$/;

const principal = { status, labels, groups: nameList, roles: nameList };

type Rules = { readonly [K in Kind]: { readonly [F in keyof Fields[K]]: Rule } };

const rules: Rules = {
  tenant: { status, title, quotas, principalQuotas: quotas },
  device: principal,
  application: principal,
  user: { ...principal, title },
  role: { title, policies: nameList, quotas },
  policy: { document },
  credential: {
    owner: { ...owner, fixed: true },
    type: { ...oneOf('password', 'scram-sha-256', 'token', 'psk', 'raw-public-key', 'oscore'), fixed: true },
    secret: matching(
      new RegExp(`^[\\x21-\\x7e]{1,${entryLimits.secretLength}}$`),
      `1 to ${entryLimits.secretLength} visible ASCII characters`,
    ),
    expiresAtMs: optional(moment),
    handle: { ...optional(matching(handlePattern, 'parts of visible ASCII characters between slashes')), fixed: true },
  },
  certificate: {
    owner: { ...optional(owner), fixed: true },
    serial: { ...matching(/^(?:0|[1-9a-f][0-9a-f]{0,39})$/, 'up to 40 hex digits in lower case without leading zeros'), fixed: true },
    issuer: { ...fingerprint, fixed: true },
    subject: { ...subject, fixed: true },
    notBeforeMs: { ...moment, fixed: true },
    notAfterMs: { ...moment, fixed: true },
    status: { ...oneOf('valid', 'revoked'), fallback: { value: 'valid' } },
    revokedAtMs: optional(moment),
    reason: optional(oneOf(...revocationReasons)),
  },
  authority: {
    role: { ...oneOf('root', 'issuing', 'foreign'), fixed: true },
    // A foreign one has to prove first that it has its key.
    status: { ...oneOf('pending', 'active', 'retiring', 'retired'), fallback: { value: 'pending' } },
    certificate: certificatePem,
    subject,
    issuer: optional(fingerprint),
    notBeforeMs: moment,
    notAfterMs: moment,
    registration: { ...oneOf('none', 'just-in-time'), fallback: { value: 'none' } },
    groups: nameList,
    roles: nameList,
    crlUrls: urlList,
    ocspUrls: urlList,
    // Of our own, the registry knows what is revoked.
    revocationCheck: { ...oneOf('none', 'soft', 'hard'), fallback: { of: ({ role }) => (role === 'foreign' ? 'hard' : 'none') } },
  },
  enrolment: {
    status,
    tokenHash: { ...fingerprint, fixed: true },
    maxUses: { ...count(1, entryLimits.enrolmentUses), fallback: { value: 1 } },
    uses: { ...count(0, entryLimits.enrolmentUses), fallback: { value: 0 } },
    expiresAtMs: moment,
    devicePattern: idPattern,
    newDevices,
  },
  approval: {
    status: { ...oneOf('pending', 'approved', 'refused'), fallback: { value: 'pending' } },
    requestedBy: { ...principalName, fixed: true },
    decidedBy: optional(principalName),
    summary: { ...subject, fixed: true },
    request: { ...document, fixed: true },
    expiresAtMs: { ...moment, fixed: true },
  },
};

/** What is wrong with an id of this kind; undefined when nothing is. */
export function idFault(kind: Kind, id: string): string | undefined {
  if (kind !== 'certificate' && kind !== 'authority') return nameFault(id);
  const what = kind === 'certificate' ? 'fingerprint' : 'of its public key';
  return sha256.test(id) ? undefined : `must be a SHA-256 ${what}: 64 hex digits in lower case`;
}

/** What is wrong with the place of an entry: tenants and approvals stand in the system's scope, everything else may as well. */
export function scopeFault(kind: Kind, tenant: string): string | undefined {
  if (tenant === systemScope) return undefined;
  return kind === 'tenant' || kind === 'approval' ? `must be ${systemScope}` : nameFault(tenant);
}

/** All fields of a new entry, checked and in their one form. */
export function newFields<K extends Kind>(kind: K, given: NewFields<K>, nowMs: number): Result<Fields[K]> {
  const fields: Record<string, unknown> = {};
  for (const [name, rule] of Object.entries<Rule>(rules[kind])) {
    const present = (given as Record<string, unknown>)[name];
    if (present === undefined && rule.fallback === undefined) return refusal('invalid', `${name} is missing`, { field: name });
    fields[name] = present === undefined ? fallback(rule, given as Record<string, unknown>) : present;
  }
  return finished(kind, fields, given, nowMs);
}

function fallback({ fallback: given }: Rule, fields: Readonly<Record<string, unknown>>): unknown {
  return given !== undefined && 'of' in given ? given.of(fields) : given?.value;
}

/** The fields of an entry with some of them changed; the same object as `entry` holds them when nothing changes. */
export function changedFields<K extends Kind>(kind: K, entry: Entry<K>, given: Partial<Fields[K]>, nowMs: number): Result<Fields[K]> {
  const old = entry as unknown as Record<string, unknown>;
  const fields: Record<string, unknown> = {};
  for (const [name, rule] of Object.entries<Rule>(rules[kind])) {
    fields[name] = Object.hasOwn(given, name) ? (given as Record<string, unknown>)[name] : old[name];
    if (rule.fixed !== true || fields[name] === old[name] || rule.fault(fields[name]) !== undefined) continue;
    if (JSON.stringify(normal(rule, fields[name])) !== JSON.stringify(old[name])) {
      return refusal('invalid', `${name} cannot change`, { field: name });
    }
  }
  const step = stepFault(kind, old, fields);
  if (step !== undefined) return refusal('invalid', `${step.field} cannot change: ${step.why}`, { field: step.field });
  return finished(kind, fields, given, nowMs);
}

type Step = { readonly field: string; readonly why: string };
type Plain = Readonly<Record<string, unknown>>;

/** What may have been once, but not after what is there. */
function stepFault(kind: Kind, old: Plain, fields: Plain): Step | undefined {
  if (kind === 'certificate' && old['status'] === 'revoked' && fields['status'] === 'valid' && old['reason'] !== 'certificateHold') {
    // Whoever relied on the revocation must be able to go on doing so (RFC 5280 §5.3.1: only a hold is lifted).
    return { field: 'status', why: 'a revocation is final, except certificateHold' };
  }
  // A use for which nothing could be given is given back; otherwise a token that is used up would be good again.
  if (kind === 'enrolment' && Number(old['uses']) - Number(fields['uses']) > 1) return { field: 'uses', why: 'it falls by one at most' };
  if (kind === 'approval' && old['status'] !== 'pending') {
    const changed = ['status', 'decidedBy'].find((field) => fields[field] !== old[field]);
    if (changed !== undefined) return { field: changed, why: 'what is decided stays decided' };
  }
  return undefined;
}

/** Fields that are right each for itself, but not together. */
function togetherFault(kind: Kind, fields: Plain): Step | undefined {
  const number = (field: string): number => fields[field] as number;
  if ((kind === 'certificate' || kind === 'authority') && number('notAfterMs') < number('notBeforeMs')) {
    return { field: 'notAfterMs', why: 'is before notBeforeMs' };
  }
  if (kind === 'authority' && fields['role'] !== 'foreign') {
    if (fields['registration'] !== 'none') return { field: 'registration', why: 'is only for a foreign authority' };
    const list = ['groups', 'roles', 'crlUrls', 'ocspUrls'].find((field) => (fields[field] as unknown[]).length > 0);
    if (list !== undefined) return { field: list, why: 'is only for a foreign authority' };
    if (fields['revocationCheck'] !== 'none') return { field: 'revocationCheck', why: 'must be none for an authority of our own' };
  }
  if (kind === 'enrolment' && number('uses') > number('maxUses')) return { field: 'uses', why: 'is above maxUses' };
  if (kind !== 'approval') return undefined;
  const isDecided = fields['status'] !== 'pending';
  if (isDecided !== (fields['decidedBy'] !== undefined)) {
    return { field: 'decidedBy', why: isDecided ? 'is missing' : 'must be absent while it is pending' };
  }
  // Who asks may take it back, and not agree to it.
  if (fields['status'] !== 'approved' || fields['decidedBy'] !== fields['requestedBy']) return undefined;
  return { field: 'decidedBy', why: 'must be somebody else than who asked' };
}

function finished<K extends Kind>(kind: K, fields: Record<string, unknown>, given: object, nowMs: number): Result<Fields[K]> {
  const known: Readonly<Record<string, Rule>> = rules[kind];
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(known, name))
      return refusal('invalid', `${JSON.stringify(name.slice(0, 64))} is no field of a ${kind}`, { field: name });
  }
  for (const [name, rule] of Object.entries(known)) {
    const fault = rule.fault(fields[name]);
    if (fault !== undefined) return refusal('invalid', `${name} ${fault}`, { field: name });
    fields[name] = normal(rule, fields[name]);
  }
  const together = togetherFault(kind, fields);
  if (together !== undefined) return refusal('invalid', `${together.field} ${together.why}`, { field: together.field });
  if (kind === 'certificate') {
    const isRevoked = fields['status'] === 'revoked';
    fields['revokedAtMs'] = isRevoked ? (fields['revokedAtMs'] ?? nowMs) : undefined;
    fields['reason'] = isRevoked ? (fields['reason'] ?? 'unspecified') : undefined;
  }
  return value(fields as unknown as Fields[K]);
}

function normal(rule: Rule, checked: unknown): unknown {
  return rule.normal === undefined ? checked : rule.normal(checked as never);
}

/** True when both hold the same: all fields are in their one form. */
export function sameFields<K extends Kind>(kind: K, a: Fields[K], b: Fields[K]): boolean {
  return Object.keys(rules[kind]).every((name) => {
    const one = (a as Record<string, unknown>)[name];
    const other = (b as Record<string, unknown>)[name];
    return one === other || (typeof one === 'object' && JSON.stringify(one) === JSON.stringify(other));
  });
}
