// What the management API works on. Each is handed in by the composition root, or by the command line when no node runs; what is
// undefined cannot be asked here.

import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { BrokerManagement } from '../../broker/management.ts';
import type { NewFields } from '../../registry/entries.ts';
import type { Registry } from '../../registry/registry.ts';
import type { Audit } from '../../security/audit/audit.ts';
import type { Pki } from '../../security/pki/pki.ts';

export type ApiSettings = {
  /** Requests a second of one principal, and of one address; a burst may be twice as many. */
  readonly requestsPerSecond: number;
  /** CA and policy changes want a second person. */
  readonly separationOfDuties: boolean;
  readonly approvalExpiryMs: number;
};

export type PolicyFault = { readonly path: string; readonly message: string };

export type ApiServices = {
  readonly clock: Clock;
  /** The secure source. */
  readonly random: Random;
  readonly log: Log;
  /** Asked at each request: a reload may change them. */
  readonly settings: () => ApiSettings;
  readonly registry: Registry;
  readonly audit: Audit;
  /** What is kept of a password: one credential for each way to sign in with it. `fault`: why it cannot be one. */
  readonly passwordCredentials: (
    password: string,
  ) => Promise<{ readonly credentials: readonly Omit<NewFields<'credential'>, 'owner'>[] } | { readonly fault: string }>;
  /** What is wrong with a policy's document; empty: nothing. */
  readonly policyFaults?: (document: string) => readonly PolicyFault[];
  readonly pki?: () => Pki | undefined;
  readonly broker?: () => BrokerManagement | undefined;
  readonly status?: () => object;
  /** The configuration in force, without a secret. */
  readonly config: () => object;
};
