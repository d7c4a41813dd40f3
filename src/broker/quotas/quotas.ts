// What a tenant, or one of its principals, may use of the broker. Who decides it is asked through this contract.

import type { Principal } from '../../security/security.ts';

/** Absent: no bound but the node's own. Rates are means over a second; a quiet second may be made up for. */
export type Quotas = {
  readonly connections?: number | undefined;
  readonly messagesPerSecond?: number | undefined;
  readonly bytesPerSecond?: number | undefined;
  /** Messages, and bytes, that wait in all its queues together. */
  readonly queueMessages?: number | undefined;
  readonly queueBytes?: number | undefined;
  readonly subscriptions?: number | undefined;
  readonly retainedMessages?: number | undefined;
  readonly retainedBytes?: number | undefined;
};

export interface QuotaSource {
  /** Of the tenant as a whole. Cheap: asked at every attach. */
  ofTenant(tenant: string): Quotas;
  /** Of each principal with these roles for itself. Cheap too. */
  ofPrincipal(principal: Principal): Quotas;
}

export const noQuotas: Quotas = {};

/** Nobody has any. */
export const withoutQuotas: QuotaSource = { ofTenant: () => noQuotas, ofPrincipal: () => noQuotas };
