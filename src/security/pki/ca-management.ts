// What an operator does with the certificate authority: the contract that the management interface asks, which has already decided
// whether the asker may. Everything that changes something is audited by whoever stands behind it. Issuing is Pki's.

import type { Owner, RevocationReason } from '../../registry/entries.ts';
import type { Actor } from '../audit/audit.ts';
import type { AuthorityView, KeyAlgorithm } from './pki.ts';

export type CaFaultCode =
  | 'not-found'
  /** It is there already: an authority, a registration. */
  | 'exists'
  /** What was given cannot be used: no certificate, no authority's, a weak key; `field` says which part. */
  | 'invalid'
  /** The passphrase does not open the key. */
  | 'wrong-passphrase'
  /** The proof is not signed by the authority, or not for this registration. */
  | 'not-proved'
  /** Something still depends on it: devices would be cut off, it is the last that can issue. `force` overrides what can be. */
  | 'in-use'
  /** Its status does not allow it: a retired authority comes never back. */
  | 'conflict'
  /** A key is offline, the registry or the HSM does not answer. */
  | 'unavailable';

export type CaFault = { readonly code: CaFaultCode; readonly message: string; readonly field?: string };
export type CaResult<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: CaFault };

/** Who wants it, and from which address (empty: this node). */
export type By = { readonly actor: Actor; readonly from: string };

export type CaStatus = {
  readonly authorities: readonly AuthorityView[];
  /** Ids; undefined: there is none. */
  readonly activeRoot: string | undefined;
  readonly activeIssuing: string | undefined;
  /** What opens the keys on this node. */
  readonly protection: 'passphrase' | 'key file' | 'hsm';
  readonly auditKey: { readonly fingerprint: string; readonly notAfterMs: number } | undefined;
  /** PEM file of the roots that clients trust. */
  readonly trustFile: string;
};

/** A certificate that would mean nothing, of an owner who has no other one to go on with. */
export type CutOff = { readonly tenant: string; readonly owner: Owner; readonly fingerprint: string; readonly notAfterMs: number };

/** Who depends on an authority, and what its retirement would do. */
export type Impact = {
  /** It, and the authorities below it that are not retired. */
  readonly authorities: readonly string[];
  /** Certificates of theirs that are valid and not expired. */
  readonly certificates: number;
  /** Of these: owners who have no certificate of another authority that is trusted and not expired. */
  readonly cutOff: number;
  readonly tenants: readonly { readonly tenant: string; readonly certificates: number; readonly cutOff: number }[];
  /** A page of those who would be cut off, in the order in which their certificates end. */
  readonly entries: readonly CutOff[];
  readonly next: string | undefined;
  /** When the last of them ends by itself: then nobody is cut off. Undefined: already now. */
  readonly safeAtMs: number | undefined;
};

export type Rotation = {
  /** Active now. */
  readonly issuing: AuthorityView;
  /** Only when the root was rotated. */
  readonly root: AuthorityView | undefined;
  /** Retiring now: trusted until they are retired. */
  readonly retiring: readonly string[];
  /** The old root vouches for the new one, so that who knows only the old one goes on. */
  readonly crossSigned: boolean;
};

export type ForeignSettings = {
  readonly registration?: 'none' | 'just-in-time';
  readonly groups?: readonly string[];
  readonly roles?: readonly string[];
  readonly crlUrls?: readonly string[];
  readonly ocspUrls?: readonly string[];
  readonly revocationCheck?: 'none' | 'soft' | 'hard';
};

export interface CaManagement {
  status(): CaStatus;
  /** Makes root, issuing authority and audit key where there are none; a node does so when it first starts. 'exists' when there are. */
  init(options: { readonly algorithm?: KeyAlgorithm }, by: By): Promise<CaResult<CaStatus>>;
  /** The dry run of a rotation followed by a retirement: of `what` is active now, or of the authority `id`. Changes nothing. */
  impact(
    of: { readonly what: 'issuing' | 'root' } | { readonly id: string },
    page: { readonly limit?: number; readonly after?: string },
  ): Promise<CaResult<Impact>>;
  /** A new issuing authority, or a new root with a new one. The old ones are retiring. Listeners follow at once. */
  rotate(options: { readonly what: 'issuing' | 'root'; readonly algorithm?: KeyAlgorithm }, by: By): Promise<CaResult<Rotation>>;
  /** Ends trust in an authority, own or foreign, and in those below it. 'in-use' unless `force` when somebody would be cut off. */
  retire(id: string, options: { readonly force?: boolean }, by: By): Promise<CaResult<readonly string[]>>;

  /**
   * Key and certificate of an own authority in one PEM text, the key encrypted with `passphrase` (8 to 1024 characters). `remove`:
   * this node keeps no copy, so that the key is offline from then on; only a root's.
   */
  exportKey(
    id: string,
    options: { readonly passphrase: string; readonly remove?: boolean },
    by: By,
  ): Promise<CaResult<{ readonly pem: string }>>;
  /** Brings back what `exportKey` gave. */
  importKey(given: { readonly pem: string; readonly passphrase: string }, by: By): Promise<CaResult<AuthorityView>>;

  /**
   * Notes an authority of somebody else, whose certificates shall be good in `tenant`. It counts once `prove` is given a certificate
   * that it has issued for the common name `nonce`. Asked again while that is open, the same nonce is given.
   */
  register(
    given: { readonly tenant: string; readonly certificate: string } & ForeignSettings,
    by: By,
  ): Promise<CaResult<{ readonly authority: AuthorityView; readonly nonce: string }>>;
  prove(given: { readonly tenant: string; readonly id: string; readonly proof: string }, by: By): Promise<CaResult<AuthorityView>>;

  /** `privilegeWithdrawn` when no reason is given. Revoking what is revoked is no fault. */
  revoke(
    given: { readonly fingerprint: string; readonly reason?: RevocationReason },
    by: By,
  ): Promise<CaResult<{ readonly revoked: number }>>;
  /** Every valid certificate of an owner. */
  revokeAll(
    given: { readonly tenant: string; readonly owner: Owner; readonly reason?: RevocationReason },
    by: By,
  ): Promise<CaResult<{ readonly revoked: number }>>;
}
