// The contract of the DTLS 1.2 server (RFC 6347, RFC 9146): datagrams, answers and the time come in, effects go out. It has no socket,
// no timer and no clock; `now` is always monotonic milliseconds. Its driver carries out the effects in their order and calls `tick`
// at `nextDeadline`. `createDtlsEndpoint` in server.ts makes one.

import type { KeyObject } from 'node:crypto';
import type { DtlsCounters } from './counters.ts';
import type { DtlsLimits } from './limits.ts';
import type { GroupName, SuiteName } from './suites.ts';

/** Text of the address as node:dgram gives it, and the port. Two are the same peer when both are equal. */
export type PeerAddress = { readonly address: string; readonly port: number };

/** Never used again by the same endpoint. What is kept of a peer is kept by this, never by its address. */
export type SessionId = number;
/** Never used again by the same endpoint. */
export type HandshakeId = number;

export type PskIdentity = {
  readonly kind: 'psk';
  /** As the client sent it; usually UTF-8. */
  readonly identity: Uint8Array;
  /** What `pskAnswer` said of it. */
  readonly subject: unknown;
};

export type CertificateIdentity = {
  readonly kind: 'certificate';
  /** SHA-256 of the client's own certificate (DER), lower-case hex. */
  readonly fingerprint: string;
  /** What `admissionAnswer` said of it. */
  readonly subject: unknown;
};

export type RawKeyIdentity = {
  readonly kind: 'rawKey';
  /** SHA-256 of the SubjectPublicKeyInfo (DER), lower-case hex (RFC 7250). */
  readonly fingerprint: string;
  /** What `admissionAnswer` said of it. */
  readonly subject: unknown;
};

/** The client has shown neither key nor certificate. */
export type NoIdentity = { readonly kind: 'none' };

export type DtlsIdentity = PskIdentity | CertificateIdentity | RawKeyIdentity | NoIdentity;

/**
 * May this certificate or raw key come in? `subject`: kept with the session and handed out again when it is resumed, so keep it small.
 * `validForMs`: for how long it may be relied on (until the certificate expires); a resumption after that is refused.
 */
export type Admission =
  | { readonly ok: true; readonly subject?: unknown; readonly validForMs?: number }
  | { readonly ok: false; readonly alert: AdmissionAlert };

/** What a client is told whose certificate or key is not taken (RFC 5246 §7.2.2). */
export type AdmissionAlert =
  | 'bad-certificate'
  | 'unsupported-certificate'
  | 'certificate-revoked'
  | 'certificate-expired'
  | 'certificate-unknown'
  | 'unknown-ca'
  | 'access-denied'
  | 'internal-error';

/** The key of a PSK identity: `createSecretKey(bytes)`. `subject` and `validForMs` as in Admission. */
export type PskAnswer = { readonly key: KeyObject; readonly subject?: unknown; readonly validForMs?: number };

export type CloseReason =
  /** It said goodbye. */
  | 'peer'
  /** `close` was called. */
  | 'local'
  /** It sent a fatal alert. */
  | 'alert'
  | 'idle'
  /** The same device began anew, or too often; or another without Connection ID came by its address. */
  | 'replaced'
  /** It has sent as many records as one key allows. */
  | 'exhausted';

/** Why a handshake did not become a session. Those who have not shown that they receive at their address are only counted. */
export type HandshakeFailureReason =
  | 'timeout'
  /** No client certificate, or one that was not admitted, or whose key the client does not have. */
  | 'certificate'
  /** The client does not accept our certificate. */
  | 'distrusted'
  /** No common version, suite, group or certificate type. */
  | 'parameters'
  /** An identity that nobody has; or, at the end of the time for handshakes, a wrong key: nothing came that could be opened. */
  | 'psk'
  | 'protocol';

export type DtlsEffect =
  /** The bytes belong to the effect; they are not changed afterwards. */
  | { readonly kind: 'datagram'; readonly to: PeerAddress; readonly bytes: Uint8Array }
  /** Answer with `pskAnswer`. */
  | { readonly kind: 'pskWanted'; readonly handshake: HandshakeId; readonly identity: Uint8Array; readonly peer: PeerAddress }
  /** The client has proved that it has the key of `chain[0]` (DER, the client's own first). Answer with `admissionAnswer`. */
  | {
      readonly kind: 'certificateWanted';
      readonly handshake: HandshakeId;
      readonly chain: readonly Uint8Array[];
      readonly peer: PeerAddress;
    }
  /** The client has proved that it has this key. `spki`: DER of the SubjectPublicKeyInfo. Answer with `admissionAnswer`. */
  | {
      readonly kind: 'rawKeyWanted';
      readonly handshake: HandshakeId;
      readonly spki: Uint8Array;
      readonly fingerprint: string;
      readonly peer: PeerAddress;
    }
  | { readonly kind: 'failed'; readonly handshake: HandshakeId; readonly peer: PeerAddress; readonly reason: HandshakeFailureReason }
  | {
      readonly kind: 'opened';
      readonly session: SessionId;
      readonly peer: PeerAddress;
      readonly identity: DtlsIdentity;
      readonly suite: SuiteName;
      /** The group of the key exchange; absent: plain PSK, or resumed. */
      readonly group: GroupName | undefined;
      readonly isResumed: boolean;
      /** The peer is known by its Connection ID: its address may change. */
      readonly hasCid: boolean;
      /** The most that one `send` may carry. */
      readonly maxBytes: number;
    }
  /** `bytes` belong to the effect. */
  | { readonly kind: 'data'; readonly session: SessionId; readonly bytes: Uint8Array }
  /**
   * By RFC 9146 §6 from an authenticated record that is the newest. The peer has not shown yet that it receives there: what is sent
   * before its next answer should stay small (amplification).
   */
  | { readonly kind: 'moved'; readonly session: SessionId; readonly to: PeerAddress }
  /** Exactly once for each that was opened; nothing follows for this session. */
  | { readonly kind: 'closed'; readonly session: SessionId; readonly reason: CloseReason };

/** What proves to clients who the server is. The first whose names fit the client's server_name is taken, else the first of all. */
export type DtlsCredential = {
  /** DER, the server's own first, then its issuers. */
  readonly chain: readonly Uint8Array[];
  readonly signer: DtlsSigner;
  /** Does it serve this host name (lower case)? Absent: only when it is the first. */
  readonly matches?: (serverName: string) => boolean;
};

/** The server's private key, wherever it lives. */
export interface DtlsSigner {
  /** Of the public key. */
  readonly keyType: 'ec' | 'rsa' | 'ed25519';
  /** The curve of an EC key, which clients must know (RFC 8422 §5.1); absent: not told. */
  readonly curve?: GroupName;
  /** DER of the SubjectPublicKeyInfo: what clients get that ask for a raw public key (RFC 7250). */
  readonly spki: Uint8Array;
  /** `hash` undefined: Ed25519. EC signatures as DER (RFC 3279), RSA as PKCS#1 v1.5. */
  sign(data: Uint8Array, hash: 'sha256' | 'sha384' | undefined): Uint8Array;
}

export type DtlsSettings = {
  /** The most wanted first; absent: all, see suites.ts. */
  readonly suites?: readonly SuiteName[];
  /** The most wanted first; absent: secp256r1, x25519, secp384r1. */
  readonly groups?: readonly GroupName[];
  /** May be empty: then only pre-shared keys. */
  readonly credentials: readonly DtlsCredential[];
  /** Nothing is asked for; it is checked when the client has one; every client needs one (not those with a pre-shared key). */
  readonly clientCertificate: 'none' | 'request' | 'require';
  /** Distinguished names (DER) of who may issue client certificates, to help clients choose; may be empty. */
  readonly clientAuthorities?: readonly Uint8Array[];
  /** Clients may show a raw public key in place of a certificate, and get the server's when they ask (RFC 7250). Absent: no. */
  readonly rawPublicKeys?: boolean;
  /** Absent: pre-shared keys are not accepted. */
  readonly psk?: {
    /** Shown to clients that have several identities; empty: none is shown. */
    readonly hint: Uint8Array;
    /** Go on with a random key when nobody has the identity, so that nobody learns which exist; else alert 115. Absent: no. */
    readonly hideUnknown?: boolean;
  };
  /** Refuse clients without RFC 7627. Absent: yes. */
  readonly requireExtendedMasterSecret?: boolean;
  /** Offer Connection IDs (RFC 9146). Absent: yes. */
  readonly connectionIds?: boolean;
  /** Let clients resume by session ID. Absent: yes. */
  readonly resumption?: boolean;
  readonly limits?: Partial<DtlsLimits>;
};

export interface DtlsEndpoint {
  /** One datagram. Never throws because of what came. `datagram` is only valid during the call. */
  receive(datagram: Uint8Array, from: PeerAddress, now: number): readonly DtlsEffect[];
  /** One record. Nothing when the session is gone or the data is longer than its `maxBytes` (counted). */
  send(session: SessionId, data: Uint8Array, now: number): readonly DtlsEffect[];
  /** With close_notify; `closed` is among the effects. Its resumption stays possible unless `forget` says otherwise. */
  close(session: SessionId, now: number): readonly DtlsEffect[];
  /** undefined: nobody has this identity. A handshake that is gone is ignored. */
  pskAnswer(handshake: HandshakeId, answer: PskAnswer | undefined, now: number): readonly DtlsEffect[];
  /** To `certificateWanted` and `rawKeyWanted`. A handshake that is gone is ignored. */
  admissionAnswer(handshake: HandshakeId, admission: Admission, now: number): readonly DtlsEffect[];
  /** Does what is due. */
  tick(now: number): readonly DtlsEffect[];
  /** Infinity: none. */
  nextDeadline(): number;
  /** What may be resumed and matches is dropped: the certificate is revoked, the key was changed. Open sessions stay: close them. */
  forget(matches: (identity: DtlsIdentity) => boolean): void;
  /** Later handshakes use these settings; sessions that are open stay. What could be resumed stays resumable. */
  reconfigure(settings: DtlsSettings): void;
  /** Closes every session with close_notify and drops every handshake. */
  closeAll(now: number): readonly DtlsEffect[];
  /** Where the peer is now; undefined: the session is gone. */
  addressOf(session: SessionId): PeerAddress | undefined;
  readonly counters: DtlsCounters;
}
