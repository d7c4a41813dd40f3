// AMQP 1.0 as a protocol of the node: pure machines on the broker's port.

import type { MetricSource, Sample } from '../../base/metrics.ts';
import { protocolKind } from '../protocol-kind.ts';
import type { Protocol } from '../protocol.ts';
import { AmqpConnection } from './connection.ts';
import { amqpOptions, amqpProblems, amqpSettings } from './settings.ts';
import { AmqpServer, type AmqpServerParts } from './server.ts';

export type { AmqpOptions, SaslMechanism } from './options.ts';
export type { AmqpServerParts } from './server.ts';

export type AmqpProtocol = Protocol & MetricSource;

/** @throws UserError when the options do not fit together */
export function createAmqpProtocol(parts: AmqpServerParts): AmqpProtocol {
  const server = new AmqpServer(parts);
  return {
    name: 'amqp',
    // AMQP over WebSocket (OASIS Binding 1.0) §2.1.
    webSocketProtocols: ['amqp'],
    connect: (wire) => new AmqpConnection(server, wire),
    metrics: (): Iterable<Sample> => server.counters.samples(),
  };
}

export const amqpKind = protocolKind({
  name: 'amqp',
  title: 'AMQP',
  settings: amqpSettings,
  listenerKinds: {
    amqp: { wire: 'tcp', description: 'AMQP 1.0 over TCP' },
    amqps: { wire: 'tls', description: 'AMQP 1.0 over TLS' },
  },
  listeners: {
    amqp: { kind: 'amqp', host: '127.0.0.1', port: 5672 },
    amqps: { kind: 'amqps', host: '::', port: 5671 },
  },
  webSocket: { paths: ['/amqp'], maxMessageBytes: ({ maxFrameBytes }) => maxFrameBytes },
  ordered: [
    ['net.outputHighWaterBytes', 'amqp.maxOutputBytes', 'a peer must be told to wait before it loses messages'],
    ['amqp.maxConnectFrameBytes', 'amqp.maxFrameBytes', 'no peer could use more'],
    ['amqp.linkCredit', 'amqp.maxUnsettledPerLink', 'a peer could not use more credit'],
  ],
  powersOfTwo: ['topicCacheEntries'],
  problems: amqpProblems,
  options: amqpOptions,
  create(parts, options) {
    const stream = createAmqpProtocol({ ...parts, options });
    return { stream, metrics: () => stream.metrics() };
  },
});
