// What the management API is given: by a node, which has all of it, or by a command that found no node and opens the registry itself.

import type { ApiServices, AuditReader } from '../admin/api/services.ts';
import { imbalanceOf, type Status } from '../admin/status.ts';
import type { Clock } from '../base/clock.ts';
import { silentLog, type Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { Config } from '../config.ts';
import { systemScope, type Owner } from '../registry/entries.ts';
import { maxPage, type Registry } from '../registry/registry.ts';
import { auditEntries, auditHead, auditPage, lastAuditEntries } from '../security/audit/audit-query.ts';
import type { Audit } from '../security/audit/audit.ts';
import { verifyAudit } from '../security/audit/verify-audit.ts';
import { maxPskBytes, minPskBytes, pskCredential } from '../security/authentication/psk.ts';
import { passwordCredentials, passwordFault } from '../security/authentication/password-credentials.ts';
import { EnrolmentTokens } from '../security/pki/enrolment/enrolment-tokens.ts';
import type { Sealer } from '../security/pki/sealing.ts';
import { mayEver, mightAllow } from '../security/policy/management-rights.ts';
import { policyFaults } from '../security/policy/policy-document.ts';
import { deviceKeysOf } from './device-keys.ts';
import { explainAccess, explainOffline } from './explain-access.ts';
import { auditPath } from './paths.ts';
import type { Rooms } from './rooms.ts';
import { openSealerOf } from './sealer-of.ts';
import { shownConfig } from './shown-config.ts';

type Own = {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly registry: Registry;
  readonly audit: Audit;
  readonly config: () => Config;
  readonly sealer: () => Promise<Sealer>;
};

export function apiServicesOf(rooms: Rooms, config: () => Config, status: () => Status): ApiServices {
  const { clock, random, log, registry, audit } = rooms;
  return {
    ...everywhere({ clock, random, log, registry, audit, config, sealer: async () => rooms.sealer }),
    status: () => {
      const found = status();
      return { ...found, ledger: { ...found.ledger, imbalance: imbalanceOf(found.ledger) } };
    },
    auditReader: auditReader(audit.directory, registry, () => audit.flushed()),
    policiesReady: (tenant) => rooms.authorization.ready(tenant),
    allows: (principal, permission) => mayEver(rooms.authorization.explain(principal, 'manage', permission)),
    broker: () => rooms.broker.management,
    pki: () => rooms.pki,
    ca: () => rooms.ca,
    explain: () => explainAccess({ authorization: rooms.authorization, lookUps: rooms.lookUps, clock, config }),
  };
}

/** For a command: what only a running node can tell is not there. */
export function offlineApiServices(own: Omit<Own, 'log' | 'sealer'>): ApiServices {
  const reader = auditReader(auditPath(own.config().node.dataDir), own.registry, () => Promise.resolve());
  const sealer = (): Promise<Sealer> => openSealerOf(own.config(), { random: own.random, log: silentLog });
  return { ...everywhere({ ...own, log: silentLog, sealer }), auditReader: reader, explain: () => explainOffline(own) };
}

function everywhere({ config, sealer, ...own }: Own): ApiServices {
  const tokens = new EnrolmentTokens(own);
  return {
    ...own,
    enrolments: () => tokens,
    settings: () => config().admin,
    policyFaults,
    mightAllow,
    pskSecret: (key, tenant, owner) => pskSecret(sealer, key, tenant, owner),
    deviceKeys: deviceKeysOf(sealer, own.random),
    passwordCredentials: (password) => credentialsOf(password, own.random),
    config: () => shownConfig(config()),
  };
}

async function pskSecret(sealer: Own['sealer'], key: Uint8Array, tenant: string, owner: Owner): Promise<string | undefined> {
  if (key.length < minPskBytes || key.length > maxPskBytes) return undefined;
  return pskCredential(key, await sealer(), tenant, owner);
}

function auditReader(directory: string, registry: Registry, flushed: () => Promise<void>): AuditReader {
  return {
    page: (query, limit) => auditPage(directory, query, limit),
    last: (query, count) => lastAuditEntries(directory, query, count),
    entries: (query) => auditEntries(directory, query),
    head: () => auditHead(directory),
    async verify(expected) {
      await flushed();
      // A running node goes on writing: what it adds meanwhile is verified next time.
      const { seq: throughSeq } = await auditHead(directory);
      return verifyAudit(directory, { roots: await ownRoots(registry), expected, throughSeq });
    },
  };
}

/** PEM of every root that this installation has had: a log may be older than the present one. */
async function ownRoots(registry: Registry): Promise<string[]> {
  const found = await registry.list('authority', systemScope, { limit: maxPage });
  return found.ok ? found.value.entries.filter(({ role }) => role === 'root').map(({ certificate }) => certificate) : [];
}

async function credentialsOf(password: string, random: Random): ReturnType<ApiServices['passwordCredentials']> {
  const fault = passwordFault(password);
  return fault === undefined ? { credentials: await passwordCredentials(password, random) } : { fault: `the password ${fault}` };
}
