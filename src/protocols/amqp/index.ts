// AMQP 1.0 as a protocol of the node: pure machines on the broker's port.

import type { MetricSource, Sample } from '../../base/metrics.ts';
import type { Protocol } from '../protocol.ts';
import { AmqpConnection } from './connection.ts';
import { AmqpServer, type AmqpServerParts } from './server.ts';

export type { ManagementDesk, ManagementEvent } from './nodes/management-node.ts';
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
