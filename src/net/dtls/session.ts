// One open session: what must be kept of it, which is little, because there may be a hundred thousand.

import type { Timed } from './deadlines.ts';
import type { DtlsIdentity, PeerAddress, SessionId } from './endpoint.ts';
import type { Flight, PlainSequence } from './flight.ts';
import type { Opener, Sealer } from './protection.ts';
import type { ReplayWindow } from './replay-window.ts';
import type { Handshake } from './handshake.ts';

export class Session implements Timed {
  deadline = Infinity;
  heapIndex = -1;
  readonly id: SessionId;
  peer: PeerAddress;
  /** Where it began. */
  readonly firstHost: string;
  /** By which it is found without a Connection ID. */
  peerKey: string;
  /** Ours; undefined: it is known by its address. */
  readonly cid: number | undefined;
  readonly identity: DtlsIdentity;
  readonly sealer: Sealer;
  readonly opener: Opener;
  readonly window: ReplayWindow;
  readonly maxBytes: number;
  /** Under which it may be resumed. */
  readonly sessionKey: string | undefined;
  /** Of the hello it began with, shortened: to know that hello when it comes again. */
  readonly #helloMark: number;
  /** Sent again when the client repeats its Finished, because ours was lost; dropped with the first data. */
  lastFlight: { readonly flight: Flight; readonly plain: PlainSequence } | undefined;
  lastSeen: number;

  constructor(id: SessionId, handshake: Handshake, now: number) {
    const { identity, sealer, opener, window, lastFlight, plain, maxBytes, sessionKey } = handshake.outcome;
    this.id = id;
    this.peer = handshake.peer;
    this.firstHost = handshake.peer.address;
    this.peerKey = handshake.peerKey;
    this.cid = handshake.cid;
    this.identity = identity;
    this.sealer = sealer;
    this.opener = opener;
    this.window = window;
    this.maxBytes = maxBytes;
    this.sessionKey = sessionKey;
    this.#helloMark = markOf(handshake.clientRandom);
    this.lastFlight = lastFlight && { flight: lastFlight, plain };
    this.lastSeen = now;
  }

  beganWith(clientRandom: Uint8Array): boolean {
    return this.#helloMark === markOf(clientRandom);
  }
}

function markOf(clientRandom: Uint8Array): number {
  return Buffer.from(clientRandom.buffer, clientRandom.byteOffset, clientRandom.length).readUIntBE(26, 6);
}

export function isSameIdentity(one: DtlsIdentity, other: DtlsIdentity): boolean {
  if (one.kind === 'psk') return other.kind === 'psk' && Buffer.compare(one.identity, other.identity) === 0;
  if (one.kind === 'none') return false;
  return one.kind === other.kind && one.fingerprint === other.fingerprint;
}
