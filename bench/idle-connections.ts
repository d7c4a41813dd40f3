// What a connection costs that says CONNECT and nothing more: the growth of the whole process, shared by the connections.

import { setTimeout as wait } from 'node:timers/promises';
import { BrokerFailed, RunningBroker, type Broker } from './brokers.ts';
import { generate } from './generators.ts';
import { residentBytes, type Cores } from './machine.ts';
import type { Measurement } from './measurement.ts';
import type { Scale } from './works.ts';

const limitMs = 300_000;
/** Until what only the start and the handshakes needed is given back, or not. */
const settleMs = 3000;

export async function measureIdleConnections(
  broker: Broker,
  { idleConnections, measuredSeconds }: Scale,
  cores: Cores | undefined,
  program: 'idle' | 'idle-tls',
): Promise<Measurement> {
  const running = await RunningBroker.start(broker, cores?.broker);
  try {
    const calmMs = Math.min(settleMs, measuredSeconds * 1000);
    await wait(calmMs);
    const before = residentBytes(running.pid, 'now');
    const port = program === 'idle' ? running.ports.plain : running.ports.tls;
    const generating = generate(program, ['-p', port, '-n', idleConnections], cores?.generator, limitMs);
    const found = await generating.result;
    if (found['lost']! > 0 || found['ready'] !== idleConnections) throw new BrokerFailed(`${found['lost']} connections were lost`);
    await wait(calmMs);
    const after = residentBytes(running.pid, 'now');
    generating.end();
    return {
      bytesPerConnection: (after - before) / idleConnections,
      connectsPerSecond: idleConnections / found['seconds']!,
      generatorBusy: found['generator_busy']!,
    };
  } finally {
    await running.stop();
  }
}
