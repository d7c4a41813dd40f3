// STOMP 1.0, 1.1 and 1.2 as a protocol of the node: pure machines on the broker's port.

import { protocolKind } from '../protocol-kind.ts';
import type { Protocol, Wire } from '../protocol.ts';
import { StompConnection } from './connection.ts';
import { StompServer } from './server.ts';
import { stompOptions, stompSettings } from './settings.ts';

export const stompKind = protocolKind({
  name: 'stomp',
  title: 'STOMP',
  settings: stompSettings,
  listenerKinds: {
    stomp: { wire: 'tcp', description: 'STOMP over TCP' },
    stomps: { wire: 'tls', description: 'STOMP over TLS' },
  },
  listeners: {
    stomp: { kind: 'stomp', host: '127.0.0.1', port: 61_613 },
    stomps: { kind: 'stomps', host: '::', port: 61_614 },
  },
  webSocket: { paths: ['/stomp'], maxMessageBytes: ({ maxHeadBytes, maxBodyBytes }) => maxHeadBytes + maxBodyBytes },
  ordered: [
    ['net.outputHighWaterBytes', 'stomp.maxOutputBytes', 'a client must be told to wait before it loses messages'],
    ['stomp.maxConnectBytes', 'stomp.maxHeadBytes', 'no client could use more'],
  ],
  options: stompOptions,
  create(parts, options) {
    const server = new StompServer(parts, options);
    const stream: Protocol = {
      name: 'stomp',
      // As registered with IANA.
      takesText: true,
      webSocketProtocols: ['v12.stomp', 'v11.stomp', 'v10.stomp'],
      connect: (wire: Wire) => new StompConnection(server, wire),
    };
    return { stream, metrics: () => server.counters.samples() };
  },
});
