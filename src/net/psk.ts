// Pre-shared keys in the TLS handshake: which identity it was really done with.

import { constants } from 'node:crypto';
import type { TLSSocket } from 'node:tls';

export type PskSettings = {
  /** Shown to clients of TLS 1.2 that have several identities. */
  readonly hint: string;
  /** At once; undefined: not one of ours. */
  readonly keyOf: (identity: string) => Uint8Array | undefined;
  /** Somebody had not the key of the identity it named. */
  readonly refused?: (origin: { readonly listener: string; readonly remoteAddress: string }) => void;
};

/**
 * Without tickets: a connection that was resumed by one would not say whose key began it, and an identity offered beside the
 * ticket could be taken for it.
 */
export const pskSecureOptions = constants.SSL_OP_NO_TICKET;

export class PskHandshakes {
  readonly #settings: PskSettings;
  /** For whom TLS asked for a key. That it did proves nothing. */
  readonly #asked = new WeakMap<TLSSocket, string>();

  constructor(settings: PskSettings) {
    this.#settings = settings;
  }

  /** As node:tls takes them. */
  get options() {
    return {
      pskIdentityHint: this.#settings.hint,
      pskCallback: (socket: TLSSocket, identity: string): Uint8Array | null => {
        const key = this.#settings.keyOf(identity);
        if (key === undefined) return null;
        this.#asked.set(socket, identity);
        return key;
      },
    };
  }

  /**
   * The identity whose key the peer has proved to have. A client may offer one and then shake hands by certificate: TLS 1.3
   * asks for the key before it is known whether it will be used, and only `isSessionReused` tells afterwards (a pre-shared key
   * looks like a resumption there). In TLS 1.2 the suite tells.
   */
  provedBy(socket: TLSSocket): string | undefined {
    const identity = this.#asked.get(socket);
    if (identity === undefined) return undefined;
    const used = socket.getProtocol() === 'TLSv1.3' ? socket.isSessionReused() : socket.getCipher().name.includes('PSK');
    return used ? identity : undefined;
  }

  wasAsked(socket: TLSSocket): boolean {
    return this.#asked.has(socket);
  }
}
