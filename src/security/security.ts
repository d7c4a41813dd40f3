// Who a peer is, and what it may do. The broker and the protocols know only this contract.

import type { X509Certificate } from 'node:crypto';

/** By what a peer has proved who it is. */
export const methods = [
  'certificate',
  'raw-public-key',
  'psk',
  'oscore',
  'scram-sha-256',
  'jwt',
  'password',
  'webhook',
  'anonymous',
] as const;
export type Method = (typeof methods)[number];

/** How a principal is connected: what conditions of policies ask for. */
export type Access = {
  readonly listener: string;
  readonly remoteAddress: string;
  /** The bytes are protected by TLS, DTLS or OSCORE. */
  readonly secure: boolean;
  readonly method: Method;
  readonly certificate: PeerCertificate | undefined;
};

/**
 * Who a peer is. Never changed: when what is known of a peer changes while it is connected, its session is given another
 * principal with the same tenant and id (Security.reassess).
 */
export type Principal = {
  readonly tenant: string;
  /** Unique within the tenant, over all kinds. */
  readonly id: string;
  readonly kind: 'device' | 'application' | 'user' | 'anonymous';
  readonly roles: readonly string[];
  /** From the registry; absent: none. */
  readonly groups?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  /** Absent: it is not connected (a session found in the journal, a question of `policy test`). */
  readonly access?: Access;
};

const ofTheNode = new WeakSet<Principal>();

/**
 * The node itself, where it keeps in messages of its own what a protocol must not forget (`$coap/…`). It may do everything, and it
 * is known by this very object: no peer can be authenticated as it.
 */
export function nodePrincipal(tenant: string, id: string): Principal {
  const principal: Principal = { tenant, id, kind: 'application', roles: [] };
  ofTheNode.add(principal);
  return principal;
}

export function isNodePrincipal(principal: Principal): boolean {
  return ofTheNode.has(principal);
}

export type PeerCertificate = {
  /** Common name of the subject, if any. */
  readonly commonName: string | undefined;
  /** URI entries of the subject alternative name. */
  readonly uris: readonly string[];
  /** SHA-256 of the DER, lower-case hex without colons. */
  readonly fingerprint: string;
  /** When it expires, wall clock; absent: not told. */
  readonly notAfterMs?: number;
  /**
   * Ids of the authorities above it (SHA-256 of their public keys, lower-case hex), nearest first, the trust anchor last; absent:
   * not told.
   */
  readonly issuers?: readonly string[];
};

/** Why a certificate is not taken at the handshake. */
export const certificateFaults = [
  /** Every client needs one here. */
  'missing',
  'malformed',
  'bad-signature',
  'expired',
  'not-yet-valid',
  /** Its issuer, or one above that, is not trusted here. */
  'unknown-authority',
  /** It is not for TLS clients. */
  'wrong-usage',
  'path-too-long',
  /** A name that an authority above it may not certify. */
  'name-not-permitted',
  'revoked',
  /** An authority above it is retired or revoked. */
  'authority-retired',
  /** The device, application or user that it was issued to, or its tenant. */
  'owner-disabled',
  /** Whether it is revoked cannot be found out, and its authority demands it. */
  'undetermined',
  'other',
] as const;
export type CertificateFault = (typeof certificateFaults)[number];

export type HandshakeVerdict =
  | { readonly ok: true; readonly certificate: PeerCertificate }
  | { readonly ok: false; readonly fault: CertificateFault };

/** What a TLS listener asks at the end of each handshake, before a protocol sees the connection. */
export interface HandshakeGuard {
  /** `certificate` has been verified by TLS, now or when the session that is resumed began. Never throws or rejects. */
  admit(certificate: X509Certificate, from: HandshakeOrigin): HandshakeVerdict | Promise<HandshakeVerdict>;
  /** TLS itself has refused it. */
  refused(fault: CertificateFault, certificate: X509Certificate | undefined, from: HandshakeOrigin): void;
  /** No version, cipher or group was common: an old peer, or somebody who tries a downgrade. */
  unagreed?(from: HandshakeOrigin): void;
}

/** `remoteAddress`: empty when the peer has gone already. */
export type HandshakeOrigin = { readonly listener: string; readonly remoteAddress: string };

export type Action = 'connect' | 'publish' | 'subscribe' | 'consume' | 'retain' | 'manage';

export type Credentials = {
  readonly listener: string;
  readonly remoteAddress: string;
  readonly secure: boolean;
  readonly clientId: string;
  /** `clientId` is not known yet: who asks will ask `allows` for `connect` itself when it is (AMQP: SASL comes before open). */
  readonly nameComesLater?: true;
  readonly username: string | undefined;
  readonly password: Uint8Array | undefined;
  readonly certificate: PeerCertificate | undefined;
  /** Identity of the pre-shared key by which the TLS or DTLS handshake was done. */
  readonly pskIdentity?: string;
  /** DTLS, whose sessions last for days: SHA-256 of that key, lower-case hex. It must still be the key of the identity. */
  readonly pskKeyHash?: string;
  /** SHA-256 of the SubjectPublicKeyInfo that the peer has proved to hold the key of (RFC 7250), lower-case hex. */
  readonly rawPublicKey?: string;
  /** The layer of OSCORE has opened a request with this security context; what else is shown is not asked then (RFC 8613). */
  readonly oscoreContext?: OscoreContextName;
};

/** Names a security context of OSCORE: whose it is, and its id in the registry (of the credential). */
export type OscoreContextName = { readonly tenant: string; readonly principal: string; readonly contextId: string };

export type AuthenticationResult =
  /** `expiresAtMs`: wall clock; what proved the identity (a token, a certificate) ends then, and the connection with it. */
  | { readonly ok: true; readonly principal: Principal; readonly expiresAtMs?: number }
  /** 'refused': wrong or no credentials. 'overloaded': too many checks under way, try later. 'banned': locked out for a while. */
  | { readonly ok: false; readonly reason: 'refused' | 'overloaded' | 'banned' };

/** One step of a challenge-response mechanism (MQTT 5 enhanced authentication, SASL). */
export type ExchangeStep =
  | { readonly kind: 'challenge'; readonly data: Uint8Array }
  | { readonly kind: 'done'; readonly principal: Principal; readonly data: Uint8Array | undefined; readonly expiresAtMs?: number }
  | { readonly kind: 'failed' };

/** A challenge-response exchange with one peer. Answers through the callback, now or later. */
export interface Exchange {
  step(data: Uint8Array | undefined, answer: (step: ExchangeStep) => void): void;
}

/** What a message is, as far as a policy may ask. */
export type MessageFacts = { readonly guarantee: 0 | 1 | 2; readonly payloadBytes: number };

/** Conditions of policies that only the message itself can meet. */
export type MessageTerms = { allows(guarantee: 0 | 1 | 2, payloadBytes: number): boolean };

/** Whether a connected principal may stay. good: perhaps with another principal than before. */
export type Reassessment = { readonly standing: 'good'; readonly principal: Principal } | { readonly standing: 'barred' };

export interface Security {
  /** Moves when a decision made earlier may no longer hold: caches of `allows` are dropped then. */
  readonly version: number;

  /** Answers through the callback, now or later, exactly once. */
  authenticate(credentials: Credentials, answer: (result: AuthenticationResult) => void): void;

  /** Starts a challenge-response exchange; undefined when the mechanism is not offered. */
  startExchange(mechanism: string, credentials: Credentials): Exchange | undefined;

  /**
   * May `principal` do `action` on `topic`? For 'subscribe' and 'consume' the topic is a filter, and the answer is yes only
   * if every topic that the filter matches is allowed.
   */
  allows(principal: Principal, action: Action, topic: string): boolean;

  /**
   * Does something deny it, so that a right which somebody else lends does not help either? Absent: nothing does. What is merely
   * not allowed is not forbidden.
   */
  forbids?(principal: Principal, action: 'publish', topic: string): boolean;

  /**
   * What is asked of a message besides `allows`, to be kept beside the cached answer; undefined (and absent): nothing.
   * `action` is publish or retain.
   */
  messageTerms?(principal: Principal, action: Action, topic: string): MessageTerms | undefined;

  /**
   * Is what was true when `principal` connected still true? Asked for live sessions after something has changed. Answers
   * through the callback, now or later, exactly once. When it cannot be found out the answer is good, with the same principal.
   */
  reassess?(principal: Principal, answer: (result: Reassessment) => void): void;
}
