// What the registry keeps: the kinds of entry and their fields. Plain data only: what is here can be stored, sent to a thread,
// exported and compared.
//
// A new kind is a line in each of the tables here, its checks (entry-checks.ts), its columns (sql/tables.ts) and a migration.

export type Status = 'active' | 'disabled';

/** Who a credential or a certificate belongs to. */
export type OwnerKind = 'device' | 'application' | 'user';
export type Owner = { readonly kind: OwnerKind; readonly id: string };

/** What devices, applications and users have in common: each becomes a principal when it connects. */
type PrincipalFields = {
  readonly status: Status;
  /** Facts to search and to write policies by: site=berlin. Sorted by key. */
  readonly labels: Readonly<Record<string, string>>;
  /** Sorted, without duplicates. */
  readonly groups: readonly string[];
  /** Names of roles; one that does not exist grants nothing. Sorted, without duplicates. */
  readonly roles: readonly string[];
};

/**
 * password: an argon2id hash. scram-sha-256: salt, iterations, stored key and server key. token: a hash of a random token.
 * psk: a pre-shared key, sealed by whoever writes it, because TLS needs the key itself. raw-public-key: nothing secret, the key's
 * SubjectPublicKeyInfo. oscore: a security context, its master secret sealed.
 */
export type CredentialType = 'password' | 'scram-sha-256' | 'token' | 'psk' | 'raw-public-key' | 'oscore';

/** CRLReason without the numbers (RFC 5280 §5.3.1). */
export const revocationReasons = [
  'unspecified',
  'keyCompromise',
  'cACompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'certificateHold',
  'privilegeWithdrawn',
  'aACompromise',
] as const;
export type RevocationReason = (typeof revocationReasons)[number];

/**
 * Most of something that a tenant as a whole, or one principal, may use; absent: no bound but the node's own. Rates are means
 * over a second.
 */
export type Quotas = {
  readonly connections?: number;
  readonly messagesPerSecond?: number;
  readonly bytesPerSecond?: number;
  /** Messages, and bytes, that wait in all its queues together. */
  readonly queueMessages?: number;
  readonly queueBytes?: number;
  readonly subscriptions?: number;
  readonly retainedMessages?: number;
  readonly retainedBytes?: number;
};

export const quotaNames: readonly (keyof Quotas)[] = [
  'connections',
  'messagesPerSecond',
  'bytesPerSecond',
  'queueMessages',
  'queueBytes',
  'subscriptions',
  'retainedMessages',
  'retainedBytes',
];

/** How a certificate authority is used. root: signs authorities only. issuing: signs peers. foreign: somebody else's, trusted here. */
export type AuthorityRole = 'root' | 'issuing' | 'foreign';

/**
 * pending: not trusted yet (a foreign one whose possession is not proved, one that is made ready). active: trusted, and issues.
 * retiring: trusted, issues no more. retired: its certificates mean nothing.
 */
export type AuthorityStatus = 'pending' | 'active' | 'retiring' | 'retired';

/** The fields of each kind. */
export type Fields = {
  /** Stands in `systemScope`; its id is the tenant of the others. */
  tenant: {
    readonly status: Status;
    readonly title: string;
    /** Of the tenant as a whole. */
    readonly quotas: Quotas;
    /** Of each of its principals, unless a role of theirs says otherwise. */
    readonly principalQuotas: Quotas;
  };
  device: PrincipalFields;
  application: PrincipalFields;
  user: PrincipalFields & { readonly title: string };
  /** `policies`: names of policies of the same tenant, which must exist. Sorted, without duplicates. */
  role: {
    readonly title: string;
    readonly policies: readonly string[];
    /** In place of the tenant's `principalQuotas`, quota by quota; of several roles the largest counts. */
    readonly quotas: Quotas;
  };
  /** The id is the policy's name; `document` is JSON text of an object, kept as it was written. */
  policy: { readonly document: string };
  credential: {
    readonly owner: Owner;
    readonly type: CredentialType;
    /** Never a secret in plain text. */
    readonly secret: string;
    readonly expiresAtMs: number | undefined;
    /** What a peer shows before it is known who it is, in parts between slashes. Unique over all tenants; undefined: nothing. */
    readonly handle: string | undefined;
  };
  /** The id is the SHA-256 of the DER, lower-case hex: unique over all tenants, and so are issuer and serial together. */
  certificate: {
    /** Undefined: an authority's or a server's. */
    readonly owner: Owner | undefined;
    /** Lower-case hex without leading zeros. */
    readonly serial: string;
    /** Names the authority, not one of its certificates: the SHA-256 of its public key, lower-case hex. */
    readonly issuer: string;
    /** In words, for people. */
    readonly subject: string;
    readonly notBeforeMs: number;
    readonly notAfterMs: number;
    readonly status: 'valid' | 'revoked';
    /** Both are set when it is revoked. */
    readonly revokedAtMs: number | undefined;
    readonly reason: RevocationReason | undefined;
  };
  /**
   * The id is the SHA-256 of its public key, lower-case hex: unique over all tenants. Own ones stand in `systemScope`, foreign
   * ones in their tenant.
   */
  authority: {
    readonly role: AuthorityRole;
    readonly status: AuthorityStatus;
    /** PEM. */
    readonly certificate: string;
    /** In words, for people. */
    readonly subject: string;
    /** Id of the authority that signed it, which must be known; undefined: itself, or one that is not known here. */
    readonly issuer: string | undefined;
    readonly notBeforeMs: number;
    readonly notAfterMs: number;
    /** Of a foreign one: devices that it has certified and that nobody has added are added when they first connect. */
    readonly registration: 'none' | 'just-in-time';
    /** Given to devices added just in time. */
    readonly groups: readonly string[];
    readonly roles: readonly string[];
    /** Of a foreign one: where its revocations are found, besides what its certificates say. */
    readonly crlUrls: readonly string[];
    readonly ocspUrls: readonly string[];
    /** What holds when it cannot be found out: soft lets in, hard keeps out, none does not ask. */
    readonly revocationCheck: 'none' | 'soft' | 'hard';
  };
  /** A token by which devices that have nothing else are given their first certificate. */
  enrolment: {
    readonly status: Status;
    /** SHA-256 of the token, lower-case hex: tokens are random, so no slow hash is needed. Unique over all tenants. */
    readonly tokenHash: string;
    /** How often it may be used, and was; `uses` falls by one at most, when a use came to nothing. */
    readonly maxUses: number;
    readonly uses: number;
    readonly expiresAtMs: number;
    /** Ids of the devices it is good for: `*` stands for any characters. */
    readonly devicePattern: string;
    /** Given to devices that are not there yet; undefined: only devices that are there can use it. */
    readonly newDevices: { readonly groups: readonly string[]; readonly roles: readonly string[] } | undefined;
  };
  /** A change that somebody else must agree to (separation of duties). Stands in `systemScope`. */
  approval: {
    readonly status: 'pending' | 'approved' | 'refused';
    /** Principals: `tenant/id`. */
    readonly requestedBy: string;
    /** Set when it is decided, which is final; who asked cannot approve. */
    readonly decidedBy: string | undefined;
    /** In words, for people. */
    readonly summary: string;
    /** JSON text of the request as it will be carried out; never holds a secret. */
    readonly request: string;
    readonly expiresAtMs: number;
  };
};

export type Kind = keyof Fields;

/** What every entry has. */
export type Head = {
  readonly tenant: string;
  readonly id: string;
  /** The revision of the registry in which it was last written: rises with each write, and never comes again. */
  readonly version: number;
  readonly createdMs: number;
  readonly updatedMs: number;
};

export type Entry<K extends Kind> = Head & Fields[K];

/** The fields without which an entry cannot be created; the others have defaults. */
type NeededFields = {
  tenant: never;
  device: never;
  application: never;
  user: never;
  role: never;
  policy: 'document';
  credential: 'owner' | 'type' | 'secret';
  certificate: 'serial' | 'issuer' | 'subject' | 'notBeforeMs' | 'notAfterMs';
  authority: 'role' | 'certificate' | 'subject' | 'notBeforeMs' | 'notAfterMs';
  enrolment: 'tokenHash' | 'expiresAtMs' | 'devicePattern';
  approval: 'requestedBy' | 'summary' | 'request' | 'expiresAtMs';
};

export type NewFields<K extends Kind> = Partial<Fields[K]> & Pick<Fields[K], NeededFields[K] & keyof Fields[K]>;

/** Stands in the tenant's place of what belongs to no tenant. No tenant can have this name. */
export const systemScope = '$system';

/** In which order a copy must be written, so that what is referred to comes first. */
export const kinds: readonly Kind[] = [
  'tenant',
  'policy',
  'role',
  'device',
  'application',
  'user',
  'credential',
  'authority',
  'certificate',
  'enrolment',
  'approval',
];

export const ownerKinds: readonly OwnerKind[] = ['device', 'application', 'user'];

export function isOwnerKind(kind: string): kind is OwnerKind {
  return (ownerKinds as readonly string[]).includes(kind);
}
