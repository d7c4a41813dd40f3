// From a socket to a WebSocket: HTTP on sockets that are handed in, and the rules of the upgrade.

import { createServer, STATUS_CODES, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import { allowsOrigin } from './web-origin.ts';

export type WebSocketSettings = {
  /** Paths at which it answers; undefined: any. */
  readonly paths: readonly string[] | undefined;
  /** Origins that browsers may come from, as `https://host:port` or `https://host:*`; undefined: any. Clients that send none are not browsers. */
  readonly origins: readonly string[] | undefined;
  /** Largest message, all its frames together. Bounds what one peer can make us hold. */
  readonly maxMessageBytes: number;
};

export const defaultWebSocketSettings: WebSocketSettings = {
  paths: ['/mqtt', '/amqp', '/'],
  origins: undefined,
  maxMessageBytes: 1024 * 1024,
};

export type WebSocketEvents = {
  opened(webSocket: WebSocket, socket: Socket): void;
  /** The request got an answer that is not an upgrade; the socket is being closed. */
  refused(socket: Socket): void;
};

/** Larger request headers are answered with 431. */
const maxHeaderBytes = 8 * 1024;

export class WebSocketDoor {
  readonly #settings: WebSocketSettings;
  readonly #subprotocols: readonly string[];
  readonly #events: WebSocketEvents;
  readonly #http: Server;
  readonly #webSockets: WebSocketServer;

  constructor(settings: WebSocketSettings, subprotocols: readonly string[], events: WebSocketEvents) {
    this.#settings = settings;
    this.#subprotocols = subprotocols;
    this.#events = events;
    this.#webSockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      // Compression costs memory for each connection and lets a peer make us inflate; devices do without.
      perMessageDeflate: false,
      maxPayload: settings.maxMessageBytes,
      // [MQTT-6.0.0-3] [MQTT-6.0.0-4]: one of ours, or the request has been refused before.
      handleProtocols: (offered) => this.#subprotocols.find((name) => offered.has(name)) ?? false,
    });
    this.#webSockets.on('wsClientError', (_error, socket) => this.#refuse(socket as Socket, 400));
    this.#http = createServer({ maxHeaderSize: maxHeaderBytes, keepAlive: false });
    this.#http.on('request', (request, response) => {
      events.refused(request.socket);
      response.writeHead(426, { Upgrade: 'websocket', Connection: 'Upgrade, close', 'Content-Type': 'text/plain' });
      response.end('This is a WebSocket endpoint.\n');
    });
    this.#http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket as Socket, head));
    this.#http.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      if (error.code === 'ECONNRESET') socket.destroy();
      else this.#refuse(socket as Socket, error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400);
    });
  }

  enter(socket: Socket): void {
    this.#http.emit('connection', socket);
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    // The HTTP server has taken its listeners off.
    socket.on('error', ignore);
    const status = this.#problem(request);
    if (status !== undefined) {
      this.#refuse(socket, status);
      return;
    }
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      this.#events.opened(webSocket, socket);
    });
  }

  /** The status that says what is wrong with the request, if anything is. */
  #problem({ url = '', headers }: IncomingMessage): number | undefined {
    const { paths, origins } = this.#settings;
    const path = url.split('?', 1)[0]!;
    if (paths !== undefined && !paths.includes(path)) return 404;
    if (origins !== undefined && headers.origin !== undefined && !allowsOrigin(origins, headers.origin)) return 403;
    const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
    return offered.some((name) => this.#subprotocols.includes(name)) ? undefined : 400;
  }

  #refuse(socket: Socket, status: number): void {
    this.#events.refused(socket);
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  }
}

function ignore(): void {}
