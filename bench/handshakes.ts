// How many devices can connect by certificate: full mutual TLS 1.3 handshakes, CONNECT to CONNACK, with the same certificates.

import { BrokerFailed, RunningBroker, type Broker } from './brokers.ts';
import { generate } from './generators.ts';
import { coreTimes, foreignShare, type Cores } from './machine.ts';
import type { Measurement } from './measurement.ts';
import type { Scale } from './works.ts';

const slackMs = 60_000;

export async function measureHandshakes(
  broker: Broker,
  { warmSeconds, measuredSeconds }: Scale,
  cores: Cores | undefined,
): Promise<Measurement> {
  const running = await RunningBroker.start(broker, cores?.broker);
  try {
    const { deviceCertificate, deviceKey } = running.certificates;
    const args = [
      '-p',
      running.ports.mutual,
      '-c',
      deviceCertificate,
      '-k',
      deviceKey,
      '-W',
      warmSeconds,
      '-d',
      measuredSeconds,
      '-B',
      running.pid,
    ];
    const from = cores && coreTimes(cores.broker);
    const found = await generate('handshakes', args, cores?.generator, (warmSeconds + measuredSeconds) * 1000 + slackMs).result;
    const others = from && foreignShare(from, coreTimes(cores.broker), found['broker_cpu_s']!);
    if (found['lost']! > 0) throw new BrokerFailed(`${found['lost']} handshakes failed: ${running.lastWords}`);
    if (found['done'] === 0) throw new BrokerFailed('nobody could connect');
    if (found['tls13'] !== 1) throw new BrokerFailed('it was not TLS 1.3');
    return {
      connectsPerSecond: found['done']! / found['seconds']!,
      connectMicros: (found['broker_cpu_s']! / found['done']!) * 1e6,
      p50Micros: found['p50_us']!,
      p99Micros: found['p99_us']!,
      brokerBusy: found['broker_cpu_s']! / found['seconds']!,
      generatorBusy: found['generator_busy']!,
      ...(others === undefined ? {} : { foreign: others }),
    };
  } finally {
    await running.stop();
  }
}
