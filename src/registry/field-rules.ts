// What one field of an entry may hold, and the one form in which it is kept. Nothing is taken to be of the type it claims. The
// bounds keep an entry under about 100 KiB, most under 1 KiB.

import { nameFault } from '../message/names.ts';
import type { Owner, Quotas } from './entries.ts';
import { isOwnerKind, quotaNames } from './entries.ts';

export const entryLimits = {
  labels: 32,
  labelLength: 256,
  /** Each of groups, roles and a role's policies. */
  names: 64,
  titleLength: 256,
  documentBytes: 64 * 1024,
  secretLength: 1024,
  certificateLength: 16 * 1024,
  urls: 8,
  urlLength: 2048,
  enrolmentUses: 1_000_000,
  /** `*` in the pattern of an enrolment: each makes matching longer. */
  stars: 8,
  /** A check of a password tries them one after the other. */
  credentialsOfOwner: 16,
} as const;

/** The last moment a Date can hold. */
const maxMs = 8.64e15;

export type Rule = {
  /** What is wrong with it, as the end of "<field> …"; undefined when nothing is. */
  readonly fault: (given: unknown) => string | undefined;
  /** The one form in which it is kept. */
  readonly normal?: (given: never) => unknown;
  /** Absent: the field must be given. */
  readonly fallback?: { readonly value: unknown } | { readonly of: (fields: Readonly<Record<string, unknown>>) => unknown };
  /** Given once, at creation. */
  readonly fixed?: true;
};

export function oneOf(...allowed: readonly string[]): Pick<Rule, 'fault'> {
  return {
    fault: (given) => (typeof given === 'string' && allowed.includes(given) ? undefined : `must be one of ${allowed.join(', ')}`),
  };
}

export function matching(pattern: RegExp, shape: string): Pick<Rule, 'fault'> {
  return { fault: (given) => (typeof given === 'string' && pattern.test(given) ? undefined : `must be ${shape}`) };
}

/** Text for people: empty is fine. */
export function textFault(given: unknown, maxLength: number): string | undefined {
  if (typeof given !== 'string') return 'must be text';
  if (given.length > maxLength) return `is longer than ${maxLength} characters`;
  if (!given.isWellFormed() || /[\p{Cc}\p{Zl}\p{Zp}]/u.test(given)) return 'holds a character that cannot be seen';
  return undefined;
}

export const nameList: Rule = {
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

export const labels: Rule = {
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

export const title: Rule = { fault: (given) => textFault(given, entryLimits.titleLength), fallback: { value: '' } };
export const status: Rule = { ...oneOf('active', 'disabled'), fallback: { value: 'active' } };

export const moment: Pick<Rule, 'fault'> = {
  fault: (given) =>
    typeof given === 'number' && Number.isInteger(given) && given >= 0 && given <= maxMs
      ? undefined
      : 'must be whole milliseconds since 1970',
};

export function optional(rule: Pick<Rule, 'fault' | 'normal'>): Rule {
  return {
    fault: (given) => (given === undefined ? undefined : rule.fault(given)),
    ...(rule.normal && { normal: (given: never) => (given === undefined ? undefined : rule.normal!(given)) }),
    fallback: { value: undefined },
  };
}

export const owner: Pick<Rule, 'fault' | 'normal'> = {
  fault(given) {
    const { kind, id } = (given ?? {}) as { kind?: unknown; id?: unknown };
    if (typeof kind !== 'string' || !isOwnerKind(kind)) return 'must name a device, an application or a user';
    const fault = typeof id === 'string' ? nameFault(id) : 'is not text';
    return fault === undefined ? undefined : `has an id that ${fault}`;
  },
  normal: ({ kind, id }: Owner) => ({ kind, id }),
};

/** JSON text of an object. */
export const document: Rule = {
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

export const sha256 = /^[0-9a-f]{64}$/;

/** Whole numbers from `least` to `most`. */
export function count(least: number, most: number): Pick<Rule, 'fault'> {
  return {
    fault: (given) =>
      typeof given === 'number' && Number.isInteger(given) && given >= least && given <= most
        ? undefined
        : `must be a whole number from ${least} to ${most}`,
  };
}

const quota = count(0, Number.MAX_SAFE_INTEGER);

export const quotas: Rule = {
  fault(given) {
    if (typeof given !== 'object' || given === null || Array.isArray(given)) return 'must be an object of numbers';
    for (const [name, most] of Object.entries(given)) {
      if (!(quotaNames as readonly string[]).includes(name)) return `has ${JSON.stringify(name.slice(0, 64))}, which is no quota`;
      const fault = most === undefined ? undefined : quota.fault(most);
      if (fault !== undefined) return `has ${name}, which ${fault}`;
    }
    return undefined;
  },
  normal: (given: Quotas) => Object.fromEntries(quotaNames.filter((name) => given[name] !== undefined).map((name) => [name, given[name]])),
  fallback: { value: {} },
};

const pem = /^-----BEGIN CERTIFICATE-----\r?\n(?:[A-Za-z0-9+/]{1,76}={0,2}\r?\n)+-----END CERTIFICATE-----\s*$/;

/** One certificate in PEM. That it is the one of its id is for whoever writes it to know. */
export const certificatePem: Rule = {
  fault(given) {
    if (typeof given !== 'string' || given.length > entryLimits.certificateLength) {
      return `must be text of at most ${entryLimits.certificateLength} characters`;
    }
    return pem.test(given) ? undefined : 'must be one certificate in PEM';
  },
  normal: (given: string) => `${given.trimEnd().replaceAll('\r\n', '\n')}\n`,
};

/** In the order in which they are asked. */
export const urlList: Rule = {
  fault(given) {
    if (!Array.isArray(given)) return 'must be a list of URLs';
    if (given.length > entryLimits.urls) return `has more than ${entryLimits.urls} URLs`;
    for (const url of given) {
      const fault = urlFault(url);
      if (fault !== undefined) return `has a URL that ${fault}`;
    }
    return undefined;
  },
  normal: (urls: readonly string[]) => [...new Set(urls)],
  fallback: { value: [] },
};

function urlFault(given: unknown): string | undefined {
  if (typeof given !== 'string' || given.length > entryLimits.urlLength)
    return `is not text of at most ${entryLimits.urlLength} characters`;
  // Nothing that a URL parser would pass over in silence.
  if (!/^https?:\/\/[\x21-\x7e]+$/.test(given) || !URL.canParse(given)) return 'is not http:// or https:// in ASCII';
  const { username, password } = new URL(given);
  return username === '' && password === '' ? undefined : 'holds a name or a password';
}

/** A principal as text: `tenant/id`. `$` begins what only the broker itself is called. */
export const principalName: Pick<Rule, 'fault'> = {
  fault(given) {
    const parts = typeof given === 'string' ? given.split('/') : [];
    const isOne = parts.length === 2 && parts.every((part) => nameFault(part.replace(/^\$/, '')) === undefined);
    return isOne ? undefined : 'must be a principal: tenant/id';
  },
};

/** Ids with `*` for any characters. */
export const idPattern: Pick<Rule, 'fault'> = {
  fault(given) {
    if (typeof given !== 'string') return 'must be text';
    if (given.split('*').length - 1 > entryLimits.stars) return `has more than ${entryLimits.stars} stars`;
    return nameFault(given.replaceAll('*', 'x'));
  },
};

export const newDevices: Rule = optional({
  fault(given) {
    if (typeof given !== 'object' || given === null) return 'must be an object with groups and roles';
    const { groups = [], roles = [], ...more } = given as { groups?: unknown; roles?: unknown };
    for (const name of Object.keys(more)) return `has ${JSON.stringify(name.slice(0, 64))}, which is neither groups nor roles`;
    const groupsFault = nameList.fault(groups);
    if (groupsFault !== undefined) return `has groups: ${groupsFault}`;
    const rolesFault = nameList.fault(roles);
    return rolesFault === undefined ? undefined : `has roles: ${rolesFault}`;
  },
  normal: ({ groups = [], roles = [] }: Partial<Record<'groups' | 'roles', readonly string[]>>) => ({
    groups: nameList.normal!(groups as never),
    roles: nameList.normal!(roles as never),
  }),
});
