// MQTT 3.1, 3.1.1 and 5.0 as a protocol of the node: pure machines on the broker's port.

import type { MetricSource, Sample } from '../../base/metrics.ts';
import { protocolKind } from '../protocol-kind.ts';
import type { Protocol } from '../protocol.ts';
import { MqttConnection } from './connection.ts';
import { mqttOptions, mqttSettings } from './settings.ts';
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

export const mqttKind = protocolKind({
  name: 'mqtt',
  title: 'MQTT',
  settings: mqttSettings,
  listenerKinds: {
    tcp: { wire: 'tcp', description: 'MQTT over TCP' },
    tls: { wire: 'tls', description: 'MQTT over TLS' },
  },
  listeners: {
    mqtt: { kind: 'tcp', host: '127.0.0.1', port: 1883 },
    mqtts: { kind: 'tls', host: '::', port: 8883 },
  },
  webSocket: { paths: ['/mqtt'], maxMessageBytes: ({ maxPacketBytes }) => maxPacketBytes },
  ordered: [
    ['mqtt.maxConnectPacketBytes', 'mqtt.maxPacketBytes', 'no client could use more'],
    ['net.outputHighWaterBytes', 'mqtt.maxOutputBytes', 'a client must be told to wait before it loses messages'],
  ],
  powersOfTwo: ['topicCacheEntries'],
  options: mqttOptions,
  create({ broker, security, clock, random, log, trace }, options) {
    const stream = createMqttProtocol({ broker, security, clock, random, log, trace, options });
    return { stream, metrics: () => stream.metrics() };
  },
});
