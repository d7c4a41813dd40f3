// One configured endpoint: it listens, lets in or refuses, leads sockets through TLS and WebSocket, and gives what comes out of
// that a protocol.

import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { UserError } from '../base/user-error.ts';
import type { Sample } from '../base/metrics.ts';
import type { HttpHandler } from '../protocols/http-exchange.ts';
import type { Connection, Protocol, Wire, WireFacts } from '../protocols/protocol.ts';
import type { HandshakeGuard, PeerCertificate } from '../security/security.ts';
import { Admission, type AcceptLimits } from './accept-limits.ts';
import { plainAddress } from './address.ts';
import { ClientHello } from './client-hello.ts';
import { negotiated } from './negotiated.ts';
import { NetCounters, type RefusalReason } from './counters.ts';
import { HandleWire } from './handle-wire.ts';
import { httpAlpn, HttpDoor } from './http-door.ts';
import { listenError } from './listen-error.ts';
import type { NetLoop } from './loop.ts';
import { nodeHandles, type NodeHandles, type TcpHandle } from './node-handles.ts';
import type { OpenWire, WireHome } from './open-wire.ts';
import { peerOf, PendingHandshakes } from './pending-handshakes.ts';
import { SocketWire } from './socket-wire.ts';
import { TlsDoor, type TlsEvents, type TlsSettings } from './tls.ts';
import { defaultWebSocketSettings, WebSocketDoor, type WebSocketSettings } from './websocket.ts';
import { WebSocketWire } from './websocket-wire.ts';

export type Endpoint = {
  /** As in the configuration. */
  readonly name: string;
  /** Of all but `http` and `https`. */
  readonly protocol?: Protocol;
  /** For `http` and `https`. */
  readonly requests?: HttpHandler;
  /** For `ws` and `wss`: what else a client may ask for by its subprotocol. */
  readonly otherProtocols?: readonly Protocol[];
  readonly kind: 'tcp' | 'tls' | 'ws' | 'wss' | 'http' | 'https';
  /** An address or name; `::` is every interface, IPv4 and IPv6. */
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
  readonly limits: AcceptLimits;
  /** For `tls`, `wss` and `https`. */
  readonly tls?: TlsSettings;
  /** For `tls`, `wss` and `https`: decides on client certificates; absent: those that TLS has verified are taken. */
  readonly guard?: HandshakeGuard;
  /** For `ws` and `wss`. */
  readonly webSocket?: WebSocketSettings;
  /** False: node:net's sockets only, even where Node's handles can be used. */
  readonly useHandles?: boolean;
};

export type BoundAddress = { readonly host: string; readonly port: number };

export class Listener {
  readonly counters: NetCounters;
  readonly #endpoint: Endpoint;
  readonly #loop: NetLoop;
  readonly #admission: Admission;
  readonly #handshakes: PendingHandshakes;
  readonly #tls: TlsDoor | undefined;
  readonly #webSocket: WebSocketDoor | undefined;
  readonly #http: HttpDoor | undefined;
  readonly #hasHandshake: boolean;
  /** What TLS found out about sockets. */
  readonly #certificates = new WeakMap<Socket, PeerCertificate>();
  readonly #pskIdentities = new WeakMap<Socket, string>();
  readonly #wires = new Set<OpenWire>();
  readonly #connect: (wire: Wire) => Connection;
  /** By WebSocket subprotocol. */
  readonly #connects = new Map<string, (wire: Wire) => Connection>();
  /** Subprotocols whose clients may send text messages. */
  readonly #takeText = new Set<string>();
  readonly #home: WireHome;
  #server: Server | undefined;
  #address: BoundAddress | undefined;
  #draining = false;
  #onEmpty: (() => void) | undefined;

  /** @throws UserError when the certificates cannot be used */
  constructor(endpoint: Endpoint, loop: NetLoop) {
    this.#endpoint = endpoint;
    this.#loop = loop;
    const { name, kind, limits, protocol, requests, tls } = endpoint;
    this.counters = new NetCounters(name);
    this.#admission = new Admission(limits, loop.clock.monotonicMs());
    this.#handshakes = new PendingHandshakes(loop, this.counters, limits.handshakeTimeoutMs);
    const { counters } = this;
    this.#hasHandshake = kind !== 'tcp' && kind !== 'http';
    if (requests !== undefined) this.#http = new HttpDoor(requests, loop, counters, limits.closeTimeoutMs);
    this.#connect = (wire): Connection => protocol!.connect(wire);
    this.#home = {
      counters,
      closeTimeoutMs: limits.closeTimeoutMs,
      gone: (wire) => this.#gone(wire),
    };
    const overWebSocket = kind === 'ws' || kind === 'wss';
    if (kind === 'tls' || kind === 'wss' || kind === 'https') {
      if (tls === undefined) throw new UserError(`Listener ${name} needs TLS settings.`, { where: name, fix: 'give it a certificate' });
      const alpn = overWebSocket ? ['http/1.1'] : requests === undefined ? [protocol!.name] : httpAlpn;
      this.#tls = new TlsDoor(this.#guarded(tls), { listener: name, alpn }, this.#tlsEvents());
    }
    if (overWebSocket) {
      const protocols = [protocol!, ...(endpoint.otherProtocols ?? [])];
      for (const each of protocols) {
        const connect = (wire: Wire): Connection => each.connect(wire);
        for (const subprotocol of each.webSocketProtocols) {
          this.#connects.set(subprotocol, connect);
          if (each.takesText === true) this.#takeText.add(subprotocol);
        }
      }
      this.#webSocket = new WebSocketDoor(endpoint.webSocket ?? defaultWebSocketSettings, [...this.#connects.keys()], {
        opened: (webSocket, socket) => this.#webSocketOpened(webSocket, socket),
        refused: (socket) => this.#handshakes.failed(peerOf(socket), 'upgrade'),
      });
    }
  }

  get name(): string {
    return this.#endpoint.name;
  }

  get kind(): Endpoint['kind'] {
    return this.#endpoint.kind;
  }

  /** Where it listens; undefined before `start` and after it has stopped accepting. */
  get address(): BoundAddress | undefined {
    return this.#address;
  }

  /** @throws UserError when the address cannot be listened on */
  async start(): Promise<BoundAddress> {
    const { host, port } = this.#endpoint;
    try {
      return await this.#listen(host, port);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // A machine without IPv6 has no `::`.
      if (host === '::' && (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL')) {
        try {
          return await this.#listen('0.0.0.0', port);
        } catch (second) {
          throw listenError(this.#endpoint, second as NodeJS.ErrnoException);
        }
      }
      throw listenError(this.#endpoint, error as NodeJS.ErrnoException);
    }
  }

  /** Later handshakes use these certificates; open connections go on. @throws UserError; then nothing has changed */
  reloadTls(settings: TlsSettings): void {
    this.#tls?.reload(this.#guarded(settings));
  }

  #guarded(settings: TlsSettings): TlsSettings {
    const { guard } = this.#endpoint;
    return guard === undefined ? settings : { ...settings, guard };
  }

  /** No new connections from here on; open ones go on. */
  stopAccepting(): void {
    this.#draining = true;
    this.#server?.close();
    this.#server = undefined;
    this.#address = undefined;
    this.#handshakes.destroyAll();
  }

  /**
   * Tells every connection that the node goes down and waits until they are closed, at most until `deadlineMs` on the loop's
   * clock; what is left then is cut. Returns whether nothing had to be cut.
   */
  async drain(deadlineMs: number): Promise<boolean> {
    this.stopAccepting();
    this.#loop.enterTurn();
    for (const wire of this.#wires) wire.shutDown();
    this.#http?.shutDown();
    if (this.#isEmpty()) return true;
    let clean = true;
    const timer = this.#loop.timers.at(deadlineMs, () => {
      clean = false;
      for (const wire of this.#wires) wire.abort();
      this.#http?.abortAll();
      this.#handshakes.destroyAll();
    });
    this.#loop.wakeAt(deadlineMs);
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
    this.#loop.timers.cancel(timer);
    return clean;
  }

  metrics(): Iterable<Sample> {
    return this.counters.metrics();
  }

  #listen(host: string, port: number): Promise<BoundAddress> {
    const { limits, kind, useHandles } = this.#endpoint;
    const keepAliveInitialDelay = limits.keepAliveMs;
    const server = createServer({ noDelay: true, keepAlive: keepAliveInitialDelay > 0, keepAliveInitialDelay });
    server.on('connection', (socket) => this.#acceptSocket(socket));
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port, backlog: limits.backlog, exclusive: true }, () => {
        server.off('error', reject);
        server.on('error', () => this.#refuse('system'));
        // What reads HTTP wants sockets.
        const handles = kind !== 'ws' && kind !== 'http' && useHandles !== false ? nodeHandles() : undefined;
        handles?.takeOver(server, (handle) => this.#acceptHandle(handles, handle));
        this.#server = server;
        const bound = server.address() as AddressInfo;
        this.#address = { host: bound.address, port: bound.port };
        resolve(this.#address);
      });
    });
  }

  // --- letting in ---

  #acceptHandle(handles: NodeHandles, handle: TcpHandle | undefined): void {
    this.#loop.enterTurn();
    if (handle === undefined) {
      this.#refuse('system');
      return;
    }
    const peer: { address?: string; port?: number } = {};
    if (handle.getpeername(peer) !== 0 || peer.address === undefined) {
      // Gone before it was accepted.
      this.counters.failedHandshakes.reset++;
      handle.close(() => {});
      return;
    }
    const { address, port = 0 } = peer;
    const remoteAddress = plainAddress(address);
    const reason = this.#refusal(remoteAddress);
    if (reason !== undefined) {
      this.#refuse(reason);
      handle.close(() => {});
      return;
    }
    this.#entered();
    handle.setNoDelay(true);
    const { keepAliveMs } = this.#endpoint.limits;
    if (keepAliveMs > 0) handle.setKeepAlive(true, Math.max(1, Math.round(keepAliveMs / 1000)));
    if (this.#tls === undefined) {
      this.#open(new HandleWire(this.#loop, this.#home, this.#facts(remoteAddress, port, undefined), handles, handle));
    } else {
      this.#awaitHello(handles, handle, `${address} ${port}`, remoteAddress);
    }
  }

  #awaitHello(handles: NodeHandles, handle: TcpHandle, peer: string, remoteAddress: string): void {
    const hello = new ClientHello(handles, handle, {
      arrived: (socket) => {
        this.#loop.enterTurn();
        this.#handshakes.handOver(peer, socket);
        this.#whenClosed(socket, peer, remoteAddress);
        this.#tls!.enter(socket);
      },
      gone: (reason) => {
        if (reason !== undefined) this.#handshakes.failed(peer, reason);
        this.#handshakes.closed(peer);
        this.#left(remoteAddress);
      },
    });
    this.#handshakes.begin(peer, hello);
  }

  #acceptSocket(socket: Socket): void {
    this.#loop.enterTurn();
    // Until it has an owner that cares; its closing tells enough.
    socket.on('error', () => {});
    if (socket.remoteAddress === undefined) {
      // Gone before it was accepted.
      this.counters.failedHandshakes.reset++;
      socket.destroy();
      return;
    }
    const remoteAddress = plainAddress(socket.remoteAddress);
    const reason = this.#refusal(remoteAddress);
    if (reason !== undefined) {
      this.#refuse(reason);
      socket.destroy();
      return;
    }
    this.#entered();
    if (!this.#hasHandshake && this.#http !== undefined) {
      socket.once('close', () => this.#left(remoteAddress));
      this.#http.enter(socket, this.#facts(remoteAddress, socket.remotePort ?? 0, undefined));
      return;
    }
    if (!this.#hasHandshake) {
      this.#open(new SocketWire(this.#loop, this.#home, this.#facts(remoteAddress, socket.remotePort ?? 0, undefined), socket));
      return;
    }
    const peer = peerOf(socket);
    this.#handshakes.begin(peer, socket);
    this.#whenClosed(socket, peer, remoteAddress);
    if (this.#tls === undefined) {
      this.#webSocket!.enter(socket);
      return;
    }
    // As in client-hello.ts: what is in the socket's buffer when TLS begins makes its receive buffer small.
    socket.once('readable', () => {
      if (socket.readableLength > 0) this.#tls!.enter(socket);
      else socket.destroy();
    });
  }

  #whenClosed(socket: Socket, peer: string, remoteAddress: string): void {
    socket.once('close', () => {
      this.#handshakes.closed(peer);
      this.#left(remoteAddress);
    });
  }

  #refusal(remoteAddress: string): RefusalReason | undefined {
    if (this.#draining) return 'draining';
    if (this.#hasHandshake && this.#handshakes.size >= this.#endpoint.limits.maxPendingHandshakes) return 'handshakes';
    return this.#admission.enter(remoteAddress, this.#loop.clock.monotonicMs());
  }

  #refuse(reason: RefusalReason): void {
    this.counters.refused[reason]++;
  }

  #entered(): void {
    this.counters.accepted++;
    this.counters.active++;
  }

  #tlsEvents(): TlsEvents {
    return {
      secured: (socket, peerCertificate, pskIdentity) => {
        this.counters.secured(negotiated(socket));
        if (pskIdentity !== undefined) this.#pskIdentities.set(socket, pskIdentity);
        if (peerCertificate !== undefined) this.#certificates.set(socket, peerCertificate);
        if (this.#webSocket !== undefined) {
          this.#webSocket.enter(socket);
          return;
        }
        this.#handshakes.succeeded(peerOf(socket));
        if (this.#http !== undefined) this.#http.enter(socket, this.#factsOf(socket));
        else this.#open(new SocketWire(this.#loop, this.#home, this.#factsOf(socket), socket));
      },
      failed: (socket, kind, fault) => {
        if (fault !== undefined) this.counters.refusedCertificates[fault]++;
        this.#handshakes.failed(peerOf(socket), kind);
      },
    };
  }

  #webSocketOpened(webSocket: WebSocket, socket: Socket): void {
    this.#handshakes.succeeded(peerOf(socket));
    // The door lets in only those that it has agreed on a subprotocol with.
    const connect = this.#connects.get(webSocket.protocol) ?? this.#connect;
    this.#open(
      new WebSocketWire(this.#loop, this.#home, this.#factsOf(socket), webSocket, this.#takeText.has(webSocket.protocol)),
      connect,
    );
  }

  #factsOf(socket: Socket): WireFacts {
    const facts = this.#facts(plainAddress(socket.remoteAddress ?? ''), socket.remotePort ?? 0, this.#certificates.get(socket));
    const pskIdentity = this.#pskIdentities.get(socket);
    return pskIdentity === undefined ? facts : { ...facts, pskIdentity };
  }

  #facts(remoteAddress: string, remotePort: number, peerCertificate: PeerCertificate | undefined): WireFacts {
    return { listener: this.#endpoint.name, remoteAddress, remotePort, secure: this.#tls !== undefined, peerCertificate };
  }

  #open(wire: OpenWire, connect = this.#connect): void {
    this.#wires.add(wire);
    wire.open(connect);
  }

  // --- letting go ---

  #gone(wire: OpenWire): void {
    this.#wires.delete(wire);
    // Else the socket below it says so, which may be later.
    if (!this.#hasHandshake) this.#left(wire.facts.remoteAddress);
    else this.#tellEmpty();
  }

  #left(remoteAddress: string): void {
    this.#admission.leave(remoteAddress);
    this.counters.active--;
    this.#tellEmpty();
  }

  #tellEmpty(): void {
    if (this.#isEmpty()) this.#onEmpty?.();
  }

  #isEmpty(): boolean {
    return this.#admission.active === 0 && this.#wires.size === 0;
  }
}
