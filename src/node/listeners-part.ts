import type { Config, ListenerConfig } from '../config.ts';
import type { AcceptLimits } from '../net/accept-limits.ts';
import { Listener, type Endpoint } from '../net/listener.ts';
import { changeInPlace } from './change-in-place.ts';
import { acceptLimits, tlsSettings, webSocketSettings } from './options.ts';
import type { Part } from './part.ts';
import type { Rooms } from './rooms.ts';

export type OpenListener = { readonly name: string; readonly kind: ListenerConfig['kind']; readonly host: string; readonly port: number };

/** Part of the time for stopping that connections may use; the rest is for the journal. */
const drainShare = 0.8;

/** Where messaging peers connect. */
export class ListenersPart implements Part {
  readonly name = 'listeners';
  readonly #rooms: Rooms;
  readonly #limits: AcceptLimits;
  #config: Config;
  #listeners: Listener[] = [];

  constructor(rooms: Rooms) {
    this.#rooms = rooms;
    this.#config = rooms.config;
    this.#limits = acceptLimits(rooms.config);
  }

  /** Those that accept connections, with the ports that the system chose. */
  get open(): readonly OpenListener[] {
    return this.#listeners.flatMap(({ name, address }) => {
      const { kind } = this.#config.listeners[name]!;
      return address === undefined ? [] : [{ name, kind, ...address }];
    });
  }

  get all(): readonly Listener[] {
    return this.#listeners;
  }

  async start(): Promise<void> {
    try {
      for (const [name, settings] of Object.entries(this.#config.listeners)) {
        const endpoint = this.#endpoint(name, settings);
        if (endpoint === undefined) continue;
        const listener = new Listener(endpoint, this.#rooms.loop);
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
    this.refreshTls();
  }

  /** Later handshakes use the certificates that the keystore holds now. */
  refreshTls(): void {
    for (const listener of this.#listeners) {
      const settings = this.#config.listeners[listener.name]!;
      if (isTls(settings)) listener.reloadTls(tlsSettings(this.#config, settings, this.#rooms.keystore.material, this.#rooms.security));
    }
  }

  #endpoint(name: string, settings: ListenerConfig): Endpoint | undefined {
    const { kind, host, port, enabled } = settings;
    if (!enabled || kind === 'http' || kind === 'https' || kind === 'pki') return undefined;
    const { mqtt, amqp, est, keystore, security } = this.#rooms;
    const protocols = { est, amqp, amqps: amqp, tcp: mqtt, tls: mqtt, ws: mqtt, wss: mqtt };
    const wires = { est: 'tls', amqp: 'tcp', amqps: 'tls', tcp: 'tcp', tls: 'tls', ws: 'ws', wss: 'wss' } as const;
    return {
      name,
      kind: wires[kind],
      host,
      port,
      protocol: protocols[kind],
      ...(kind === 'ws' || kind === 'wss' ? { otherProtocols: [amqp] } : {}),
      limits: this.#limits,
      ...(this.#rooms.revocation && { guard: this.#rooms.revocation.admission }),
      ...(isTls(settings) ? { tls: tlsSettings(this.#config, settings, keystore.material, security) } : {}),
      ...(kind === 'ws' || kind === 'wss' ? { webSocket: webSocketSettings(this.#config, settings, this.#rooms.dev) } : {}),
    };
  }
}

function isTls({ kind }: ListenerConfig): boolean {
  return kind === 'tls' || kind === 'amqps' || kind === 'wss' || kind === 'est';
}
