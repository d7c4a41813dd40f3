// Publishers and subscribers against one broker that was started for it.

import { BrokerFailed, RunningBroker, type Broker } from './brokers.ts';
import { generate } from './generators.ts';
import { coreTimes, foreignShare, residentBytes, type Cores } from './machine.ts';
import type { Measurement } from './measurement.ts';
import type { Scale } from './works.ts';

/** Time for connecting, and for what is still under way at the end. */
const slackMs = 60_000;

/** `offeredPerSecond`: what the publishers send if they send at a rate; a broker that does not keep up has lost the rest. */
export async function measureLoad(
  broker: Broker,
  { warmSeconds, measuredSeconds }: Scale,
  cores: Cores | undefined,
  args: readonly (string | number)[],
  offeredPerSecond?: number,
): Promise<Measurement> {
  const running = await RunningBroker.start(broker, cores?.broker);
  try {
    const all = ['-p', running.ports.plain, '-B', running.pid, '-W', warmSeconds, '-d', measuredSeconds, ...args];
    const limitMs = (warmSeconds + measuredSeconds) * 1000 + slackMs;
    const from = cores && coreTimes(cores.broker);
    const found = await generate('load', all, cores?.generator, limitMs).result;
    const others = from && foreignShare(from, coreTimes(cores.broker), found['all_broker_cpu_s']!);
    if (running.hasEnded) throw new BrokerFailed(`crashed: ${running.lastWords}`);
    return measurementOf(found, residentBytes(running.pid, 'highest'), others, args, offeredPerSecond);
  } finally {
    await running.stop();
  }
}

function measurementOf(
  found: Readonly<Record<string, number>>,
  peakBytes: number,
  others: number | undefined,
  args: readonly (string | number)[],
  offeredPerSecond: number | undefined,
): Measurement {
  const perSecond = found['received_per_s']!;
  if (found['lost_connections']! > 0) throw new BrokerFailed(`${found['lost_connections']} connections were lost`);
  if (found['repeated']! > 0) throw new BrokerFailed(`${found['repeated']} messages came twice or out of order`);
  if (offeredPerSecond !== undefined && perSecond < 0.97 * offeredPerSecond) {
    throw new BrokerFailed(`does not keep up: ${Math.round(perSecond)} of ${offeredPerSecond} msg/s`);
  }
  const subscribers = Number(args[args.indexOf('-S') + 1]);
  const qos = Number(args[args.indexOf('-q') + 1]);
  const copies = args.includes('1to1') || args.includes('fanin') ? 1 : subscribers;
  return {
    perSecond,
    cpuMicros: (found['broker_cpu_s']! / found['seconds']! / perSecond) * 1e6,
    p50Micros: found['p50_us']!,
    p99Micros: found['p99_us']!,
    p999Micros: found['p999_us']!,
    peakBytes,
    // At QoS 0 a broker may still be reading when the generator stops waiting: what counts then is what later messages overtook.
    lost: qos === 0 ? found['gaps']! : found['sent']! * copies - found['received']!,
    brokerBusy: found['broker_cpu_s']! / found['seconds']!,
    generatorBusy: found['generator_busy']!,
    ...(others === undefined ? {} : { foreign: others }),
  };
}
