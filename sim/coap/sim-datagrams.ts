// A network of datagrams between one simulated client and the node: each is lost, repeated, or late as the weather has it, and so
// overtakes others. The node's end is a path, which lives until the node forgets it or dies; the client's end knows nothing of that.

import type { DatagramPath, DatagramPeer } from '../../src/protocols/datagram.ts';
import type { WireFacts } from '../../src/protocols/protocol.ts';
import { between, chance } from '../random-choices.ts';
import type { World } from '../world.ts';

export type DatagramWeather = {
  /** Shares of all datagrams, 0 to 1. */
  lost: number;
  repeated: number;
  /** Takes up to ten times the latency. */
  late: number;
};

/** One client's way to the node, whichever node it is. */
export class SimDatagrams {
  readonly weather: DatagramWeather = { lost: 0.05, repeated: 0.05, late: 0.1 };
  /** Nothing is carried: the radio is off. */
  silent = false;
  carried = 0;
  readonly #world: World;
  readonly #facts: WireFacts;
  readonly #receive: (bytes: Uint8Array) => void;
  #path: SimPath | undefined;

  constructor(world: World, identity: string, port: number, receive: (bytes: Uint8Array) => void) {
    this.#world = world;
    this.#receive = receive;
    const address = { remoteAddress: '198.51.100.2', remotePort: port };
    this.#facts = { listener: 'sim', ...address, secure: true, peerCertificate: undefined, pskIdentity: identity };
  }

  send(bytes: Uint8Array): void {
    const { crashes } = this.#world;
    // A copy that is so late that the node has lost power since would be another message to it, and no standard could tell.
    this.carry(bytes, (piece) => {
      if (this.#world.crashes === crashes) this.#arrive(piece);
    });
  }

  /** To either side. */
  carry(bytes: Uint8Array, arrive: (bytes: Uint8Array) => void): void {
    const { random, latencyMs } = this.#world;
    const { lost, repeated, late } = this.weather;
    const times = chance(random, lost) ? 0 : chance(random, repeated) ? 2 : 1;
    for (let i = 0; i < times; i++) {
      const atMost = chance(random, late) ? 10 * latencyMs + 50 : latencyMs;
      this.#world.after(between(random, 0, atMost), () => {
        if (this.silent) return;
        this.carried++;
        arrive(Uint8Array.from(bytes));
      });
    }
  }

  #arrive(bytes: Uint8Array): void {
    const { node } = this.#world;
    // Nobody hears it.
    if (node === undefined) return;
    if (this.#path?.node !== node || !this.#path.isOpen) {
      this.#path = new SimPath(this.#world, node, this.#facts, this);
      this.#path.open();
    }
    this.#path.peer.receive(bytes, false);
  }

  deliver(bytes: Uint8Array): void {
    this.#receive(bytes);
  }
}

/** The node's end. */
class SimPath implements DatagramPath {
  readonly maxBytes = 1152;
  readonly isProven = true;
  readonly facts: WireFacts;
  readonly node: NonNullable<World['node']>;
  peer!: DatagramPeer;
  isOpen = true;
  readonly #world: World;
  readonly #way: SimDatagrams;
  #deadlineMs = Infinity;

  constructor(world: World, node: NonNullable<World['node']>, facts: WireFacts, way: SimDatagrams) {
    this.#world = world;
    this.node = node;
    this.facts = facts;
    this.#way = way;
  }

  open(): void {
    this.peer = this.node.coap.open(this);
  }

  get #isAlive(): boolean {
    return this.isOpen && this.#world.node === this.node;
  }

  send(bytes: Uint8Array): void {
    if (!this.#isAlive) return;
    // The checkers count what is heard by the lives of the node.
    this.#way.carry(bytes, (piece) => {
      if (this.#world.node === this.node) this.#way.deliver(piece);
    });
  }

  setDeadline(monotonicMs: number): void {
    this.#deadlineMs = monotonicMs;
    if (monotonicMs === Infinity) return;
    this.#world.at(monotonicMs, () => {
      if (this.#isAlive && this.#deadlineMs === monotonicMs) this.peer.onDeadline();
    });
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#world.turn.atEnd(() => this.peer.onClosed());
  }
}
