// Devices and observers that speak CoAP against one server that was started for it.

import { setTimeout as wait } from 'node:timers/promises';
import { BrokerFailed, RunningBroker, type Broker, type CoapDialect } from './brokers.ts';
import { generate, NotPossible } from './generators.ts';
import { coreTimes, cpuSeconds, foreignShare, residentBytes, type Cores } from './machine.ts';
import type { Measurement } from './measurement.ts';
import type { Scale } from './works.ts';

const slackMs = 90_000;
/** Until what only the handshakes needed is given back, or not. */
const settleMs = 3000;

type Args = readonly (string | number)[];
type Found = Readonly<Record<string, number>>;
/** How devices come in: in clear, or over DTLS by what they have. */
export type Way = 'clear' | 'psk' | 'certificate';

function dialectOf({ name, coap }: Broker, way: Way): CoapDialect {
  if (coap === undefined) throw new NotPossible(`${name} does not speak CoAP`);
  if (way !== 'clear' && !coap.hasDtls) throw new NotPossible(`${name} does not speak DTLS`);
  return coap;
}

function wayIn(running: RunningBroker, dialect: CoapDialect, way: Way): Args {
  const { ports, certificates } = running;
  if (way === 'clear') return ['-p', ports.coap];
  if (way === 'certificate') return ['-p', ports.coap + 1, '-c', certificates.deviceCertificate, '-K', certificates.deviceKey];
  const { identity, keyHex } = dialect.preSharedKey!(running.directory);
  return ['-p', ports.coap + 1, '-u', identity, '-k', keyHex];
}

async function run(
  running: RunningBroker,
  { warmSeconds, measuredSeconds }: Scale,
  cores: Cores | undefined,
  args: Args,
): Promise<Measured> {
  const all = ['-B', running.pid, '-W', warmSeconds, '-d', measuredSeconds, ...args];
  const limitMs = (warmSeconds + measuredSeconds) * 1000 + slackMs;
  const from = cores && { times: coreTimes(cores.broker), cpu: cpuSeconds(running.pid) };
  const found = await generate('coapload', all, cores?.generator, limitMs).result;
  const foreign = from && foreignShare(from.times, coreTimes(cores.broker), cpuSeconds(running.pid) - from.cpu);
  if (running.hasEnded) throw new BrokerFailed(`crashed: ${running.lastWords}`);
  return { found, busy: found['broker_cpu_s']! / found['seconds']!, others: foreign === undefined ? {} : { foreign } };
}

type Measured = { readonly found: Found; readonly busy: number; readonly others: Pick<Measurement, 'foreign'> };

function measurementOf({ found, busy, others }: Measured, per: 'answered' | 'notified', running: RunningBroker): Measurement {
  const perSecond = found[`${per}_per_s`]!;
  if (found['refused']! > 0) throw new BrokerFailed(`${found['refused']} requests were refused`);
  if (perSecond === 0) throw new BrokerFailed(`nothing was ${per}: ${running.lastWords}`);
  return {
    perSecond,
    cpuMicros: (busy / perSecond) * 1e6,
    p50Micros: found['p50_us']!,
    p99Micros: found['p99_us']!,
    p999Micros: found['p999_us']!,
    peakBytes: residentBytes(running.pid, 'highest'),
    brokerBusy: busy,
    generatorBusy: found['generator_busy']!,
    ...others,
  };
}

/** Answers to POST. What is not confirmable may be lost in a full buffer; `lost` counts confirmable ones that had no answer in the end. */
export async function measureRequests(
  broker: Broker,
  scale: Scale,
  cores: Cores | undefined,
  options: { readonly confirmable: boolean; readonly way: Way; readonly queue?: string },
): Promise<Measurement> {
  const { confirmable, way, queue } = options;
  const dialect = dialectOf(broker, way);
  const running = await RunningBroker.start(broker, cores?.broker);
  try {
    const target = queue === undefined ? dialect.target : ['-P', queue];
    const args = [...wayIn(running, dialect, way), ...target, '-n', 64, '-w', 4, ...(confirmable ? ['-C'] : [])];
    const measured = await run(running, scale, cores, args);
    const { found } = measured;
    // Repeated ones that were answered are none that were lost.
    const lost = confirmable ? { lost: Math.max(0, found['sent']! - found['answered']!) } : {};
    return { ...measurementOf(measured, 'answered', running), ...lost };
  } finally {
    await running.stop();
  }
}

/** Notifications: one device sets a value that so many observe. */
export async function measureObservers(broker: Broker, scale: Scale, cores: Cores | undefined, confirmable: boolean): Promise<Measurement> {
  const dialect = dialectOf(broker, 'clear');
  if (!dialect.canBeObserved) throw new NotPossible('it has nothing to observe');
  const running = await RunningBroker.start(broker, cores?.broker);
  try {
    const args = [...wayIn(running, dialect, 'clear'), ...dialect.target, '-n', 1, '-w', 4, '-o', scale.observers, '-C'];
    const measured = await run(running, scale, cores, confirmable ? args : [...args, '-N']);
    return measurementOf(measured, 'notified', running);
  } finally {
    await running.stop();
  }
}

/** Whole handshakes, sixteen at a time. */
export async function measureDtlsHandshakes(broker: Broker, scale: Scale, cores: Cores | undefined, way: Way): Promise<Measurement> {
  const dialect = dialectOf(broker, way);
  const running = await RunningBroker.start(broker, cores?.broker);
  try {
    const measured = await run(running, scale, cores, [...wayIn(running, dialect, way), '-H', '-n', 16]);
    const { found, busy, others } = measured;
    const perSecond = found['done_per_s']!;
    if (found['failed']! > 0) throw new BrokerFailed(`${found['failed']} handshakes failed: ${running.lastWords}`);
    if (perSecond === 0) throw new BrokerFailed('nobody could come in');
    return {
      connectsPerSecond: perSecond,
      connectMicros: (busy / perSecond) * 1e6,
      p50Micros: found['p50_us']!,
      p99Micros: found['p99_us']!,
      brokerBusy: busy,
      generatorBusy: found['generator_busy']!,
      ...others,
    };
  } finally {
    await running.stop();
  }
}

/**
 * What a session costs in which nothing was said: the growth of the whole process, shared by the sessions. They come in on top of as many
 * others, which are there before and stay: what the first thousands of handshakes leave behind in a process is not of their sessions.
 */
export async function measureIdleSessions(broker: Broker, scale: Scale, cores: Cores | undefined, way: Way): Promise<Measurement> {
  const dialect = dialectOf(broker, way);
  const running = await RunningBroker.start(broker, cores?.broker);
  try {
    const args = [...wayIn(running, dialect, way), '-I', '-n', scale.sessionsOfDtls];
    const calmMs = Math.min(settleMs, scale.measuredSeconds * 1000);
    const first = generate('coapload', args, cores?.generator, slackMs);
    await first.result;
    await wait(calmMs);
    const before = residentBytes(running.pid, 'now');
    const second = generate('coapload', args, cores?.generator, slackMs);
    const found = await second.result;
    await wait(calmMs);
    const after = residentBytes(running.pid, 'now');
    first.end();
    second.end();
    if (running.hasEnded) throw new BrokerFailed(`crashed: ${running.lastWords}`);
    return {
      bytesPerConnection: (after - before) / scale.sessionsOfDtls,
      connectsPerSecond: scale.sessionsOfDtls / found['seconds']!,
      generatorBusy: found['generator_busy']!,
    };
  } finally {
    await running.stop();
  }
}
