// The contract of the registry: who may exist on this broker, and what is known of each. Embedded in SQLite, or in PostgreSQL;
// test/contracts/registry.ts is the suite that both pass.
//
// - Every question and every write names its tenant; no answer ever holds another tenant's entry. The only questions over all
//   tenants are about certificates, authorities and tokens of enrolment, because there the tenant is what is being asked for.
// - Writes are serial. Each transaction that changes something is a revision; an entry's version is the revision that wrote it.
// - Mistakes are values. What is thrown is a bug.

import type { AuthorityRole, AuthorityStatus, Entry, Fields, Kind, NewFields, Owner, OwnerKind, Status } from './entries.ts';

export type RegistryErrorCode =
  /** A field is not what it must be; `field` says which. */
  | 'invalid'
  | 'exists'
  | 'not-found'
  /** The entry was changed since it was read; `version` is its version now. */
  | 'conflict'
  | 'unknown-tenant'
  /** A field names an entry that does not exist. */
  | 'unknown-reference'
  /** Others refer to it, or it must stay known for a while. */
  | 'in-use'
  /** One more than is allowed. */
  | 'limit'
  /** The store cannot answer now: locked, overloaded, not reachable, closed. Trying again may help. */
  | 'unavailable'
  /** No space left. */
  | 'full'
  /** The store holds what was never written to it. */
  | 'damaged'
  /** The store was written by a later version of Heliograph. */
  | 'later-version';

export type RegistryError = {
  readonly code: RegistryErrorCode;
  /** What is wrong, for people, without a secret. */
  readonly message: string;
  readonly field?: string;
  readonly version?: number;
  /** Of an atomic `apply`: which write was refused. */
  readonly index?: number;
};

export type Result<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: RegistryError };

/** At once from the embedded store, or from a cache; later from a server. `await` takes both. */
export type NowOrLater<T> = T | Promise<T>;

/** One write. `version`: do it only if the entry still has this version. */
export type Write<K extends Kind = Kind> = {
  [One in K]:
    | { readonly do: 'create'; readonly kind: One; readonly tenant: string; readonly id: string; readonly fields: NewFields<One> }
    /** Only the given fields change. */
    | {
        readonly do: 'update';
        readonly kind: One;
        readonly tenant: string;
        readonly id: string;
        readonly fields: Partial<Fields[One]>;
        readonly version?: number | undefined;
      }
    /** Creates it, or changes the given fields of what is there. */
    | { readonly do: 'put'; readonly kind: One; readonly tenant: string; readonly id: string; readonly fields: NewFields<One> }
    /**
     * With a device, application or user go its credentials; its certificates are revoked (cessationOfOperation), so that they
     * mean nothing when the name is given again.
     */
    | { readonly do: 'remove'; readonly kind: One; readonly tenant: string; readonly id: string; readonly version?: number | undefined };
}[K];

/** Entries in the order of their ids (bytes of UTF-8). */
export type Query = {
  /** Most entries of the page: 1 to 1000, 100 when absent. A page may be shorter and still have a next one. */
  readonly limit?: number | undefined;
  /** `next` of the page before. */
  readonly after?: string | undefined;
  /** Ids that start with this; not of certificates and authorities. */
  readonly prefix?: string | undefined;
  /** All of them: devices, applications, users. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** In all of them: devices, applications, users. */
  readonly groups?: readonly string[] | undefined;
  /** Of the kinds that have one, what it may be there (entries.ts). */
  readonly status?: Status | AuthorityStatus | 'valid' | 'revoked' | 'approved' | 'refused' | undefined;
  /** Credentials, certificates. */
  readonly owner?: Owner | undefined;
  /** Roles that name this policy. */
  readonly policy?: string | undefined;
};

export type PageQuery = Pick<Query, 'limit' | 'after'>;

export type AuthorityQuery = PageQuery & {
  readonly status?: AuthorityStatus | undefined;
  readonly role?: AuthorityRole | undefined;
};

export type Page<T> = {
  readonly entries: readonly T[];
  /** Absent on the last page. */
  readonly next: string | undefined;
};

/**
 * What has changed. Fields are undefined where there is more to tell than is worth it: without `id`, any entry of this kind and
 * tenant may have changed; without `kind`, anything.
 */
export type Change = {
  readonly version: number;
  readonly kind: Kind | undefined;
  readonly tenant: string | undefined;
  readonly id: string | undefined;
  readonly what: 'created' | 'updated' | 'removed' | 'many';
};

export type ChangeListener = (changes: readonly Change[]) => void;

/** Whom a name belongs to. */
export type NamedPrincipal = { [K in OwnerKind]: { readonly kind: K; readonly entry: Entry<K> } }[OwnerKind];

/** What is asked while a peer connects. */
export interface LookUps {
  get<K extends Kind>(kind: K, tenant: string, id: string): NowOrLater<Result<Entry<K> | undefined>>;
  /**
   * The device, application or user of this name. Where an earlier release let several have it, the first in the order of
   * `ownerKinds`.
   */
  principal(tenant: string, id: string): NowOrLater<Result<NamedPrincipal | undefined>>;
  /** By fingerprint, over all tenants. */
  certificate(fingerprint: string): NowOrLater<Result<Entry<'certificate'> | undefined>>;
  /** All that this owner has, in the order of their ids. */
  credentials(tenant: string, owner: Owner): NowOrLater<Result<readonly Entry<'credential'>[]>>;
  /**
   * Over all tenants: the one with this handle, and those whose handle goes on after it with a slash; at most 8, in the order of
   * their handles.
   */
  credentialsByHandle(handle: string): NowOrLater<Result<readonly Entry<'credential'>[]>>;
}

export interface Registry extends LookUps {
  list<K extends Kind>(kind: K, tenant: string, query: Query): Promise<Result<Page<Entry<K>>>>;
  /** Over all tenants, in the order of their ids. */
  authorities(query: AuthorityQuery): Promise<Result<Page<Entry<'authority'>>>>;
  /** By the SHA-256 of the token (lower-case hex), over all tenants. */
  enrolmentByTokenHash(tokenHash: string): Promise<Result<Entry<'enrolment'> | undefined>>;
  /** Over all tenants, for OCSP. */
  certificateBySerial(issuer: string, serial: string): Promise<Result<Entry<'certificate'> | undefined>>;
  /** The revoked certificates of an authority, over all tenants, for its CRL. */
  revoked(issuer: string, query: PageQuery): Promise<Result<Page<Entry<'certificate'>>>>;
  /** Valid certificates whose last moment is in [fromMs, beforeMs), earliest first, over all tenants. */
  expiring(fromMs: number, beforeMs: number, query: PageQuery): Promise<Result<Page<Entry<'certificate'>>>>;

  /** 'exists' also when a device, application or user of the tenant has this id, and one of the others is to be created. */
  create<K extends Kind>(kind: K, tenant: string, id: string, fields: NewFields<K>): Promise<Result<Entry<K>>>;
  update<K extends Kind>(kind: K, tenant: string, id: string, fields: Partial<Fields[K]>, version?: number): Promise<Result<Entry<K>>>;
  /** The entry as it was. */
  remove<K extends Kind>(kind: K, tenant: string, id: string, version?: number): Promise<Result<Entry<K>>>;
  /**
   * Up to `maxWrites` writes in one transaction, durable when it answers. Atomic: all of them or none, and then the first
   * refusal is the error. Otherwise each has its own result, and a refused one has left no trace.
   */
  apply(writes: readonly Write[], options: { readonly atomic: boolean }): Promise<Result<readonly Result<Entry<Kind>>[]>>;

  /**
   * Tells of every change after this call, and perhaps of some before, whoever made it, in order: own ones before the write
   * answers, those of other processes within a second. Returns how to stop. A listener must not throw.
   */
  subscribe(listener: ChangeListener): () => void;
  close(): Promise<void>;
}

export const maxWrites = 1000;
export const maxPage = 1000;
export const defaultPage = 100;

export function value<T>(found: T): Result<T> {
  return { ok: true, value: found };
}

export function refusal(code: RegistryErrorCode, message: string, more: Omit<RegistryError, 'code' | 'message'> = {}): Result<never> {
  return { ok: false, error: { code, message, ...more } };
}
