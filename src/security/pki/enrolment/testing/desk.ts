// A desk on a registry of its own, an authority that fails when told, a clock that stands still, and an audit log to read.

import type { TestContext } from 'node:test';
import { secureRandom } from '../../../../base/secure-random.ts';
import type { AuditEvent } from '../../../audit/audit.ts';
import { openedRegistry } from '../../testing/opened-registry.ts';
import { EnrolmentDesk } from '../enrolment-desk.ts';
import type { DeskLimits } from '../enrolment-desk.ts';
import { EnrolmentTokens } from '../enrolment-tokens.ts';
import type { Asker, EnrolmentResult, NewEnrolment } from '../enrolment.ts';
import { IssuingPki } from './issuing-pki.ts';

export const operator: Asker = { actor: { kind: 'principal', tenant: 'main', id: 'ann' }, from: '10.0.0.1' };

export const deskLimits: DeskLimits = {
  maxInFlight: 8,
  maxRequestBytes: 16_384,
  certificatesPerHour: 20,
  lockout: { failures: 10, forgiveMs: 30_000, banMs: 30_000, maxBanMs: 900_000, entries: 1000 },
};

export async function openedDesk(t: TestContext, limits: Partial<DeskLimits> = {}) {
  const { registry, clock } = await openedRegistry(t);
  const pki = new IssuingPki(registry, () => clock.wallMs());
  const events: AuditEvent[] = [];
  const audit = { record: (event: AuditEvent) => void events.push(event) };
  const tokens = new EnrolmentTokens({ registry, clock, random: secureRandom, audit });
  const desk = new EnrolmentDesk({ tokens, clock, audit, pki }, { ...deskLimits, ...limits });
  const token = async (enrolment: Partial<NewEnrolment> = {}): Promise<string> =>
    value(
      await tokens.create(
        { tenant: 'main', devicePattern: 'pump-*', newDevices: { groups: [], roles: ['device'] }, ...enrolment },
        operator,
      ),
    ).token;
  return { registry, clock, pki, events, audit, desk, tokens, token };
}

export function value<T>(result: EnrolmentResult<T>): T {
  if (!result.ok) throw new Error(`${result.error.code}: ${result.error.message}`);
  return result.value;
}

/** Its code, or `done`. */
export function codeOf(result: EnrolmentResult<unknown>): string {
  return result.ok ? 'done' : result.error.code;
}
