// What is measured, and the targets.

import { amqpWorks } from './amqp-works.ts';
import { coapWorks } from './coap-works.ts';
import type { Broker } from './brokers.ts';
import { measureHandshakes } from './handshakes.ts';
import { measureIdleConnections } from './idle-connections.ts';
import { measureLoad } from './load.ts';
import type { Cores } from './machine.ts';
import { atLeast, atMost, noMoreThan, timesThatOf, type Demand, type Measurement } from './measurement.ts';
import { measureRestart } from './restart.ts';
import { measureTopicTree } from './topic-tree-work.ts';

/** How much of everything. */
export type Scale = {
  readonly warmSeconds: number;
  readonly measuredSeconds: number;
  readonly devices: number;
  readonly idleConnections: number;
  /** That observe one CoAP resource. */
  readonly observers: number;
  readonly sessionsOfDtls: number;
  readonly filters: number;
  readonly sessions: number;
  /** Messages that wait in one queue. */
  readonly backlog: number;
};

export type Work = {
  readonly name: string;
  readonly title: string;
  /** Those beside ours that it makes sense for. */
  readonly peers: readonly string[];
  /** Runs even where several are asked for: it takes long, and varies little. */
  readonly once?: boolean;
  readonly demands: readonly Demand[];
  measure(broker: Broker, scale: Scale, cores: Cores | undefined): Promise<Measurement>;
};

const MB = 1e6;

const pairs = (qos: number, ...more: string[]) => ['-t', '1to1', '-P', 50, '-S', 50, '-q', qos, ...more];

export const works: readonly Work[] = [
  {
    name: 'qos0',
    title: '50 → 50, QoS 0, flat out',
    peers: ['mosquitto', 'nats', 'aedes'],
    demands: [atLeast('perSecond', 1_000_000), atMost('cpuMicros', 0.9), timesThatOf('mosquitto', 8)],
    measure: (broker, scale, cores) => measureLoad(broker, scale, cores, pairs(0)),
  },
  {
    name: 'qos1',
    title: '50 → 50, QoS 1, nothing durable',
    peers: ['mosquitto', 'nats'],
    demands: [atLeast('perSecond', 500_000), timesThatOf('mosquitto', 6), atMost('lost', 0)],
    measure: (broker, scale, cores) => measureLoad(broker, scale, cores, pairs(1)),
  },
  {
    name: 'qos2',
    title: '50 → 50, QoS 2',
    peers: ['mosquitto'],
    demands: [atLeast('perSecond', 200_000), timesThatOf('mosquitto', 5), atMost('lost', 0)],
    measure: (broker, scale, cores) => measureLoad(broker, scale, cores, pairs(2)),
  },
  {
    name: 'durable',
    title: '50 → 50, QoS 1 into durable sessions; ours: fsync before PUBACK',
    peers: ['mosquitto', 'nats'],
    demands: [atLeast('perSecond', 100_000), atMost('lost', 0)],
    measure: (broker, scale, cores) => measureLoad(broker, scale, cores, pairs(1, '-c')),
  },
  {
    name: 'devices',
    title: '2,000 devices × 20 msg/s, QoS 1 → 1 subscriber',
    peers: ['mosquitto', 'nats', 'aedes'],
    demands: [noMoreThan('mosquitto', 'cpuMicros'), atMost('p99Micros', 10_000), atMost('lost', 0)],
    measure: (broker, scale, cores) =>
      measureLoad(broker, scale, cores, ['-t', 'fanin', '-P', scale.devices, '-S', 1, '-q', 1, '-r', 20], scale.devices * 20),
  },
  {
    name: 'fanout',
    title: '5 → 100 subscribers, QoS 0, flat out',
    peers: ['mosquitto', 'nats', 'aedes'],
    demands: [atLeast('perSecond', 500_000), atMost('peakBytes', 800 * MB)],
    measure: (broker, scale, cores) => measureLoad(broker, scale, cores, ['-t', 'fanout', '-P', 5, '-S', 100, '-q', 0]),
  },
  {
    name: 'fanout1',
    title: '5 → 100 subscribers, QoS 1, flat out',
    peers: ['mosquitto'],
    demands: [atLeast('perSecond', 500_000), atMost('peakBytes', 800 * MB), atMost('lost', 0)],
    measure: (broker, scale, cores) => measureLoad(broker, scale, cores, ['-t', 'fanout', '-P', 5, '-S', 100, '-q', 1]),
  },
  {
    name: 'all',
    title: '50 → 5 on #, QoS 0, flat out',
    peers: ['mosquitto', 'nats', 'aedes'],
    demands: [atLeast('perSecond', 500_000), atMost('peakBytes', 400 * MB)],
    measure: (broker, scale, cores) => measureLoad(broker, scale, cores, ['-t', 'all', '-P', 50, '-S', 5, '-q', 0]),
  },
  {
    name: 'all1',
    title: '50 → 5 on #, QoS 1, flat out',
    peers: ['mosquitto'],
    demands: [atLeast('perSecond', 500_000), atMost('peakBytes', 400 * MB), atMost('lost', 0)],
    measure: (broker, scale, cores) => measureLoad(broker, scale, cores, ['-t', 'all', '-P', 50, '-S', 5, '-q', 1]),
  },
  {
    name: 'idle',
    title: '10,000 idle connections',
    peers: ['mosquitto', 'nats', 'aedes'],
    demands: [atMost('bytesPerConnection', 10_000)],
    measure: (broker, scale, cores) => measureIdleConnections(broker, scale, cores, 'idle'),
  },
  {
    name: 'idle-tls',
    title: '10,000 idle connections, TLS 1.3',
    peers: [],
    demands: [atMost('bytesPerConnection', 35_000)],
    measure: (broker, scale, cores) => measureIdleConnections(broker, scale, cores, 'idle-tls'),
  },
  {
    name: 'handshakes',
    title: 'mutual TLS 1.3 handshakes with CONNECT and CONNACK',
    peers: ['mosquitto'],
    demands: [timesThatOf('mosquitto', 0.8, 'connectsPerSecond')],
    measure: (broker, scale, cores) => measureHandshakes(broker, scale, cores),
  },
  {
    name: 'tree',
    title: 'topic tree with 1,000,000 filters',
    peers: [],
    once: true,
    demands: [atMost('matchMicros', 2), atMost('bytesPerFilter', 250)],
    measure: (_, scale, cores) => measureTopicTree(scale, cores),
  },
  {
    name: 'restart',
    title: '100,000 durable sessions, 1,000,000 queued messages of 1 KB',
    peers: [],
    once: true,
    demands: [atMost('restartSeconds', 10), atMost('lost', 0)],
    measure: (broker, scale, cores) => measureRestart(broker, scale, cores),
  },
  ...amqpWorks,
  ...coapWorks,
];
