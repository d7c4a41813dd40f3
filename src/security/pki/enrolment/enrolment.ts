// The contract of enrolment: how a device that has no certificate yet, or one that ends soon, comes to the next one. Tokens are asked for
// by the management interface, which has already decided whether the asker may.

import type { Status } from '../../../registry/entries.ts';
import type { Page, PageQuery } from '../../../registry/registry.ts';
import type { Actor } from '../../audit/audit.ts';
import type { IssueFaultCode } from '../pki.ts';

export type NewDevices = { readonly groups: readonly string[]; readonly roles: readonly string[] };

export type NewEnrolment = {
  readonly tenant: string;
  /** How many devices can be enrolled; 1 when absent. */
  readonly maxUses?: number;
  /** For how long, in milliseconds; a day when absent. */
  readonly validMs?: number;
  /** Ids of the devices it is good for: `*` stands for any characters. */
  readonly devicePattern: string;
  /** Devices that are not there yet are added with these; absent: only devices that are there can use it. */
  readonly newDevices?: NewDevices | undefined;
};

export type EnrolmentView = {
  readonly tenant: string;
  readonly id: string;
  readonly status: Status;
  readonly maxUses: number;
  readonly uses: number;
  readonly createdMs: number;
  readonly expiresAtMs: number;
  readonly devicePattern: string;
  readonly newDevices: NewDevices | undefined;
};

export type EnrolmentFaultCode =
  | IssueFaultCode
  /** A field of the question is not what it must be. */
  | 'invalid'
  | 'not-found'
  /** No such token, or a wrong one. */
  | 'unknown-token'
  | 'token-disabled'
  | 'token-expired'
  | 'token-used-up'
  /** The token is not good for this device. */
  | 'wrong-device'
  /** The device has a certificate, and a token for several devices must not replace it. */
  | 'already-enrolled'
  /** The certificate that was shown cannot be used for this. */
  | 'wrong-certificate'
  | 'not-enabled'
  /** Too many mistakes, or too many certificates: later. */
  | 'rate-limited'
  | 'busy';

export type EnrolmentFault = {
  readonly code: EnrolmentFaultCode;
  /** For people, without a secret. */
  readonly message: string;
  readonly field?: string;
  /** When it may be worth to try again. */
  readonly retryAfterMs?: number;
};

export type EnrolmentResult<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: EnrolmentFault };

/** Who asked, and the address it came from. */
export type Asker = { readonly actor: Actor; readonly from: string };

export interface Enrolments {
  /** The token is shown here and never again: only its hash is kept. */
  create(enrolment: NewEnrolment, asker: Asker): Promise<EnrolmentResult<{ readonly token: string; readonly enrolment: EnrolmentView }>>;
  list(tenant: string, query: PageQuery): Promise<EnrolmentResult<Page<EnrolmentView>>>;
  get(tenant: string, id: string): Promise<EnrolmentResult<EnrolmentView>>;
  /** `disabled`: the token is good for nothing until it is made active again. */
  setStatus(tenant: string, id: string, status: Status, asker: Asker): Promise<EnrolmentResult<EnrolmentView>>;
  remove(tenant: string, id: string, asker: Asker): Promise<EnrolmentResult<EnrolmentView>>;
}

export function done<T>(value: T): EnrolmentResult<T> {
  return { ok: true, value };
}

export function fault(
  code: EnrolmentFaultCode,
  message: string,
  more: Omit<EnrolmentFault, 'code' | 'message'> = {},
): EnrolmentResult<never> {
  return { ok: false, error: { code, message, ...more } };
}
