// What went wrong, as the management interface tells it: problem documents (RFC 9457) with a code that programs can rely on.

import { STATUS_CODES } from 'node:http';
import type { ManagementFault } from '../../broker/management.ts';
import type { RegistryError, RegistryErrorCode } from '../../registry/registry.ts';
import type { IssueFault, IssueFaultCode } from '../../security/pki/pki.ts';

export class Problem {
  readonly status: number;
  readonly code: string;
  /** For people; never repeats a secret. */
  readonly detail: string;
  /** More members of the document: `field`, `version`. */
  readonly more: Readonly<Record<string, string | number>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: string,
    detail: string,
    more: Readonly<Record<string, string | number>> = {},
    headers: Readonly<Record<string, string>> = {},
  ) {
    this.status = status;
    this.code = code;
    this.detail = asSentence(detail);
    this.more = more;
    this.headers = headers;
  }

  /** The members that RFC 9457 §3.1 names, and ours. */
  document(): object {
    const { status, code, detail, more } = this;
    return { type: `urn:heliograph:problem:${code}`, title: STATUS_CODES[status] ?? 'Error', status, code, detail, ...more };
  }
}

function asSentence(text: string): string {
  const sentence = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(sentence) ? sentence : `${sentence}.`;
}

const ofRegistry: Readonly<Record<RegistryErrorCode, number>> = {
  invalid: 422,
  exists: 409,
  'not-found': 404,
  // Only who sends If-Match can meet it (RFC 9110 §13.1.1).
  conflict: 412,
  'unknown-tenant': 404,
  'unknown-reference': 422,
  'in-use': 409,
  limit: 409,
  unavailable: 503,
  full: 507,
  damaged: 500,
  'later-version': 500,
};

export function registryProblem({ code, message, field, version }: RegistryError): Problem {
  const more = { ...(field !== undefined && { field }), ...(version !== undefined && { version }) };
  return new Problem(ofRegistry[code], code, message, more, code === 'unavailable' ? { 'Retry-After': '1' } : {});
}

const ofPki: Readonly<Record<IssueFaultCode, number>> = {
  malformed: 422,
  'too-large': 413,
  'bad-signature': 422,
  'weak-key': 422,
  'foreign-name': 422,
  'not-allowed': 422,
  'unknown-owner': 404,
  disabled: 409,
  unavailable: 503,
};

export function pkiProblem({ code, message, field }: IssueFault): Problem {
  return new Problem(ofPki[code], code, message, field === undefined ? {} : { field });
}

const ofManagement: Readonly<Record<ManagementFault['code'], number>> = { 'not-found': 404, busy: 409, full: 409, unavailable: 503 };

export function managementProblem({ code, message }: ManagementFault): Problem {
  return new Problem(ofManagement[code], code, message, {}, code === 'unavailable' ? { 'Retry-After': '1' } : {});
}

export function notFound(what: string): Problem {
  return new Problem(404, 'not-found', `There is no ${what}.`);
}

export function forbidden(detail: string): Problem {
  return new Problem(403, 'forbidden', detail);
}

/** What only a running node can answer. */
export const noNode = new Problem(503, 'no-node', 'No broker runs here: start it with "heliograph serve", then ask again.');
