// MQTT 3.1, 3.1.1 and 5.0 as a protocol of the node: pure machines on the broker's port.

import type { MetricSource, Sample } from '../../base/metrics.ts';
import type { Protocol } from '../protocol.ts';
import { MqttConnection } from './connection.ts';
import { MqttServer, type MqttServerParts } from './server.ts';

export type { MqttOptions } from './options.ts';
export type { MqttServerParts } from './server.ts';

export type MqttProtocol = Protocol & MetricSource;

/** @throws UserError when the options do not fit together */
export function createMqttProtocol(parts: MqttServerParts): MqttProtocol {
  const server = new MqttServer(parts);
  return {
    name: 'mqtt',
    // [MQTT-6.0.0-4]; clients of 3.1 ask for `mqttv3.1`.
    webSocketProtocols: ['mqtt', 'mqttv3.1'],
    connect: (wire) => new MqttConnection(server, wire),
    metrics: (): Iterable<Sample> => server.counters.samples(),
  };
}
