// The dry run of a retirement: whose certificates would mean nothing, and who of them has no other one to go on with. It walks over
// the certificates that are in force, a page at a time, and keeps counts alone.

import type { Clock } from '../../base/clock.ts';
import { type Entry } from '../../registry/entries.ts';
import { maxPage, type Registry } from '../../registry/registry.ts';
import type { AuthorityList } from './authority-list.ts';
import { caFault, registryFault } from './ca-fault.ts';
import type { CaResult, CutOff, Impact } from './ca-management.ts';

type Services = { readonly registry: Registry; readonly list: AuthorityList; readonly clock: Clock };

const defaultPage = 100;
/** Certificates of one owner that are looked at for another one that is good. */
const ownCertificates = 100;
const latestMs = 8.64e15;

type Counts = { certificates: number; cutOff: number };

export async function impactOf(
  id: string,
  { limit = defaultPage, after }: { readonly limit?: number; readonly after?: string },
  services: Services,
): Promise<CaResult<Impact>> {
  const { registry, list, clock } = services;
  const skip = after === undefined ? 0 : Number(after);
  if (!Number.isSafeInteger(skip) || skip < 0) return caFault('invalid', 'This is not where a page has ended.', 'after');
  const most = Math.min(Math.max(1, limit), maxPage);
  const below = list.all.filter(({ entry }) => list.above(entry.id).some((one) => one.entry.id === id)).map(({ entry }) => entry.id);
  // Who was cut off by an earlier retirement is not cut off again.
  const ends = new Set([id, ...below].filter((one) => list.get(one)?.entry.status !== 'retired'));
  const tenants = new Map<string, Counts>();
  const entries: CutOff[] = [];
  const total: Counts = { certificates: 0, cutOff: 0 };
  const now = clock.wallMs();
  let safeAtMs: number | undefined;
  let next: string | undefined;
  do {
    const page = await registry.expiring(now, latestMs, { limit: maxPage, after: next });
    if (!page.ok) return registryFault(page.error);
    for (const entry of page.value.entries) {
      if (!ends.has(entry.issuer) || entry.owner === undefined) continue;
      const counts = tenants.get(entry.tenant) ?? { certificates: 0, cutOff: 0 };
      tenants.set(entry.tenant, counts);
      counts.certificates++;
      total.certificates++;
      const goesOn = await hasAnother(entry, ends, services, now);
      if (!goesOn.ok) return goesOn;
      if (goesOn.value) continue;
      counts.cutOff++;
      safeAtMs = Math.max(safeAtMs ?? 0, entry.notAfterMs);
      if (total.cutOff >= skip && entries.length < most) {
        entries.push({ tenant: entry.tenant, owner: entry.owner, fingerprint: entry.id, notAfterMs: entry.notAfterMs });
      }
      total.cutOff++;
    }
    next = page.value.next;
  } while (next !== undefined);
  return {
    ok: true,
    value: {
      authorities: [...ends],
      ...total,
      tenants: [...tenants].sort(([a], [b]) => (a < b ? -1 : 1)).map(([tenant, counts]) => ({ tenant, ...counts })),
      entries,
      next: skip + entries.length < total.cutOff ? String(skip + entries.length) : undefined,
      safeAtMs,
    },
  };
}

/** Its owner has a certificate in force of a trusted authority that does not end with these. */
async function hasAnother(
  { tenant, owner }: Entry<'certificate'>,
  ends: ReadonlySet<string>,
  { registry, list }: Services,
  now: number,
): Promise<CaResult<boolean>> {
  const found = await registry.list('certificate', tenant, { owner, status: 'valid', limit: ownCertificates });
  if (!found.ok) return registryFault(found.error);
  const isGood = found.value.entries.some((one) => !ends.has(one.issuer) && one.notAfterMs > now && list.isTrusted(one.issuer));
  return { ok: true, value: isGood };
}
