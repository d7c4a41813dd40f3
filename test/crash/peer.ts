// A client of the crash test, whichever implementation it is: it stays connected as well as it can and keeps its session.

import { connect as connectJs, type MqttClient as JsClient } from 'mqtt';
import { ClientError, endpointOf, MqttClient } from '../../src/client/index.ts';
import type { Qos } from '../../src/protocols/mqtt/codec/index.ts';

export type PeerMessage = {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly dup: boolean;
};

export type PeerOptions = {
  readonly clientId: string;
  readonly version: 4 | 5;
  /** Its session outlives its connections. */
  readonly durable: boolean;
  /** Version 5. */
  readonly receiveMaximum: number;
  /** Before it connects again, at least; up to twice as long. */
  readonly absenceMs: number;
  onConnect(sessionPresent: boolean): void;
  onMessage(message: PeerMessage): void;
  /** The server or the client did what neither should. */
  onMistake(what: string): void;
};

export type Fate = 'acknowledged' | 'refused' | 'unknown';

export interface Peer {
  publish(topic: string, payload: Uint8Array, qos: Qos, retain: boolean): Promise<Fate>;
  /** Returns the QoS granted. */
  subscribe(filter: string, qos: Qos): Promise<number>;
  cut(): void;
  /** Reads nothing, and lets the server feel it. */
  pause(): void;
  resume(): void;
  leave(): Promise<void>;
}

const sessionExpirySec = 86_400;

/** Our own client. */
export class OwnPeer implements Peer {
  readonly #client: MqttClient;

  constructor(port: number, { clientId, version, durable, receiveMaximum, absenceMs, ...events }: PeerOptions) {
    this.#client = new MqttClient({
      endpoint: endpointOf('tcp', '127.0.0.1', port),
      version,
      clientId,
      cleanStart: !durable,
      ...(version === 5 && durable ? { sessionExpirySec } : {}),
      receiveMaximum,
      maxInFlight: 20,
      reconnect: { minMs: 2 * absenceMs, maxMs: 2 * absenceMs },
      retryFirst: true,
      onConnect: ({ sessionPresent }) => events.onConnect(sessionPresent),
      onMessage: (message) => events.onMessage(message),
      onEnd: (error) => events.onMistake(error.message),
    });
    this.#client.connect().catch((error: ClientError) => {
      if (error.code !== 'closed') events.onMistake(error.message);
    });
  }

  async publish(topic: string, payload: Uint8Array, qos: Qos, retain: boolean): Promise<Fate> {
    try {
      await this.#client.publish({ topic, payload, qos, retain });
      return 'acknowledged';
    } catch (error) {
      return error instanceof ClientError && error.code === 'rejected' ? 'refused' : 'unknown';
    }
  }

  async subscribe(filter: string, qos: Qos): Promise<number> {
    return (await this.#client.subscribe([{ filter, qos, retainHandling: 2 }]))[0]!;
  }

  cut(): void {
    this.#client.cut();
  }

  pause(): void {
    this.#client.pause();
  }

  resume(): void {
    this.#client.resume();
  }

  leave(): Promise<void> {
    return this.#client.disconnect();
  }
}

/** MQTT.js: nothing of ours is in it. */
export class JsPeer implements Peer {
  readonly #client: JsClient;
  readonly #options: PeerOptions;

  constructor(port: number, options: PeerOptions) {
    const { clientId, version, durable, receiveMaximum, absenceMs } = options;
    this.#options = options;
    this.#client = connectJs(`mqtt://127.0.0.1:${port}`, {
      clientId,
      protocolVersion: version,
      clean: !durable,
      reconnectPeriod: absenceMs,
      connectTimeout: 5000,
      resubscribe: false,
      ...(version === 5 ? { properties: { sessionExpiryInterval: durable ? sessionExpirySec : 0, receiveMaximum } } : {}),
    });
    this.#client.on('connect', ({ sessionPresent }) => options.onConnect(sessionPresent));
    this.#client.on('message', (topic, payload, { qos, retain, dup }) => options.onMessage({ topic, payload, qos, retain, dup }));
    // A refused connection: every other failure is tried again.
    this.#client.on('error', (error) => {
      if (!('errno' in error || 'errors' in error) && !/connack timeout|keepalive/i.test(error.message)) options.onMistake(error.message);
    });
  }

  async publish(topic: string, payload: Uint8Array, qos: Qos, retain: boolean): Promise<Fate> {
    try {
      await this.#client.publishAsync(topic, Buffer.from(payload), { qos, retain });
      return 'acknowledged';
    } catch {
      return 'unknown';
    }
  }

  /** MQTT.js forgets a request when its connection is lost: it is asked again until it is answered. */
  async subscribe(filter: string, qos: Qos): Promise<number> {
    for (;;) {
      try {
        const properties = this.#options.version === 5 ? { rh: 2 } : {};
        const [grant] = await this.#client.subscribeAsync(filter, { qos, ...properties });
        return grant!.qos;
      } catch {
        await new Promise((resolve) => {
          setTimeout(resolve, 100);
        });
      }
    }
  }

  cut(): void {
    this.#client.stream?.destroy();
  }

  pause(): void {
    this.#client.stream?.pause();
  }

  resume(): void {
    this.#client.stream?.resume();
  }

  leave(): Promise<void> {
    return this.#client.endAsync();
  }
}
