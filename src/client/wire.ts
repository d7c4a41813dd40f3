// What carries the bytes of a connection: a socket or a WebSocket.

import type { ClientError } from './client-error.ts';
import type { Endpoint } from './endpoint.ts';

export interface Wire {
  /** Takes the bytes over: they must not be changed afterwards. */
  write(bytes: Uint8Array): void;
  /** Bytes that the peer's side has not taken yet. */
  readonly bufferedBytes: number;
  /** Closes after everything was written. */
  end(): void;
  /** Closes now. */
  destroy(): void;
  /** Stops and starts reading, so that a slow reader holds its sender back. */
  pause(): void;
  resume(): void;
}

export interface WireEvents {
  opened(): void;
  /** `bytes` are valid during the call only. */
  data(bytes: Uint8Array): void;
  /** What was buffered has been written. */
  drained(): void;
  /** Once, and the last of the events; without an error when it was closed in order. */
  closed(error: ClientError | undefined): void;
}

/** Starts connecting; never calls an event before it has returned. */
export type OpenWire = (events: WireEvents) => Wire;

export type TlsSettings = {
  /** PEM of the authorities to trust instead of the well-known ones. */
  readonly ca?: string | Uint8Array;
  /** PEM of authorities to trust besides the well-known ones. */
  readonly extraCa?: string | Uint8Array;
  /** PEM of the client's certificate, with its chain, and its private key. */
  readonly cert?: string | Uint8Array;
  readonly key?: string | Uint8Array;
  /** The name that the server's certificate must carry; the host's by default. */
  readonly serverName?: string;
  /** Accepts any certificate: whoever is in between can read and change everything. */
  readonly insecure?: boolean;
};

export async function wireTo(endpoint: Endpoint, tls: TlsSettings): Promise<OpenWire> {
  // Loaded when needed, so that a command over TCP starts without them.
  if (endpoint.transport === 'ws' || endpoint.transport === 'wss')
    return (await import('./websocket-wire.ts')).overWebSocket(endpoint, tls);
  return (await import('./socket-wire.ts')).overSocket(endpoint, tls);
}
