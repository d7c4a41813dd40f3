// What is measured of AMQP 1.0, and the targets.

import { measureAmqp, measureBacklog, measureFanIn } from './amqp-load.ts';
import type { AmqpDialect } from './brokers.ts';
import { NotPossible } from './generators.ts';
import { atLeast, atMost } from './measurement.ts';
import type { Work } from './works.ts';

const MB = 1e6;
const peers = ['rabbitmq', 'artemis'];

/** Ten pairs, each with at most 1,000 messages between the sender and the receiver. */
const pairs = (settle: number): (string | number)[] => ['-P', 10, '-S', 10, '-q', settle, '-w', 1000, '-l', 1000, '-C', 1000];

const queues = (dialect: AmqpDialect): string[] => {
  const { sender, receiver } = dialect.queue('bench%d');
  return [...sender, ...receiver];
};

export const amqpWorks: readonly Work[] = [
  {
    name: 'amqp-settled',
    title: 'AMQP 10 → 10, pre-settled, topics',
    peers,
    demands: [atLeast('perSecond', 500_000), atMost('lost', 0)],
    measure: (broker, scale, cores) => measureAmqp(broker, scale, cores, ({ topic }) => [...pairs(0), ...topic]),
  },
  {
    name: 'amqp-unsettled',
    title: 'AMQP 10 → 10, unsettled, topics, nothing durable',
    peers,
    demands: [atLeast('perSecond', 200_000), atMost('lost', 0)],
    measure: (broker, scale, cores) => measureAmqp(broker, scale, cores, ({ topic }) => [...pairs(1), ...topic]),
  },
  {
    name: 'amqp-durable',
    title: 'AMQP 10 → 10 through durable queues, unsettled; accepted after fsync',
    peers,
    demands: [atLeast('perSecond', 80_000), atMost('lost', 0)],
    measure: (broker, scale, cores) => measureAmqp(broker, scale, cores, (dialect) => [...pairs(1), '-D', ...queues(dialect)]),
  },
  {
    name: 'amqp-once',
    title: 'AMQP 10 → 10 through durable queues, the receiver settles second',
    peers,
    demands: [atMost('lost', 0)],
    measure: (broker, scale, cores) =>
      measureAmqp(broker, scale, cores, (dialect) => {
        if (dialect.noSecond !== undefined) throw new NotPossible(dialect.noSecond);
        return [...pairs(2), '-D', ...queues(dialect)];
      }),
  },
  {
    name: 'amqp-devices',
    title: '2,000 MQTT devices × 20 msg/s, QoS 1 → 1 AMQP receiver, unsettled',
    peers: [],
    demands: [atMost('mqttTimes', 1.3), atMost('lost', 0)],
    measure: (broker, scale, cores) => measureFanIn(broker, scale, cores, 20),
  },
  {
    name: 'amqp-backlog',
    title: 'AMQP: 1,000,000 durable messages wait in one queue, then are drained in order',
    peers,
    once: true,
    demands: [atMost('peakBytes', 1500 * MB), atMost('lost', 0)],
    measure: (broker, scale, cores) => measureBacklog(broker, scale, cores),
  },
];
