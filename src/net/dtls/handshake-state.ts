// The states of a handshake, what it is lent, and what it leaves behind.

import type { Random } from '../../base/random.ts';
import type { DtlsCounters } from './counters.ts';
import type { DtlsIdentity } from './endpoint.ts';
import type { Flight, PlainSequence } from './flight.ts';
import type { Agreed } from './negotiation.ts';
import type { Opener, Sealer } from './protection.ts';
import type { ReplayWindow } from './replay-window.ts';
import type { ResumptionCache } from './resumption-cache.ts';
import type { ResolvedSettings } from './settings.ts';
import type { Suite } from './suites.ts';

export type HandshakeState =
  /** The hello comes in pieces. */
  | 'hello'
  | 'certificate'
  | 'key-exchange'
  /** Somebody looks for the key. */
  | 'psk-answer'
  | 'certificate-verify'
  /** Somebody looks at the certificate. */
  | 'admission'
  | 'finished'
  | 'open'
  | 'failed';

/** What the endpoint lends to its handshakes. */
export type HandshakeParts = {
  readonly settings: ResolvedSettings;
  readonly counters: DtlsCounters;
  readonly random: Random;
  readonly resumptions: ResumptionCache;
  /** A Connection ID that is not in use. */
  readonly newCid: () => number;
};

/** What a finished handshake leaves to its session. */
export type Outcome = {
  readonly suite: Suite;
  readonly agreed: Agreed | undefined;
  readonly identity: DtlsIdentity;
  readonly sealer: Sealer;
  readonly opener: Opener;
  readonly window: ReplayWindow;
  /** To be sent again when the client repeats its own; undefined: the client spoke last. */
  readonly lastFlight: Flight | undefined;
  readonly plain: PlainSequence;
  readonly maxBytes: number;
  readonly sessionKey: string | undefined;
};
