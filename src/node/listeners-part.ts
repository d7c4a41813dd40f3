import type { Config, ListenerConfig } from '../config.ts';
import { isSecure, isWebSocket, listenerKinds } from '../config/listener-kinds.ts';
import type { AcceptLimits } from '../net/accept-limits.ts';
import { DtlsListener } from '../net/dtls-listener.ts';
import type { DatagramLimits } from '../net/datagram-limits.ts';
import type { ListenerCounters } from '../net/listener-counters.ts';
import { Listener, type Endpoint } from '../net/listener.ts';
import { UdpListener } from '../net/udp-listener.ts';
import type { Protocol } from '../protocols/protocol.ts';
import { changeInPlace } from './change-in-place.ts';
import { dtlsListenerSettings } from './dtls-of.ts';
import { acceptLimits, datagramLimits, tlsSettings, webSocketSettings } from './options.ts';
import type { Part } from './part.ts';
import type { Rooms } from './rooms.ts';

export type OpenListener = { readonly name: string; readonly kind: ListenerConfig['kind']; readonly host: string; readonly port: number };

/** What every listener can do, whatever its wire. */
export type OpenableListener = Pick<Listener, 'name' | 'address' | 'start' | 'drain' | 'metrics'> &
  Partial<Pick<Listener, 'reloadTls'>> & { readonly counters: ListenerCounters };

/** Part of the time for stopping that connections may use; the rest is for the journal. */
const drainShare = 0.8;

/** Where messaging peers connect. */
export class ListenersPart implements Part {
  readonly name = 'listeners';
  readonly #rooms: Rooms;
  readonly #limits: AcceptLimits;
  readonly #datagramLimits: DatagramLimits;
  /** What ends silent sessions of DTLS are its own limits. */
  readonly #sessionLimits: DatagramLimits;
  #config: Config;
  #listeners: OpenableListener[] = [];

  constructor(rooms: Rooms) {
    this.#rooms = rooms;
    this.#config = rooms.config;
    this.#limits = acceptLimits(rooms.config);
    this.#datagramLimits = datagramLimits(rooms.config);
    this.#sessionLimits = { ...this.#datagramLimits, idleMs: Infinity };
  }

  /** Those that accept connections, with the ports that the system chose. */
  get open(): readonly OpenListener[] {
    return this.#listeners.flatMap(({ name, address }) => {
      const { kind } = this.#config.listeners[name]!;
      return address === undefined ? [] : [{ name, kind, ...address }];
    });
  }

  get all(): readonly OpenableListener[] {
    return this.#listeners;
  }

  async start(): Promise<void> {
    try {
      for (const [name, settings] of Object.entries(this.#config.listeners)) {
        const listener = this.#listener(name, settings);
        if (listener === undefined) continue;
        this.#listeners.push(listener);
        await listener.start();
      }
    } catch (error) {
      await Promise.all(this.#listeners.map((listener) => listener.drain(performance.now())));
      throw error;
    }
  }

  /** No new connections; those there are told, and cut when they take too long. */
  async stop(deadlineMs: number): Promise<void> {
    const nowMs = performance.now();
    const untilMs = nowMs + (deadlineMs - nowMs) * drainShare;
    this.#rooms.broker.drain();
    const clean = await Promise.all(this.#listeners.map((listener) => listener.drain(untilMs)));
    if (clean.includes(false)) this.#rooms.log.warn('connections were cut because they did not close in time');
  }

  reload(config: Config): void {
    this.#config = config;
    changeInPlace(this.#limits, acceptLimits(config));
    changeInPlace(this.#datagramLimits, datagramLimits(config));
    changeInPlace(this.#sessionLimits, { ...datagramLimits(config), idleMs: Infinity });
    this.refreshTls();
  }

  /** Later handshakes use the certificates that the keystore holds now. */
  refreshTls(): void {
    for (const listener of this.#listeners) {
      const settings = this.#config.listeners[listener.name]!;
      if (listener instanceof DtlsListener) listener.reloadDtls(dtlsListenerSettings(this.#rooms, this.#config, listener.name, settings));
      else if (isSecure(settings.kind))
        listener.reloadTls?.(tlsSettings(this.#config, settings, this.#rooms.keystore.material, this.#rooms.security));
    }
  }

  /** Undefined: it is not open, or somebody else opens it. */
  #listener(name: string, settings: ListenerConfig): OpenableListener | undefined {
    if (!settings.enabled || (settings.devOnly && !this.#rooms.dev)) return undefined;
    const { wire, owner } = listenerKinds[settings.kind];
    if (owner === 'management' || owner === 'pki') return undefined;
    if (owner === 'enrolment') return this.#stream(name, settings, 'tls', [this.#rooms.est]);
    const { protocols } = this.#rooms;
    const behind = protocols.get(owner);
    switch (wire) {
      case 'tcp':
      case 'tls':
        return this.#stream(name, settings, wire, [behind!.stream!]);
      case 'ws':
      case 'wss': {
        const all = [...protocols.values()].flatMap(({ stream }) =>
          stream === undefined || stream.webSocketProtocols.length === 0 ? [] : [stream],
        );
        return this.#stream(name, settings, wire, all);
      }
      case 'udp': {
        const { host, port } = settings;
        const { multicastGroups: groups = [] } = settings;
        return new UdpListener({ name, protocol: behind!.datagram!, host, port, limits: this.#datagramLimits, groups }, this.#rooms.loop);
      }
      case 'dtls': {
        // Its suites are of AES-128 with SHA-256.
        if (this.#config.tls.profile === 'cnsa') {
          this.#rooms.log.warn('no listener of DTLS: the profile cnsa has no suite for it', { listener: name });
          return undefined;
        }
        const { host, port } = settings;
        const dtls = dtlsListenerSettings(this.#rooms, this.#config, name, settings);
        return new DtlsListener({ name, protocol: behind!.datagram!, host, port, limits: this.#sessionLimits, dtls }, this.#rooms.loop);
      }
      case 'http':
      case 'https':
        return new Listener({ ...this.#endpoint(name, settings, wire), requests: behind!.requests! }, this.#rooms.loop);
    }
  }

  #stream(name: string, settings: ListenerConfig, kind: Endpoint['kind'], [protocol, ...otherProtocols]: readonly Protocol[]): Listener {
    return new Listener({ ...this.#endpoint(name, settings, kind), protocol: protocol!, otherProtocols }, this.#rooms.loop);
  }

  #endpoint(name: string, settings: ListenerConfig, kind: Endpoint['kind']): Endpoint {
    const { keystore, security, revocation, dev } = this.#rooms;
    const { host, port } = settings;
    return {
      name,
      kind,
      host,
      port,
      limits: this.#limits,
      ...(revocation && { guard: revocation.admission }),
      ...(isSecure(settings.kind) && { tls: tlsSettings(this.#config, settings, keystore.material, security) }),
      ...(isWebSocket(settings.kind) && { webSocket: webSocketSettings(this.#config, settings, dev) }),
    };
  }
}
