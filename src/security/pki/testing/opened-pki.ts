// The built-in authority for one test: on a registry of its own, in a directory of its own, with devices to issue to.

import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { ManualClock } from '../../../base/clock.ts';
import { silentLog, type Log } from '../../../base/log.ts';
import { secureRandom } from '../../../base/secure-random.ts';
import type { Registry } from '../../../registry/registry.ts';
import type { AuditEvent } from '../../audit/audit.ts';
import { AuthorityManager } from '../authority-manager.ts';
import { openPki, type BuiltInPki, type PkiSettings } from '../built-in-pki.ts';
import { openSealer } from '../sealing.ts';
import { must, openedRegistry } from './opened-registry.ts';

const profile = { validityDays: 30, maxValidityDays: 825, allowRsa: true };

export const pkiSettings: PkiSettings = {
  algorithm: 'ecdsa-p256',
  rootValidityDays: 7300,
  issuingValidityDays: 1825,
  publicUrl: undefined,
  maxRequestBytes: 16_384,
  profiles: { device: profile, application: profile, user: profile },
};

export type PkiBench = {
  readonly clock: ManualClock;
  readonly registry: Registry;
  /** `<data>/pki`. */
  readonly directory: string;
  readonly audit: AuditEvent[];
  /** As a new process would; what was opened before is closed. */
  readonly open: (more?: Partial<PkiSettings>, passphrase?: string) => Promise<{ readonly pki: BuiltInPki; readonly ca: AuthorityManager }>;
  readonly device: (id: string, tenant?: string) => Promise<void>;
};

export async function pkiBench(t: TestContext, log: Log = silentLog): Promise<PkiBench> {
  const { registry, clock, directory: parent } = await openedRegistry(t);
  const directory = join(parent, 'pki');
  const events: AuditEvent[] = [];
  let last: BuiltInPki | undefined;
  t.after(() => last?.close());
  return {
    clock,
    registry,
    directory,
    audit: events,
    open: async (more = {}, passphrase) => {
      await last?.close();
      const sealer = await openSealer({ directory, passphrase }, { random: secureRandom, log });
      const audit = { record: (event: AuditEvent) => void events.push(event) };
      const services = { clock, random: secureRandom, log, registry, audit, directory, sealer };
      last = await openPki({ ...services, settings: () => ({ ...pkiSettings, ...more }) });
      return { pki: last, ca: new AuthorityManager(last) };
    },
    device: async (id, tenant = 'main') => {
      must(await registry.create('device', tenant, id, {}));
    },
  };
}

export const byTest = { actor: { kind: 'local' }, from: '' } as const;
