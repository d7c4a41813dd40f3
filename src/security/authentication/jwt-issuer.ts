// What is expected of an issuer's tokens, and what their claims say of a principal.

import type { JWTPayload } from 'jose';
import { nameFault } from '../../message/names.ts';
import { claimedLabels, claimedNames, claimedRoles } from './claimed-facts.ts';
import type { Identity } from './authenticator.ts';

/** Signatures by a key pair alone: what is signed with a shared secret could be made by everyone who checks it. */
export const jwtAlgorithms = ['EdDSA', 'Ed25519', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512', 'RS256', 'RS384', 'RS512'] as const;
export type JwtAlgorithm = (typeof jwtAlgorithms)[number];
export const defaultJwtAlgorithms: readonly JwtAlgorithm[] = ['EdDSA', 'Ed25519', 'ES256', 'ES384', 'PS256', 'RS256'];

export type JwtIssuer = {
  /** For the log, the metrics. */
  readonly name: string;
  /** As it stands in `iss`. */
  readonly issuer: string;
  /** One of them must stand in `aud`. */
  readonly audience: readonly string[];
  readonly algorithms: readonly JwtAlgorithm[];
  /** How far the issuer's clock may be from ours. */
  readonly clockSkewMs: number;
  /** Since `iat`; 0: as long as it says itself. */
  readonly maxAgeMs: number;
  readonly kind: 'device' | 'application' | 'user' | undefined;
  /** Where no claim names it. */
  readonly tenant: string;
  /** Tenants that a claim may name; empty: `tenant` alone. */
  readonly tenants: readonly string[];
  /** Roles that each of its peers has. */
  readonly roles: readonly string[];
  /** Roles that its tokens may grant; absent: all but those of management. */
  readonly grantable?: readonly string[] | undefined;
  /** Which claims tell what: a name, or a path as in `realm_access.roles`. */
  readonly claims: {
    readonly id: string;
    readonly tenant?: string | undefined;
    readonly roles?: string | undefined;
    readonly groups?: string | undefined;
    readonly labels?: string | undefined;
  };
  /** `id`: a user name that comes along must be the principal's. */
  readonly username: 'ignored' | 'id';
};

/** Who the claims say it is, or why they cannot be used, as a reason (authenticator.ts). */
export function identityOf(payload: JWTPayload, { claims, tenant, tenants, roles, grantable, kind }: JwtIssuer): Identity | string {
  const id = claim(payload, claims.id);
  if (typeof id !== 'string' || nameFault(id) !== undefined) return 'unusable-id';
  const own = claims.tenant === undefined ? undefined : claim(payload, claims.tenant);
  if (claims.tenant !== undefined && own !== undefined && (typeof own !== 'string' || !isTenantOf(own, tenant, tenants))) {
    return 'wrong-tenant';
  }
  // A token without it must not fall into somebody's tenant.
  if (claims.tenant !== undefined && own === undefined) return 'wrong-tenant';
  const granted = claims.roles === undefined ? [] : claimedRoles(claim(payload, claims.roles), grantable);
  return {
    tenant: (own as string | undefined) ?? tenant,
    id,
    kind,
    roles: [...new Set([...roles, ...granted])],
    ...(claims.groups !== undefined && { groups: claimedNames(claim(payload, claims.groups)) }),
    ...(claims.labels !== undefined && { labels: claimedLabels(claim(payload, claims.labels)) }),
  };
}

function isTenantOf(named: string, tenant: string, tenants: readonly string[]): boolean {
  return nameFault(named) === undefined && (tenants.length === 0 ? named === tenant : tenants.includes(named));
}

/** A claim of this very name, or else what the path leads to: names are often URLs. */
function claim(payload: JWTPayload, path: string): unknown {
  if (Object.hasOwn(payload, path)) return payload[path];
  let found: unknown = payload;
  for (const part of path.split('.')) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, part)) return undefined;
    found = (found as Record<string, unknown>)[part];
  }
  return found;
}
