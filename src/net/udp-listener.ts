// A UDP socket on which one peer is one source address.

import { isIPv6 } from 'node:net';
import type { Sample } from '../base/metrics.ts';
import type { DatagramProtocol } from '../protocols/datagram.ts';
import type { WireFacts } from '../protocols/protocol.ts';
import { plainAddress } from './address.ts';
import { DatagramCounters } from './datagram-counters.ts';
import type { DatagramLimits } from './datagram-limits.ts';
import { listenError } from './listen-error.ts';
import type { BoundAddress } from './listener.ts';
import type { NetLoop } from './loop.ts';
import { OpenPath } from './open-path.ts';
import { PathHouse } from './path-house.ts';
import { PeerTable } from './peer-table.ts';
import { bindUdp, openUdpSocket, type UdpSocket } from './udp-socket.ts';

export type UdpEndpoint = {
  /** As in the configuration. */
  readonly name: string;
  readonly protocol: DatagramProtocol;
  /** An address or name; `::` is every interface, IPv4 and IPv6. */
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
  readonly limits: DatagramLimits;
  /**
   * Groups to join besides. Each has a socket of its own, by which it is known that a datagram went to it: Node does not tell the
   * destination. For that `host` must be the address of an interface: what listens on all of them gets what goes to groups, too.
   */
  readonly groups?: readonly string[];
};

class UdpPath extends OpenPath<UdpPath> {
  readonly facts: WireFacts;
  readonly maxBytes: number;
  /** That the protocol finds out (RFC 9175). */
  readonly isProven = false;
  /** As the system writes it. */
  readonly #address: string;
  readonly #socket: UdpSocket;

  constructor(home: PathHouse<UdpPath>, facts: WireFacts, address: string, socket: UdpSocket, maxBytes: number) {
    super(home, facts.remoteAddress);
    this.facts = facts;
    this.maxBytes = maxBytes;
    this.#address = address;
    this.#socket = socket;
  }

  get address(): string {
    return this.#address;
  }

  protected get self(): UdpPath {
    return this;
  }

  send(bytes: Uint8Array): void {
    this.#socket.send(bytes, this.facts.remotePort, this.#address);
  }
}

export class UdpListener {
  readonly kind = 'udp';
  readonly counters: DatagramCounters;
  readonly #endpoint: UdpEndpoint;
  readonly #loop: NetLoop;
  readonly #paths = new PeerTable<UdpPath>();
  readonly #house: PathHouse<UdpPath>;
  #socket: UdpSocket | undefined;
  #groupSockets: UdpSocket[] = [];
  #address: BoundAddress | undefined;

  constructor(endpoint: UdpEndpoint, loop: NetLoop) {
    this.#endpoint = endpoint;
    this.#loop = loop;
    this.counters = new DatagramCounters(endpoint.name);
    this.#house = new PathHouse(loop, this.counters, endpoint.limits, (path) => this.#forget(path));
  }

  get name(): string {
    return this.#endpoint.name;
  }

  /** Where it listens; undefined before `start` and once it accepts no new peers. */
  get address(): BoundAddress | undefined {
    return this.#address;
  }

  /** @throws UserError when the address cannot be listened on */
  async start(): Promise<BoundAddress> {
    const { name, host, port, groups = [] } = this.#endpoint;
    try {
      const socket = await this.#open(host, port);
      this.#socket = socket;
      for (const group of groups) this.#groupSockets.push(await this.#join(group, socket.address.port));
      this.#address = socket.address;
      return this.#address;
    } catch (error) {
      this.#close();
      throw listenError({ name, host, port }, error as NodeJS.ErrnoException);
    }
  }

  stopAccepting(): void {
    this.#house.stopAccepting();
    this.#address = undefined;
  }

  /**
   * Tells every peer's protocol that the node goes down and waits until they are closed, at most until `deadlineMs` on the loop's
   * clock. Returns whether nothing had to be cut.
   */
  async drain(deadlineMs: number): Promise<boolean> {
    this.stopAccepting();
    const clean = await this.#house.drain(deadlineMs);
    this.#close();
    return clean;
  }

  *metrics(): Iterable<Sample> {
    yield* this.counters.metrics();
  }

  // --- sockets ---

  #open(host: string, port: number): Promise<UdpSocket> {
    return bindUdp({ ...this.#socketLimits(), host, port }, this.counters, (bytes, address, from) =>
      this.#received(bytes, address, from, false),
    );
  }

  #join(group: string, port: number): Promise<UdpSocket> {
    const { host } = this.#endpoint;
    // Of the interface with that address; IPv6 names it behind a % (RFC 4007 §11).
    const by = isIPv6(host.split('%')[0]!) ? `::%${host.split('%')[1] ?? ''}` : host;
    const options = { ...this.#socketLimits(), host, port, group: { address: group, by } };
    return openUdpSocket(options, this.counters, (bytes, address, from) => this.#received(bytes, address, from, true));
  }

  #socketLimits() {
    const { receiveBufferBytes, sendBufferBytes, maxQueuedBytes } = this.#endpoint.limits;
    return { receiveBufferBytes, sendBufferBytes, maxQueuedBytes };
  }

  #close(): void {
    this.#socket?.close();
    for (const socket of this.#groupSockets) socket.close();
    this.#groupSockets = [];
  }

  // --- peers ---

  #received(bytes: Uint8Array, address: string, port: number, isMulticast: boolean): void {
    const { counters } = this;
    this.#loop.enterTurn();
    counters.received++;
    counters.bytesIn += bytes.length;
    if (isMulticast) counters.multicast++;
    const known = this.#paths.get(address, port);
    const path = known ?? this.#admit(address, port);
    if (path === undefined) return;
    if (known !== undefined) this.#house.heard(known);
    path.received(bytes, isMulticast);
  }

  #admit(address: string, port: number): UdpPath | undefined {
    const remoteAddress = plainAddress(address);
    const reason = this.#house.refusal(remoteAddress);
    if (reason !== undefined) {
      this.counters.dropped[reason]++;
      return undefined;
    }
    const { name, limits, protocol } = this.#endpoint;
    const facts = { listener: name, remoteAddress, remotePort: port, secure: false, peerCertificate: undefined };
    const path = new UdpPath(this.#house, facts, address, this.#socket!, limits.maxDatagramBytes);
    this.#paths.add(address, port, path);
    this.#house.add(path);
    path.open(protocol);
    return path;
  }

  #forget(path: UdpPath): void {
    this.#paths.remove(path.address, path.facts.remotePort, path);
  }
}
