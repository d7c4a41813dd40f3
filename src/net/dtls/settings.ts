// Settings with every default in its place.

import type { DtlsSettings } from './endpoint.ts';
import { defaultDtlsLimits, type DtlsLimits } from './limits.ts';
import { groupNames, groups, suites, type GroupName, type Suite } from './suites.ts';

export type ResolvedSettings = {
  readonly suites: readonly Suite[];
  readonly groups: readonly { readonly name: GroupName; readonly code: number }[];
  readonly credentials: DtlsSettings['credentials'];
  readonly clientCertificate: DtlsSettings['clientCertificate'];
  readonly clientAuthorities: readonly Uint8Array[];
  readonly rawPublicKeys: boolean;
  readonly psk: DtlsSettings['psk'];
  readonly requireExtendedMasterSecret: boolean;
  readonly connectionIds: boolean;
  readonly resumption: boolean;
  readonly limits: DtlsLimits;
};

export function resolved(settings: DtlsSettings): ResolvedSettings {
  const wanted = settings.suites;
  return {
    suites: wanted === undefined ? suites : wanted.map((name) => suites.find((suite) => suite.name === name)!),
    groups: (settings.groups ?? groupNames).map((name) => ({ name, code: groups[name] })),
    credentials: settings.credentials,
    clientCertificate: settings.clientCertificate,
    clientAuthorities: settings.clientAuthorities ?? [],
    rawPublicKeys: settings.rawPublicKeys ?? false,
    psk: settings.psk,
    requireExtendedMasterSecret: settings.requireExtendedMasterSecret ?? true,
    connectionIds: settings.connectionIds ?? true,
    resumption: settings.resumption ?? true,
    limits: { ...defaultDtlsLimits, ...settings.limits },
  };
}
