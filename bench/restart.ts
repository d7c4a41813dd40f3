// Durable sessions with a backlog each, larger than the memory for payloads; then kill -9, a start, and every message taken again.

import { BrokerFailed, RunningBroker, type Broker } from './brokers.ts';
import { generate } from './generators.ts';
import { residentBytes, type Cores } from './machine.ts';
import type { Measurement } from './measurement.ts';
import type { Scale } from './works.ts';

const messagesEach = 10;
const payloadBytes = 1024;
const limitMs = 300_000;

export async function measureRestart(broker: Broker, { sessions }: Scale, cores: Cores | undefined): Promise<Measurement> {
  const running = await RunningBroker.start(broker, cores?.broker);
  const messages = sessions * messagesEach;
  const run = async (task: string, ...more: (string | number)[]) =>
    generate('sessions', [task, '-p', running.ports.plain, '-n', sessions, ...more], cores?.generator, limitMs).result;
  try {
    const made = await run('make');
    if (made['closed'] !== sessions) throw new BrokerFailed(`only ${made['closed']} sessions could be made`);
    const filled = await run('fill', '-m', messagesEach, '-s', payloadBytes);
    if (filled['answered'] !== messages) throw new BrokerFailed(`only ${filled['answered']} messages were acknowledged`);
    const fullBytes = residentBytes(running.pid, 'now');
    const restartSeconds = await running.crashAndRestart();
    const restartedBytes = residentBytes(running.pid, 'now');
    const drained = await run('drain', '-m', messagesEach);
    if (drained['wrong']! > 0) throw new BrokerFailed(`${drained['wrong']} messages came out of order`);
    return {
      storedPerSecond: messages / filled['seconds']!,
      fullBytes,
      restartSeconds,
      restartedBytes,
      drainedPerSecond: drained['received']! / drained['seconds']!,
      peakBytes: residentBytes(running.pid, 'highest'),
      lost: messages - drained['received']!,
    };
  } finally {
    await running.stop();
  }
}
