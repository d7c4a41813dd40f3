// What the layer of OSCORE in CoAP (protocols/coap/oscore) asks of security contexts: which one a message is under, to open and to
// seal, and that nothing is accepted twice. Keys stay behind this contract; RFC 8613 throughout.

import type { OscoreContextName } from '../security.ts';

/** Why a request was not accepted. */
export type OscoreFault =
  | 'unknown-context'
  | 'replay'
  | 'decryption-failed'
  /** The option itself, or what was inside, is malformed. */
  | 'malformed';

export interface OscoreContexts {
  /**
   * The contexts that a request with these may be under, likeliest first, once, now or later. 'unavailable': the registry does not
   * answer, or too many ask for what is not there.
   */
  find(kid: Uint8Array, kidContext: Uint8Array | undefined, answer: (found: readonly OscoreContext[] | 'unavailable') => void): void;
  /** For requests to a device; undefined: there is none, or it cannot be found out now. */
  named(name: OscoreContextName, answer: (found: OscoreContext | undefined) => void): void;
  /** A request was not accepted: for counting, and for the audit log. */
  refused(fault: OscoreFault, from: { readonly listener: string; readonly remoteAddress: string }): void;
}

/** What ties responses to their request: RFC 8613 §5.2, §5.4. */
export type OscoreBinding = {
  /** The bytes that both are authenticated with. */
  readonly aad: Uint8Array;
  /** The request's own. Only one response may use it. */
  readonly nonce: Uint8Array;
};

export type OpenedRequest = {
  readonly plaintext: Uint8Array;
  readonly binding: OscoreBinding;
  readonly sequence: number;
};

/** `piv` absent: the nonce is the request's. */
export type SealedResponse = { readonly piv: Uint8Array | undefined; readonly ciphertext: Uint8Array };

export type SealedRequest = {
  readonly kid: Uint8Array;
  readonly kidContext: Uint8Array | undefined;
  readonly piv: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly binding: OscoreBinding;
};

export type Acceptance =
  /** It is new, and will never be accepted again, whatever happens to this process. */
  | { readonly kind: 'fresh' }
  | { readonly kind: 'replay' }
  /** Whether it is new cannot be known: the peer must repeat it with this Echo value (RFC 8613 appendix B.1.2). */
  | { readonly kind: 'challenge'; readonly echo: Uint8Array }
  /**
   * The device wants fresh keys (appendix B.2): it is answered 4.01, sealed with `context` under a nonce of its own, and told
   * `kidContext`.
   */
  | { readonly kind: 'rederive'; readonly context: OscoreContext; readonly kidContext: Uint8Array }
  /** What must be written down cannot be now. */
  | { readonly kind: 'unavailable' };

export interface OscoreContext {
  readonly name: OscoreContextName;
  /**
   * Opens a request; nothing changes by it. 'replay' is only told of what was accepted before for certain; 'decryption-failed': it was
   * not sealed with this context.
   */
  openRequest(kid: Uint8Array, piv: Uint8Array, ciphertext: Uint8Array): OpenedRequest | 'replay' | 'decryption-failed';
  /** Decides on what has been opened, once, now or later. `echo`: what the request holds inside. */
  accept(request: OpenedRequest, echo: Uint8Array | undefined, answer: (acceptance: Acceptance) => void): void;
  /**
   * `ownNonce`: with a Partial IV; needed of every response but one, and always of notifications. Answers once, now or later;
   * undefined: it cannot be sealed (numbers used up, or not to be written down).
   */
  sealResponse(
    binding: OscoreBinding,
    plaintext: Uint8Array,
    ownNonce: boolean,
    answer: (sealed: SealedResponse | undefined) => void,
  ): void;
  sealRequest(plaintext: Uint8Array, answer: (sealed: SealedRequest | undefined) => void): void;
  /** Undefined: it is no response to that request under this context. */
  openResponse(binding: OscoreBinding, piv: Uint8Array | undefined, ciphertext: Uint8Array): Uint8Array | undefined;
}
