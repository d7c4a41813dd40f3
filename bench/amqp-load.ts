// AMQP senders and receivers against one broker that was started for it.

import { BrokerFailed, RunningBroker, type AmqpDialect, type Broker } from './brokers.ts';
import { generate, NotPossible } from './generators.ts';
import { coreTimes, foreignShare, residentBytes, type Cores } from './machine.ts';
import type { Measurement } from './measurement.ts';
import type { Scale } from './works.ts';

/** Time for connecting, and for what is still under way at the end. */
const slackMs = 60_000;
/** Java compiles what runs often only after a while. */
const leastWarmSeconds = 3;

type Args = readonly (string | number)[];
type Found = Readonly<Record<string, number>>;

/** @throws NotPossible when the broker does not speak AMQP 1.0 */
export function dialectOf({ name, amqp }: Broker): AmqpDialect {
  if (amqp === undefined) throw new NotPossible(`${name} does not speak AMQP 1.0`);
  return amqp;
}

/** `args`: what the broker's dialect does not say. */
export async function measureAmqp(
  broker: Broker,
  { warmSeconds, measuredSeconds }: Scale,
  cores: Cores | undefined,
  args: (dialect: AmqpDialect) => Args,
): Promise<Measurement> {
  const dialect = dialectOf(broker);
  const running = await RunningBroker.start(broker, cores?.broker);
  try {
    const warm = warmSeconds === 0 ? 0 : Math.max(warmSeconds, leastWarmSeconds);
    const all = ['-p', running.ports.amqp, '-B', running.pid, '-W', warm, '-d', measuredSeconds, ...dialect.options, ...args(dialect)];
    const from = cores && coreTimes(cores.broker);
    const found = await generate('amqpload', all, cores?.generator, (warm + measuredSeconds) * 1000 + slackMs).result;
    const others = from && foreignShare(from, coreTimes(cores.broker), found['all_broker_cpu_s']!);
    if (running.hasEnded) throw new BrokerFailed(`crashed: ${running.lastWords}`);
    checkCredit(found, dialect);
    return { ...flowOf(found), peakBytes: residentBytes(running.pid, 'highest'), ...(others === undefined ? {} : { foreign: others }) };
  } finally {
    await running.stop();
  }
}

function checkCredit(found: Found, { exceedsCredit }: AmqpDialect): void {
  if (exceedsCredit !== true && found['uncredited']! > 0) throw new BrokerFailed(`${found['uncredited']} messages came without credit`);
}

/** @throws BrokerFailed when messages or connections were lost on the way that must not be */
export function flowOf(found: Found): Measurement {
  if (found['lost_connections']! > 0) throw new BrokerFailed(`${found['lost_connections']} connections were lost`);
  if (found['repeated']! > 0) throw new BrokerFailed(`${found['repeated']} messages came twice or out of order`);
  if (found['refused'] !== undefined && found['refused'] > 0) throw new BrokerFailed(`${found['refused']} messages were not accepted`);
  const perSecond = found['received_per_s']!;
  return {
    perSecond,
    cpuMicros: (found['broker_cpu_s']! / found['seconds']! / perSecond) * 1e6,
    p50Micros: found['p50_us']!,
    p99Micros: found['p99_us']!,
    p999Micros: found['p999_us']!,
    lost: found['sent']! - found['received']!,
    brokerBusy: found['broker_cpu_s']! / found['seconds']!,
    generatorBusy: found['generator_busy']!,
  };
}

/** The same devices twice on one broker: to a subscriber that speaks MQTT, then to one that speaks AMQP. */
export async function measureFanIn(
  broker: Broker,
  { warmSeconds, measuredSeconds, devices }: Scale,
  cores: Cores | undefined,
  perSecondEach: number,
): Promise<Measurement> {
  const running = await RunningBroker.start(broker, cores?.broker);
  try {
    const common = ['-B', running.pid, '-W', warmSeconds, '-d', measuredSeconds, '-P', devices, '-S', 1, '-q', 1, '-r', perSecondEach];
    const limitMs = (warmSeconds + measuredSeconds) * 1000 + slackMs;
    const mqttArgs = ['-p', running.ports.plain, '-t', 'fanin', ...common];
    const mqtt = flowOf(await generate('load', mqttArgs, cores?.generator, limitMs).result);
    const addresses = ['-a', 'bench/%d/data', '-A', 'bench/#'];
    const amqpArgs = ['-p', running.ports.amqp, '-m', running.ports.plain, ...addresses, ...common];
    const amqp = flowOf(await generate('amqpload', amqpArgs, cores?.generator, limitMs).result);
    for (const { perSecond } of [mqtt, amqp]) {
      if (perSecond! < 0.97 * devices * perSecondEach) {
        throw new BrokerFailed(`does not keep up: ${Math.round(perSecond!)} of ${devices * perSecondEach} msg/s`);
      }
    }
    return {
      ...amqp,
      peakBytes: residentBytes(running.pid, 'highest'),
      lost: mqtt.lost! + amqp.lost!,
      mqttTimes: amqp.cpuMicros! / mqtt.cpuMicros!,
    };
  } finally {
    await running.stop();
  }
}

const backlogLimitMs = 600_000;
const fillers = 10;

/** One queue: filled while nobody takes from it, then drained by one receiver, which checks the order. */
export async function measureBacklog(broker: Broker, { backlog }: Scale, cores: Cores | undefined): Promise<Measurement> {
  const { options, queue } = dialectOf(broker);
  const { sender, receiver } = queue('backlog');
  const running = await RunningBroker.start(broker, cores?.broker);
  const run = async (...args: Args): Promise<Found> => {
    const all = ['-p', running.ports.amqp, '-B', running.pid, '-q', 1, '-n', backlog, ...options, ...args];
    return generate('amqpload', all, cores?.generator, backlogLimitMs).result;
  };
  try {
    const filled = await run('-P', fillers, '-S', 0, '-w', 1000, '-D', ...sender);
    if (filled['answered']! < backlog) throw new BrokerFailed(`only ${filled['answered']} messages were accepted`);
    const fullBytes = residentBytes(running.pid, 'now');
    const drained = await run('-P', 0, '-S', 1, '-f', fillers, '-C', 1000, ...receiver);
    if (drained['repeated']! > 0 || drained['gaps']! > 0) throw new BrokerFailed('messages came out of order');
    if (running.hasEnded) throw new BrokerFailed(`crashed: ${running.lastWords}`);
    checkCredit(drained, dialectOf(broker));
    return {
      storedPerSecond: backlog / filled['seconds']!,
      fullBytes,
      drainedPerSecond: drained['received']! / drained['seconds']!,
      peakBytes: residentBytes(running.pid, 'highest'),
      lost: backlog - drained['received']!,
    };
  } finally {
    await running.stop();
  }
}
