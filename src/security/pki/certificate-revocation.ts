// Takes certificates back. The registry is where everybody finds it: handshakes, live sessions, lists and OCSP.

import type { Clock } from '../../base/clock.ts';
import type { Entry, Owner, RevocationReason } from '../../registry/entries.ts';
import { maxPage, type Registry, type Write } from '../../registry/registry.ts';
import { caFault, registryFault } from './ca-fault.ts';
import type { CaResult } from './ca-management.ts';

type Services = { readonly registry: Registry; readonly clock: Clock };
type Revoked = CaResult<{ readonly revoked: number }>;

/** Nobody needs to say why; the device has lost what it was allowed (RFC 5280 §5.3.1). */
const usualReason: RevocationReason = 'privilegeWithdrawn';

export async function revokeOne(
  { fingerprint, reason }: { readonly fingerprint: string; readonly reason?: RevocationReason },
  { registry, clock }: Services,
): Promise<Revoked> {
  if (!/^[0-9a-f]{64}$/.test(fingerprint)) {
    return caFault('invalid', 'A fingerprint is the SHA-256 of the certificate: 64 hex digits in lower case.', 'fingerprint');
  }
  const found = await registry.certificate(fingerprint);
  if (!found.ok) return registryFault(found.error);
  if (found.value === undefined) return caFault('not-found', 'There is no certificate with this fingerprint.');
  const write = revocation(found.value, reason, clock);
  if (write === undefined) return { ok: true, value: { revoked: 0 } };
  const done = await registry.apply([write], { atomic: true });
  return done.ok ? { ok: true, value: { revoked: 1 } } : registryFault(done.error);
}

/** All that are valid, page by page: each page is revoked as a whole. */
export async function revokeAll(
  { tenant, owner, reason }: { readonly tenant: string; readonly owner: Owner; readonly reason?: RevocationReason },
  { registry, clock }: Services,
): Promise<Revoked> {
  const known = await registry.get(owner.kind, tenant, owner.id);
  if (!known.ok) return registryFault(known.error);
  if (known.value === undefined) return caFault('not-found', `There is no ${owner.kind} ${tenant}/${owner.id}.`);
  let revoked = 0;
  let after: string | undefined;
  do {
    const page = await registry.list('certificate', tenant, { owner, status: 'valid', limit: maxPage, after });
    if (!page.ok) return registryFault(page.error);
    const writes = page.value.entries.flatMap((entry) => revocation(entry, reason, clock) ?? []);
    if (writes.length > 0) {
      const done = await registry.apply(writes, { atomic: true });
      if (!done.ok) return registryFault(done.error);
    }
    revoked += writes.length;
    after = page.value.next;
  } while (after !== undefined);
  return { ok: true, value: { revoked } };
}

/** Undefined: it is revoked, and stays as it was. A hold becomes final when another reason is given. */
function revocation(entry: Entry<'certificate'>, reason: RevocationReason = usualReason, clock: Clock): Write<'certificate'> | undefined {
  const isOnHold = entry.status === 'revoked' && entry.reason === 'certificateHold' && reason !== 'certificateHold';
  if (entry.status === 'revoked' && !isOnHold) return undefined;
  const { tenant, id } = entry;
  const revokedAtMs = entry.revokedAtMs ?? clock.wallMs();
  return { do: 'update', kind: 'certificate', tenant, id, fields: { status: 'revoked', revokedAtMs, reason } };
}
