// What the management API works on. Each is handed in by the composition root, or by the command line when no node runs; what is
// undefined cannot be asked here.

import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { BrokerManagement } from '../../broker/management.ts';
import type { Entry, NewFields, Owner, OwnerKind } from '../../registry/entries.ts';
import type { Registry } from '../../registry/registry.ts';
import type { Audit, AuditHead, AuditQuery } from '../../security/audit/audit.ts';
import type { Enrolments } from '../../security/pki/enrolment/enrolment.ts';
import type { CaManagement } from '../../security/pki/ca-management.ts';
import type { Pki } from '../../security/pki/pki.ts';
import type { Permission } from './permission.ts';
import type { Access, Action, MessageFacts, Principal } from '../../security/security.ts';

export type ApiSettings = {
  /** Requests a second of one principal, and of one address; a burst may be twice as many. */
  readonly requestsPerSecond: number;
  /** CA and policy changes want a second person. */
  readonly separationOfDuties: boolean;
  readonly approvalExpiryMs: number;
};

export type PolicyFault = {
  /** `statements[2].topics[0]`; empty: the document as a whole. */
  readonly path: string;
  /** As the end of "<path> …". */
  readonly what: string;
  readonly fix: string;
};

/** The audit log, to be read. */
export type AuditReader = {
  readonly page: (query: AuditQuery, limit: number) => Promise<{ readonly entries: readonly object[]; readonly next: number | undefined }>;
  /** The newest, oldest of them first. */
  readonly last: (query: AuditQuery, count: number) => Promise<readonly object[]>;
  readonly entries: (query: AuditQuery) => AsyncIterable<object>;
  /** What was found when every line was read again. */
  readonly verify: (expected: AuditHead | undefined) => Promise<object>;
  readonly head: () => Promise<AuditHead>;
};

/** A principal in a question of access. */
export type AccessQuestion = {
  readonly tenant: string;
  readonly id: string;
  readonly kind: OwnerKind;
  /** In place of what the registry has of it. */
  readonly supposed?: {
    readonly roles?: readonly string[];
    readonly groups?: readonly string[];
    readonly labels?: Readonly<Record<string, string>>;
  };
  /** How it is connected; absent: that is not told. */
  readonly access?: Partial<Pick<Access, 'listener' | 'remoteAddress' | 'secure' | 'method'>>;
};

/** What is given of a new OSCORE context; ids and secrets in hex, algorithms by their names. */
export type OscoreGiven = {
  readonly senderId?: string;
  readonly recipientId?: string;
  readonly idContext?: string;
  readonly algorithm?: string;
  readonly hkdf?: string;
  readonly windowSize?: number;
  readonly rederivation?: boolean;
  readonly masterSecret?: string;
  readonly masterSalt?: string;
};

type KeyFields = Pick<NewFields<'credential'>, 'type' | 'secret' | 'handle'>;

/** How keys of devices are kept, and what may be told of them. */
export type DeviceKeys = {
  /** PEM, or DER in base64; undefined: it is none that is taken here. */
  rawPublicKey(given: string): KeyFields | undefined;
  rawPublicKeyFacts(entry: Entry<'credential'>): { readonly algorithm: string; readonly sha256: string; readonly publicKey: string };
  /** `shown`: secrets that were chosen here. */
  oscore(
    given: OscoreGiven,
    tenant: string,
    owner: Owner,
  ): Promise<
    | { readonly fields: KeyFields; readonly shown?: { readonly masterSecret: string; readonly masterSalt: string } }
    | { readonly fault: { readonly field: string; readonly what: string } }
  >;
  oscoreFacts(entry: Entry<'credential'>): object | undefined;
};

export type ApiServices = {
  readonly clock: Clock;
  /** The secure source. */
  readonly random: Random;
  readonly log: Log;
  /** Asked at each request: a reload may change them. */
  readonly settings: () => ApiSettings;
  readonly registry: Registry;
  readonly audit: Audit;
  readonly auditReader?: AuditReader;
  /** What is kept of a password: one credential for each way to sign in with it. `fault`: why it cannot be one. */
  readonly passwordCredentials: (
    password: string,
  ) => Promise<{ readonly credentials: readonly Omit<NewFields<'credential'>, 'owner'>[] } | { readonly fault: string }>;
  /** What is kept of a pre-shared key; undefined: it is too short or too long. */
  readonly pskSecret: (key: Uint8Array, tenant: string, owner: Owner) => Promise<string | undefined>;
  readonly deviceKeys: DeviceKeys;
  /** What is wrong with a policy's document; empty: nothing. */
  readonly policyFaults?: (document: string) => readonly PolicyFault[];
  /** Why a principal may do something or not: an object as policies.ts describes it; undefined when it cannot be found out now. */
  readonly explain?: () =>
    | ((question: AccessQuestion, action: Action, topic: string, facts: MessageFacts | undefined) => Promise<object | undefined>)
    | undefined;
  /**
   * Whether the principal may manage this in some circumstance: from some network, at some time, whatever denies it besides. Absent
   * where no policies are in force.
   */
  readonly allows?: (principal: Principal, permission: Permission) => boolean;
  /** Must be true before `allows` is asked about somebody of a tenant; false: its policies cannot be read now. */
  readonly policiesReady?: (tenant: string) => Promise<boolean> | boolean;
  /** Whether a policy allows to manage this to somebody it may bind. */
  readonly mightAllow?: (document: string, permission: Permission) => boolean;
  readonly pki?: () => Pki | undefined;
  readonly ca?: () => CaManagement | undefined;
  readonly enrolments?: () => Enrolments | undefined;
  readonly broker?: () => BrokerManagement | undefined;
  readonly status?: () => object & { readonly listeners: readonly object[] };
  /** The configuration in force, without a secret. */
  readonly config: () => object;
};
