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
 * psk: a pre-shared key, sealed by whoever writes it, because TLS needs the key itself.
 */
export type CredentialType = 'password' | 'scram-sha-256' | 'token' | 'psk';

/** CRLReason without the numbers (RFC 5280 §5.3.1). */
export type RevocationReason =
  | 'unspecified'
  | 'keyCompromise'
  | 'cACompromise'
  | 'affiliationChanged'
  | 'superseded'
  | 'cessationOfOperation'
  | 'certificateHold'
  | 'privilegeWithdrawn'
  | 'aACompromise';

/** The fields of each kind. */
export type Fields = {
  /** Stands in `systemScope`; its id is the tenant of the others. */
  tenant: { readonly status: Status; readonly title: string };
  device: PrincipalFields;
  application: PrincipalFields;
  user: PrincipalFields & { readonly title: string };
  /** `policies`: names of policies of the same tenant, which must exist. Sorted, without duplicates. */
  role: { readonly title: string; readonly policies: readonly string[] };
  /** The id is the policy's name; `document` is JSON text of an object, kept as it was written. */
  policy: { readonly document: string };
  credential: {
    readonly owner: Owner;
    readonly type: CredentialType;
    /** Never a secret in plain text. */
    readonly secret: string;
    readonly expiresAtMs: number | undefined;
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
};

export type NewFields<K extends Kind> = Partial<Fields[K]> & Pick<Fields[K], NeededFields[K] & keyof Fields[K]>;

/** Stands in the tenant's place of what belongs to no tenant. No tenant can have this name. */
export const systemScope = '$system';

/** In which order a copy must be written, so that what is referred to comes first. */
export const kinds: readonly Kind[] = ['tenant', 'policy', 'role', 'device', 'application', 'user', 'credential', 'certificate'];

export const ownerKinds: readonly OwnerKind[] = ['device', 'application', 'user'];

export function isOwnerKind(kind: string): kind is OwnerKind {
  return (ownerKinds as readonly string[]).includes(kind);
}
