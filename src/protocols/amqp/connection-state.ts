// The states of a connection. Each holds what is valid in it and nothing else.

import type { Principal } from '../../security/security.ts';
import type { Open } from './codec/index.ts';
import type { Opened } from './opened.ts';
import type { SaslExchange } from './sasl.ts';

/** What SASL has proved. */
export type Proof = {
  /** Undefined: it is to prove who it is by a token on `$cbs`. */
  readonly principal: Principal | undefined;
  /** Wall clock; when what proved it ends. */
  readonly expiresAtMs: number | undefined;
};

export type State =
  | { readonly kind: 'awaitingHeader' }
  /** SASL frames come and go. */
  | { readonly kind: 'sasl'; readonly exchange: SaslExchange }
  /** SASL is over: the header of AMQP must follow. */
  | { readonly kind: 'awaitingAmqpHeader'; readonly proof: Proof }
  /** `proof` undefined: what the connection itself has proved must do. */
  | { readonly kind: 'awaitingOpen'; readonly proof: Proof | undefined }
  /** Without SASL: Security is asked who the peer is. */
  | { readonly kind: 'authenticating'; readonly open: Open }
  /** The broker opens the connection's session. */
  | { readonly kind: 'attaching'; readonly open: Open; readonly proof: Proof }
  | Opened
  | { readonly kind: 'closed' };
