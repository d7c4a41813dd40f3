// The states of a connection. Each holds what is valid in it and nothing else.

import type { Session } from '../../broker/port.ts';
import type { Principal } from '../../security/security.ts';
import type { Connected } from './connected.ts';
import type { Terms } from './terms.ts';

export type State =
  | { readonly kind: 'awaitingConnect' }
  /** Security checks the credentials. */
  | { readonly kind: 'authenticating'; readonly terms: Terms; readonly receipt: string | undefined }
  /** The broker opens the session. */
  | {
      readonly kind: 'attaching';
      readonly terms: Terms;
      readonly principal: Principal;
      /** Wall clock; when what proved who the client is ends. */
      readonly expiresAtMs: number | undefined;
    }
  | Connected
  /** The wire was told to close; the session is given back when it has. */
  | { readonly kind: 'closing'; readonly session: Session | undefined }
  | { readonly kind: 'closed' };
