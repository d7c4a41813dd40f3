// API tokens: `hg.<tenant>.<id>.<secret>`, the tenant in base64url. The registry keeps a hash of the whole; the id finds it.
// Tokens are random, so no slow hash is needed.

import { createHash, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { systemScope } from '../../registry/entries.ts';
import type { LookUps } from '../../registry/registry.ts';
import type { Principal } from '../../security/security.ts';

const secretBytes = 32;
const idBytes = 12;
const shape = /^hg\.([\w-]{1,700})\.([0-9a-f]{24})\.([\w-]{43})$/;

export type NewToken = { readonly id: string; readonly text: string; readonly hash: string };

/** `random` must be the secure source. */
export function newToken(tenant: string, random: Random): NewToken {
  const id = Buffer.from(random.bytes(idBytes)).toString('hex');
  const secret = Buffer.from(random.bytes(secretBytes)).toString('base64url');
  const text = `hg.${Buffer.from(tenant).toString('base64url')}.${id}.${secret}`;
  return { id, text, hash: hashOf(text) };
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Whose token this is, if it holds: neither expired nor its owner or tenant disabled. */
export async function tokenOwner(
  text: string,
  { registry, clock }: { readonly registry: LookUps; readonly clock: Clock },
): Promise<Principal | undefined | 'unavailable'> {
  const [, encoded, id] = shape.exec(text) ?? [];
  if (encoded === undefined || id === undefined) return undefined;
  const tenant = Buffer.from(encoded, 'base64url').toString('utf8');
  const credential = await registry.get('credential', tenant, id);
  if (!credential.ok) return credential.error.code === 'invalid' ? undefined : 'unavailable';
  const { value } = credential;
  if (value === undefined || value.type !== 'token') return undefined;
  const [given, kept] = [Buffer.from(hashOf(text)), Buffer.from(value.secret)];
  if (given.length !== kept.length || !timingSafeEqual(given, kept)) return undefined;
  if (value.expiresAtMs !== undefined && value.expiresAtMs <= clock.wallMs()) return undefined;
  const [owner, home] = [await registry.get(value.owner.kind, tenant, value.owner.id), await registry.get('tenant', systemScope, tenant)];
  if (!owner.ok || !home.ok) return 'unavailable';
  if (owner.value?.status !== 'active' || home.value?.status !== 'active') return undefined;
  const { roles, groups, labels } = owner.value;
  return { tenant, id: value.owner.id, kind: value.owner.kind, roles, groups, labels };
}
