// Counts one use of an enrolment token as whoever issues for it must: with the version that was read, again after a conflict. Then it is
// never used more often than it may be, whoever else uses it at the same time.

import type { Entry } from '../../../src/registry/entries.ts';
import { refusal, type Registry, type Result } from '../../../src/registry/registry.ts';

/** Each try fails only because another use was counted meanwhile. */
const maxTries = 100;

/**
 * The enrolment with the use counted, durably. Call it before anything is given for the token. 'not-found': no such token;
 * 'limit': used up, expired or disabled.
 */
export async function countUse(
  registry: Pick<Registry, 'enrolmentByTokenHash' | 'update'>,
  tokenHash: string,
  nowMs: number,
): Promise<Result<Entry<'enrolment'>>> {
  for (let tries = 0; tries < maxTries; tries++) {
    const found = await registry.enrolmentByTokenHash(tokenHash);
    if (!found.ok) return found;
    const enrolment = found.value;
    if (enrolment === undefined) return refusal('not-found', 'there is no enrolment with this token');
    const { tenant, id, uses, maxUses, expiresAtMs, status, version } = enrolment;
    if (status !== 'active') return refusal('limit', `the enrolment ${tenant}/${id} is disabled`, { field: 'status' });
    if (expiresAtMs <= nowMs) return refusal('limit', `the enrolment ${tenant}/${id} has expired`, { field: 'expiresAtMs' });
    if (uses >= maxUses) return refusal('limit', `the enrolment ${tenant}/${id} is used up`, { field: 'uses' });
    const counted = await registry.update('enrolment', tenant, id, { uses: uses + 1 }, version);
    if (counted.ok || counted.error.code !== 'conflict') return counted;
  }
  return refusal('unavailable', 'too many use this enrolment at the same time');
}
