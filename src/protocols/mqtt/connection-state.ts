// The states of a connection. Each holds what is valid in it and nothing else.

import type { Session } from '../../broker/port.ts';
import type { Principal } from '../../security/security.ts';
import type { AuthExchange } from './auth-exchange.ts';
import type { ClientWriter } from './client-writer.ts';
import type { AuthProperties } from './codec/index.ts';
import type { Connected } from './connected.ts';
import type { EarlyPackets } from './early-packets.ts';
import type { Terms } from './handshake.ts';
import type { ProvenBy } from './reauthentication.ts';

/** What the states of the handshake after CONNECT have in common. */
export type Handshake = { readonly terms: Terms; readonly writer: ClientWriter; early: EarlyPackets | undefined };

export type State =
  | { readonly kind: 'awaitingConnect' }
  /** Security checks the credentials. */
  | (Handshake & { readonly kind: 'authenticating' })
  /** Security and the client talk. */
  | (Handshake & { readonly kind: 'exchanging'; readonly exchange: AuthExchange })
  /** The broker opens the session. */
  | (Handshake & {
      readonly kind: 'attaching';
      readonly principal: Principal;
      readonly provenBy: ProvenBy | undefined;
      /** Wall clock; when what proved who the client is ends. */
      readonly expiresAtMs: number | undefined;
      /** For CONNACK. */
      readonly authentication: AuthProperties | undefined;
    })
  | Connected
  /** The wire was told to close; the session is given back when it has. */
  | { readonly kind: 'closing'; readonly session: Session; readonly publishWill: boolean }
  | { readonly kind: 'closed' };
