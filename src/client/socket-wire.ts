// TCP and TLS.

import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { authorities, pem } from './authorities.ts';
import type { Endpoint } from './endpoint.ts';
import { wireError } from './wire-error.ts';
import type { OpenWire, TlsSettings, Wire, WireEvents } from './wire.ts';

export function overSocket(endpoint: Endpoint, tls: TlsSettings): OpenWire {
  return (events) => new SocketWire(endpoint, open(endpoint, tls), events);
}

function open({ transport, host, port }: Endpoint, tls: TlsSettings): Socket {
  if (transport === 'tcp') return connect({ host, port, noDelay: true });
  const { cert, key, serverName, insecure } = tls;
  const socket = connectTls({
    host,
    port,
    ...authorities(tls),
    ...(cert === undefined ? {} : { cert: pem(cert) }),
    ...(key === undefined ? {} : { key: pem(key) }),
    // An address is no server name (RFC 6066 §3).
    ...(serverName === undefined && isIP(host) !== 0 ? {} : { servername: serverName ?? host }),
    rejectUnauthorized: insecure !== true,
  });
  return socket.setNoDelay(true);
}

class SocketWire implements Wire {
  readonly #socket: Socket;

  constructor(endpoint: Endpoint, socket: Socket, events: WireEvents) {
    this.#socket = socket;
    let failure: NodeJS.ErrnoException | undefined;
    let wasOpen = false;
    socket.once(endpoint.transport === 'tls' ? 'secureConnect' : 'connect', () => {
      wasOpen = true;
      events.opened();
    });
    socket.on('data', (bytes: Buffer) => events.data(bytes));
    socket.on('drain', () => events.drained());
    socket.on('error', (error) => (failure ??= error));
    socket.on('close', () => events.closed(failure === undefined ? undefined : wireError(endpoint, failure, wasOpen)));
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }
}
