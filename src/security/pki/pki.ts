// The contract of the built-in certificate authority: who issues, what is issued, whom the listeners trust. What it knows of
// authorities and certificates stands in the registry, so that every node of a cluster knows the same; only keys are here.

import type { Owner } from '../../registry/entries.ts';
import type { AuthorityRole, AuthorityStatus } from '../../registry/entries.ts';
import type { Actor } from '../audit/audit.ts';

export const keyAlgorithms = ['ecdsa-p256', 'ecdsa-p384', 'ed25519'] as const;
export type KeyAlgorithm = (typeof keyAlgorithms)[number];

/** Has a private key and signs with it, wherever it is: in a sealed file, in an HSM. Never gives it away. */
export interface Signer {
  readonly algorithm: KeyAlgorithm;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** The signature as X.509 wants it: ECDSA a DER SEQUENCE over SHA-256 or SHA-384, Ed25519 its 64 bytes. Rejects when the key cannot be used. */
  sign(data: Uint8Array): Promise<Uint8Array>;
}

export type AuthorityView = {
  /** SHA-256 of its public key, lower-case hex: the `issuer` of its certificates in the registry. */
  readonly id: string;
  readonly role: AuthorityRole;
  readonly status: AuthorityStatus;
  /** `systemScope` for own ones. */
  readonly tenant: string;
  /** PEM. */
  readonly certificate: string;
  readonly subject: string;
  readonly issuer: string | undefined;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Its key can be used on this node now. */
  readonly hasKey: boolean;
};

export type IssueFaultCode =
  | 'malformed'
  | 'too-large'
  | 'bad-signature'
  | 'weak-key'
  /** It asks for a name that is not the owner's. */
  | 'foreign-name'
  /** It asks for something that the profile does not give: an extension, a usage, a longer life. */
  | 'not-allowed'
  | 'unknown-owner'
  | 'disabled'
  /** No authority can issue now: its key is offline or locked, it has expired, the registry does not answer. */
  | 'unavailable';

export type IssueFault = {
  readonly code: IssueFaultCode;
  /** For people, without a secret. */
  readonly message: string;
  /** Part of the request: `subject.CN`, `publicKey`, `extensions.subjectAltName`. */
  readonly field?: string;
};

export type PkiResult<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: IssueFault };

export type IssueRequest = {
  /** PKCS #10 (RFC 2986), DER, or PEM as text. */
  readonly request: Uint8Array | string;
  readonly tenant: string;
  readonly owner: Owner;
  /** Shortened to what the profile allows; absent: what the profile says. */
  readonly validityMs?: number;
  readonly actor: Actor;
  /** Address it came from, for the audit log. */
  readonly from: string;
};

export type IssueWithKeyRequest = Omit<IssueRequest, 'request'> & { readonly algorithm?: KeyAlgorithm };

export type IssuedCertificate = {
  /** PEM. */
  readonly certificate: string;
  /** PEM of the issuing authorities below the root, nearest first: what a peer sends behind its own. */
  readonly chain: string;
  /** PEM of the root: what a peer trusts. */
  readonly root: string;
  readonly fingerprint: string;
  readonly serial: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
};

export interface Pki {
  /** Shape, check, enforce: the certificate is made from the profile and the owner; only the public key is the request's. */
  issue(request: IssueRequest): Promise<PkiResult<IssuedCertificate>>;
  /** With a new key, which is kept nowhere: PKCS #8, PEM. */
  issueWithKey(request: IssueWithKeyRequest): Promise<PkiResult<IssuedCertificate & { readonly privateKey: string }>>;
  /** All that are known, own and foreign, retired ones too. */
  readonly authorities: readonly AuthorityView[];
  /** Undefined: its key is not on this node. */
  signerOf(authorityId: string): Signer | undefined;
  /** Signs the audit log; its certificate names the purpose and stands below the root. */
  readonly auditKey: { readonly signer: Signer; readonly certificate: string; readonly chain: string } | undefined;
  /**
   * PEM: whom listeners trust to certify peers: active and retiring ones, roots and intermediates. A peer may send the certificate of
   * a retired intermediate along, and TLS takes it below a root that is trusted: the handshake's guard refuses it.
   */
  readonly clientAnchors: readonly string[];
  /** Tells when an authority was added, changed its status, or `clientAnchors` changed. Returns how to stop. */
  subscribe(listener: () => void): () => void;
}
