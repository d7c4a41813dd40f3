// Who a peer is, and what it may do. The broker and the protocols know only this contract.

/** Who a peer is; fixed when it connects. */
export type Principal = {
  readonly tenant: string;
  /** Unique within the tenant. */
  readonly id: string;
  readonly kind: 'device' | 'application' | 'anonymous';
  readonly roles: readonly string[];
};

export type PeerCertificate = {
  /** Common name of the subject, if any. */
  readonly commonName: string | undefined;
  /** URI entries of the subject alternative name. */
  readonly uris: readonly string[];
  /** SHA-256 of the DER, lower-case hex without colons. */
  readonly fingerprint: string;
};

export type Action = 'connect' | 'publish' | 'subscribe' | 'consume' | 'retain' | 'manage';

export type Credentials = {
  readonly listener: string;
  readonly remoteAddress: string;
  readonly secure: boolean;
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: Uint8Array | undefined;
  readonly certificate: PeerCertificate | undefined;
};

export type AuthenticationResult =
  | { readonly ok: true; readonly principal: Principal }
  /** 'refused': wrong or no credentials. 'overloaded': too many checks under way, try later. 'banned': locked out for a while. */
  | { readonly ok: false; readonly reason: 'refused' | 'overloaded' | 'banned' };

/** One step of a challenge-response mechanism (MQTT 5 enhanced authentication, SASL). */
export type ExchangeStep =
  | { readonly kind: 'challenge'; readonly data: Uint8Array }
  | { readonly kind: 'done'; readonly principal: Principal; readonly data: Uint8Array | undefined }
  | { readonly kind: 'failed' };

/** A challenge-response exchange with one peer. Answers through the callback, now or later. */
export interface Exchange {
  step(data: Uint8Array | undefined, answer: (step: ExchangeStep) => void): void;
}

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
}
