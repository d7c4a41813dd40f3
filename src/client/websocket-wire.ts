// WebSocket, with and without TLS.

import { WebSocket, type ClientOptions, type RawData } from 'ws';
import { authorities, pem } from './authorities.ts';
import { ClientError } from './client-error.ts';
import { endpointText, type Endpoint } from './endpoint.ts';
import { wireError } from './wire-error.ts';
import type { OpenWire, TlsSettings, Wire, WireEvents } from './wire.ts';

/** [MQTT-6.0.0-3] */
const subprotocol = 'mqtt';
/** How long an orderly end may take. */
const closeTimeoutMs = 2000;

export function overWebSocket(endpoint: Endpoint, tls: TlsSettings): OpenWire {
  return (events) => new WebSocketWire(endpoint, tls, events);
}

class WebSocketWire implements Wire {
  readonly #socket: WebSocket;
  readonly #events: WireEvents;

  constructor(endpoint: Endpoint, tls: TlsSettings, events: WireEvents) {
    const { cert, key, serverName, insecure } = tls;
    this.#events = events;
    const options: ClientOptions & { closeTimeout: number } = {
      perMessageDeflate: false,
      closeTimeout: closeTimeoutMs,
      ...authorities(tls),
      ...(cert === undefined ? {} : { cert: pem(cert) }),
      ...(key === undefined ? {} : { key: pem(key) }),
      ...(serverName === undefined ? {} : { servername: serverName }),
      rejectUnauthorized: insecure !== true,
    };
    this.#socket = new WebSocket(endpointText(endpoint), [subprotocol], options);
    this.#socket.binaryType = 'nodebuffer';
    this.#listen(endpoint);
  }

  #listen(endpoint: Endpoint): void {
    const socket = this.#socket;
    const events = this.#events;
    let failure: ClientError | undefined;
    let wasOpen = false;
    socket.on('open', () => {
      wasOpen = true;
      events.opened();
    });
    socket.on('message', (data: RawData, isBinary) => {
      if (isBinary) return events.data(data as Buffer);
      // [MQTT-6.0.0-1]
      failure ??= new ClientError('protocol', `${endpointText(endpoint)} sent text where MQTT has only binary data`);
      socket.terminate();
    });
    socket.on('error', (error) => (failure ??= wireError(endpoint, error, wasOpen)));
    socket.on('close', () => events.closed(failure));
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  write(bytes: Uint8Array): void {
    this.#socket.send(bytes, { binary: true }, () => {
      if (this.#socket.bufferedAmount === 0) this.#events.drained();
    });
  }

  end(): void {
    this.#socket.close(1000);
  }

  destroy(): void {
    this.#socket.terminate();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }
}
