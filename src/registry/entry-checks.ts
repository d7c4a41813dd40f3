// What an entry may hold. Every write passes here, whether it comes from a person, a program or a file, so nothing is taken to be
// of the type it claims. The bounds keep an entry under about 100 KiB, most under 1 KiB.

import { nameFault } from '../message/names.ts';
import type { Entry, Fields, Kind, NewFields, Owner } from './entries.ts';
import { isOwnerKind, systemScope } from './entries.ts';
import { refusal, value, type Result } from './registry.ts';

export const entryLimits = {
  labels: 32,
  labelLength: 256,
  /** Each of groups, roles and a role's policies. */
  names: 64,
  titleLength: 256,
  documentBytes: 64 * 1024,
  secretLength: 1024,
  /** A check of a password tries them one after the other. */
  credentialsOfOwner: 16,
} as const;

/** The last moment a Date can hold. */
const maxMs = 8.64e15;

type Rule = {
  /** What is wrong with it, as the end of "<field> …"; undefined when nothing is. */
  readonly fault: (given: unknown) => string | undefined;
  /** The one form in which it is kept. */
  readonly normal?: (given: never) => unknown;
  /** Absent: the field must be given. */
  readonly fallback?: { readonly value: unknown };
  /** Given once, at creation. */
  readonly fixed?: true;
};

function oneOf(...allowed: readonly string[]): Pick<Rule, 'fault'> {
  return {
    fault: (given) => (typeof given === 'string' && allowed.includes(given) ? undefined : `must be one of ${allowed.join(', ')}`),
  };
}

function matching(pattern: RegExp, shape: string): Pick<Rule, 'fault'> {
  return { fault: (given) => (typeof given === 'string' && pattern.test(given) ? undefined : `must be ${shape}`) };
}

/** Text for people: empty is fine. */
function textFault(given: unknown, maxLength: number): string | undefined {
  if (typeof given !== 'string') return 'must be text';
  if (given.length > maxLength) return `is longer than ${maxLength} characters`;
  if (!given.isWellFormed() || /[\p{Cc}\p{Zl}\p{Zp}]/u.test(given)) return 'holds a character that cannot be seen';
  return undefined;
}

const nameList: Rule = {
  fault(given) {
    if (!Array.isArray(given)) return 'must be a list of names';
    if (given.length > entryLimits.names) return `has more than ${entryLimits.names} names`;
    for (const name of given) {
      const fault = typeof name === 'string' ? nameFault(name) : 'is not text';
      if (fault !== undefined) return `has a name that ${fault}`;
    }
    return undefined;
  },
  normal: (names: readonly string[]) => [...new Set(names)].sort(),
  fallback: { value: [] },
};

const labelKey = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** What is wrong with one label, as the end of "labels …". */
function labelFault(key: string, text: unknown): string | undefined {
  if (!labelKey.test(key)) return `has a key that is not 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit`;
  if (text === '') return `has an empty value for ${key}`;
  const fault = textFault(text, entryLimits.labelLength);
  return fault === undefined ? undefined : `has a value for ${key} that ${fault}`;
}

const labels: Rule = {
  fault(given) {
    if (typeof given !== 'object' || given === null || Array.isArray(given)) return 'must be an object of texts';
    const pairs = Object.entries(given);
    if (pairs.length > entryLimits.labels) return `has more than ${entryLimits.labels} entries`;
    for (const [key, text] of pairs) {
      const fault = labelFault(key, text);
      if (fault !== undefined) return fault;
    }
    return undefined;
  },
  normal: (given: Readonly<Record<string, string>>) => Object.fromEntries(Object.entries(given).sort(([a], [b]) => (a < b ? -1 : 1))),
  fallback: { value: {} },
};

const title: Rule = { fault: (given) => textFault(given, entryLimits.titleLength), fallback: { value: '' } };
const status: Rule = { ...oneOf('active', 'disabled'), fallback: { value: 'active' } };

const moment: Pick<Rule, 'fault'> = {
  fault: (given) =>
    typeof given === 'number' && Number.isInteger(given) && given >= 0 && given <= maxMs
      ? undefined
      : 'must be whole milliseconds since 1970',
};

function optional(rule: Pick<Rule, 'fault' | 'normal'>): Rule {
  return {
    fault: (given) => (given === undefined ? undefined : rule.fault(given)),
    ...(rule.normal && { normal: (given: never) => (given === undefined ? undefined : rule.normal!(given)) }),
    fallback: { value: undefined },
  };
}

const owner: Pick<Rule, 'fault' | 'normal'> = {
  fault(given) {
    const { kind, id } = (given ?? {}) as { kind?: unknown; id?: unknown };
    if (typeof kind !== 'string' || !isOwnerKind(kind)) return 'must name a device, an application or a user';
    const fault = typeof id === 'string' ? nameFault(id) : 'is not text';
    return fault === undefined ? undefined : `has an id that ${fault}`;
  },
  normal: ({ kind, id }: Owner) => ({ kind, id }),
};

const document: Rule = {
  fault(given) {
    if (typeof given !== 'string' || !given.isWellFormed() || given.includes('\0')) return 'must be text';
    if (Buffer.byteLength(given) > entryLimits.documentBytes) return `is larger than ${entryLimits.documentBytes} bytes`;
    try {
      const parsed: unknown = JSON.parse(given);
      return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? undefined : 'must be a JSON object';
    } catch {
      return 'is not JSON';
    }
  },
};

const sha256 = /^[0-9a-f]{64}$/;

const principal = { status, labels, groups: nameList, roles: nameList };

type Rules = { readonly [K in Kind]: { readonly [F in keyof Fields[K]]: Rule } };

const rules: Rules = {
  tenant: { status, title },
  device: principal,
  application: principal,
  user: { ...principal, title },
  role: { title, policies: nameList },
  policy: { document },
  credential: {
    owner: { ...owner, fixed: true },
    type: { ...oneOf('password', 'scram-sha-256', 'token', 'psk'), fixed: true },
    secret: matching(
      new RegExp(`^[\\x21-\\x7e]{1,${entryLimits.secretLength}}$`),
      `1 to ${entryLimits.secretLength} visible ASCII characters`,
    ),
    expiresAtMs: optional(moment),
  },
  certificate: {
    owner: { ...optional(owner), fixed: true },
    serial: { ...matching(/^(?:0|[1-9a-f][0-9a-f]{0,39})$/, 'up to 40 hex digits in lower case without leading zeros'), fixed: true },
    issuer: { ...matching(sha256, '64 hex digits in lower case'), fixed: true },
    subject: { fault: (given) => textFault(given, 1024), fixed: true },
    notBeforeMs: { ...moment, fixed: true },
    notAfterMs: { ...moment, fixed: true },
    status: { ...oneOf('valid', 'revoked'), fallback: { value: 'valid' } },
    revokedAtMs: optional(moment),
    reason: optional(
      oneOf(
        'unspecified',
        'keyCompromise',
        'cACompromise',
        'affiliationChanged',
        'superseded',
        'cessationOfOperation',
        'certificateHold',
        'privilegeWithdrawn',
        'aACompromise',
      ),
    ),
  },
};

/** What is wrong with an id of this kind; undefined when nothing is. */
export function idFault(kind: Kind, id: string): string | undefined {
  if (kind !== 'certificate') return nameFault(id);
  return sha256.test(id) ? undefined : 'must be a SHA-256 fingerprint: 64 hex digits in lower case';
}

/** What is wrong with the place of an entry: tenants stand in the system's scope, everything else may as well. */
export function scopeFault(kind: Kind, tenant: string): string | undefined {
  if (tenant === systemScope) return undefined;
  return kind === 'tenant' ? `must be ${systemScope}` : nameFault(tenant);
}

/** All fields of a new entry, checked and in their one form. */
export function newFields<K extends Kind>(kind: K, given: NewFields<K>, nowMs: number): Result<Fields[K]> {
  const fields: Record<string, unknown> = {};
  for (const [name, rule] of Object.entries<Rule>(rules[kind])) {
    const present = (given as Record<string, unknown>)[name];
    if (present === undefined && rule.fallback === undefined) return refusal('invalid', `${name} is missing`, { field: name });
    fields[name] = present === undefined ? rule.fallback!.value : present;
  }
  return finished(kind, fields, given, nowMs);
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
  if (kind === 'certificate' && old['status'] === 'revoked') {
    // Whoever relied on the revocation must be able to go on doing so (RFC 5280 §5.3.1: only a hold is lifted).
    if (fields['status'] === 'valid' && old['reason'] !== 'certificateHold') {
      return refusal('invalid', 'status cannot change: a revocation is final, except certificateHold', { field: 'status' });
    }
  }
  return finished(kind, fields, given, nowMs);
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
  if (kind === 'certificate') {
    if ((fields['notAfterMs'] as number) < (fields['notBeforeMs'] as number)) {
      return refusal('invalid', 'notAfterMs is before notBeforeMs', { field: 'notAfterMs' });
    }
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
