// One peer of datagrams: its protocol on one side, the listener on the other. What differs between an address of a UDP socket and
// a session of DTLS is below it, in udp-listener.ts and dtls-listener.ts.
//
//   open ──close()──► closing ──end of the turn: the peer is told──► gone
//
// While it is closing its protocol still may send; what comes from the peer is dropped.

import type { DatagramPath, DatagramPeer, DatagramProtocol } from '../protocols/datagram.ts';
import type { WireFacts } from '../protocols/protocol.ts';
import type { DatagramCounters } from './datagram-counters.ts';
import type { Deadlines, HasDeadline } from './deadlines.ts';
import type { NetLoop } from './loop.ts';
import type { HasRecency } from './recency.ts';

/** What a path needs of the listener that it came in by. */
export interface PathHome<Path extends HasDeadline> {
  readonly loop: NetLoop;
  readonly counters: DatagramCounters;
  readonly deadlines: Deadlines<Path>;
  /** Its protocol has closed it, or failed. */
  closed(path: Path): void;
}

export abstract class OpenPath<Self extends OpenPath<Self>> implements DatagramPath, HasDeadline, HasRecency<Self> {
  abstract readonly facts: WireFacts;
  /** The address that it was counted for when it came. */
  readonly admittedAs: string;
  abstract readonly isProven: boolean;
  abstract readonly maxBytes: number;
  // Of the heap and the list that it stands in.
  dueMs = Infinity;
  heapMs = Infinity;
  heapIndex = -1;
  older: Self | undefined = undefined;
  newer: Self | undefined = undefined;
  heardMs = 0;
  protected readonly home: PathHome<Self>;
  protected isOpen = true;
  #peer: DatagramPeer | undefined;

  constructor(home: PathHome<Self>, admittedAs: string) {
    this.home = home;
    this.admittedAs = admittedAs;
  }

  abstract send(bytes: Uint8Array): void;
  /** This, by its own type. */
  protected abstract readonly self: Self;

  setDeadline(monotonicMs: number): void {
    if (this.isOpen) this.home.deadlines.set(this.self, monotonicMs);
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.home.deadlines.remove(this.self);
    this.home.closed(this.self);
  }

  // --- the listener's side ---

  open(protocol: DatagramProtocol): void {
    try {
      this.#peer = protocol.open(this);
    } catch (error) {
      this.#broken(error);
    }
  }

  /** Nothing of worth would be lost with it. */
  get isIdle(): boolean {
    return this.isOpen && (this.#peer?.isIdle ?? true);
  }

  received(bytes: Uint8Array, isMulticast: boolean): void {
    if (!this.isOpen) {
      this.home.counters.dropped.closed++;
      return;
    }
    try {
      this.#peer!.receive(bytes, isMulticast);
    } catch (error) {
      this.#broken(error);
    }
  }

  due(): void {
    try {
      this.#peer?.onDeadline();
    } catch (error) {
      this.#broken(error);
    }
  }

  shutDown(): void {
    if (!this.isOpen) return;
    try {
      this.#peer?.shutDown();
    } catch (error) {
      this.#broken(error);
    }
  }

  /** Tells its protocol that it is over. */
  tellEnded(): void {
    const peer = this.#peer;
    this.#peer = undefined;
    try {
      peer?.onClosed();
    } catch (error) {
      this.home.loop.invariantBroken(error, this.facts.listener);
    }
  }

  #broken(error: unknown): void {
    this.home.loop.invariantBroken(error, this.facts.listener);
    this.close();
  }
}
