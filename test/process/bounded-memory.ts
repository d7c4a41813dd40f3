// However fast publishers are, and however slow a consumer or the disk: the process keeps within its memory, others are served,
// and every message is accounted for.

import assert from 'node:assert/strict';

import { defaultConfig } from '../../src/config.ts';
import { until, type CheckContext, type Checks } from '../interop/checks.ts';
import { BrokerProcess } from './broker-process.ts';
import { Flood } from './flood.ts';
import { NumberedConsumer, NumberedPublisher } from './numbered.ts';
import { Peer } from './peer.ts';
import { SlowDisk, slowDiskProblem } from './slow-disk.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const publishers = 100;
const limitMs = 90_000;
/** How long memory is watched. */
const watchMs = 6000;
/** The heap of JavaScript, chunks for output that are kept for reuse, and what was freed and not yet given back. */
const slackBytes = 224 * MiB;
/** On a machine whose every core is busy. */
const normalLatencyMs = 250;

type FloodCase = {
  readonly qos: 0 | 1;
  readonly payloadBytes: number;
  readonly window: number;
  readonly over: 'mqtt' | 'wss';
};

const cases: readonly FloodCase[] = [
  { qos: 0, payloadBytes: 64, window: 0, over: 'mqtt' },
  { qos: 1, payloadBytes: 64, window: 200, over: 'mqtt' },
  { qos: 1, payloadBytes: 16 * KiB, window: 20, over: 'mqtt' },
  { qos: 0, payloadBytes: 16 * KiB, window: 0, over: 'wss' },
];

export async function boundedMemory(checks: Checks): Promise<void> {
  for (const each of cases) {
    const { qos, payloadBytes, over } = each;
    const name = `memory: ${publishers} flat-out publishers at QoS ${qos} with ${payloadBytes} bytes, a consumer (${over}) that reads nothing`;
    await checks.check(name, (context) => readsNothing(context, each), limitMs);
  }
  await checks.check(
    `memory: ${publishers} flat-out publishers, a durable session that is away; what was acknowledged survives a crash`,
    isAway,
    limitMs,
  );
  const problem = await slowDiskProblem();
  for (const qos of [1, 2] as const) {
    const name = `memory: ${publishers} flat-out publishers at QoS ${qos}, a disk that takes 300 ms for each fsync`;
    if (problem === undefined) await checks.check(name, (context) => slowJournal(context, qos), limitMs);
    else checks.skip(name, problem);
  }
}

async function readsNothing(context: CheckContext, { qos, payloadBytes, window, over }: FloodCase): Promise<void> {
  const broker = await BrokerProcess.start(context);
  const port = await broker.served.port(over);
  const consumer = await Peer.connect(port, { clientId: 'reads nothing' }, { wss: over === 'wss' });
  await consumer.subscribe('flood/#', qos);
  consumer.socket.pause();
  const idleBytes = broker.residentBytes();
  const flood = new Flood(context, { port: broker.port, publishers, qos, version: 4, prefix: 'flood', payloadBytes, window });
  await until(() => flood.started);

  const { mqtt, broker: limits } = defaultConfig();
  // A message that makes room for another one is garbage for a while.
  const consumerBytes = mqtt.maxOutputBytes + (qos === 0 ? 0 : 2 * limits.transientInbox.maxBytes);
  const boundBytes = idleBytes + consumerBytes + publishers * 2 * payloadBytes + slackBytes;
  const calm = await watchWhileCalm(broker, boundBytes);

  const reason = qos === 0 ? 'slowConsumer' : 'queueFull';
  const metrics = await broker.metrics();
  assert.ok(metrics.sum('heliograph_broker_messages_dropped_total', { reason }) > 0, 'drops are in the metrics');
  if (qos === 0) assert.ok(metrics.sum('heliograph_mqtt_deliveries_dropped_total', { reason: 'output full' }) > 0);
  assert.equal(flood.closed, 0, 'no publisher lost its connection');
  await flood.stop();
  await until(async () => (await broker.metrics()).sum('heliograph_broker_publishes_accepted_total') === flood.sent + calm);
  if (qos === 1) assert.equal(flood.acknowledged, flood.sent);

  // What the books call delivered is what the consumer finds when it reads at last.
  let received = 0;
  consumer.acknowledges = true;
  consumer.onPublish = () => received++;
  consumer.socket.resume();
  await until(async () => {
    const { delivered, queued } = await broker.books();
    return queued === 0 && delivered === received + calm;
  });
  const { dropped } = await broker.books();
  assert.equal(dropped[reason], flood.sent - received, `every message that the consumer did not get is counted as ${reason}`);
  await broker.stop();
}

/** A client whose messages come back to itself, one after the other, while memory is watched. Returns how many. */
async function watchWhileCalm(broker: BrokerProcess, boundBytes: number): Promise<number> {
  const calm = await Peer.connect(broker.port, { clientId: 'calm' });
  await calm.subscribe('calm');
  const roundTripsMs: number[] = [];
  const residentBytes: number[] = [];
  const startMs = performance.now();
  for (let nowMs = startMs; nowMs - startMs < watchMs; nowMs = performance.now()) {
    await calm.publish('calm', 'x');
    await calm.next('publish');
    roundTripsMs.push(performance.now() - nowMs);
    residentBytes.push(broker.residentBytes());
  }
  await calm.disconnect();
  assertPlateau(residentBytes, boundBytes);
  const median = roundTripsMs.toSorted((a, b) => a - b)[roundTripsMs.length >> 1]!;
  assert.ok(median < normalLatencyMs, `others wait ${median.toFixed(0)} ms for a message (median of ${roundTripsMs.length})`);
  await broker.books();
  return roundTripsMs.length;
}

/** Under the bound at every moment, and not on its way to it. */
function assertPlateau(residentBytes: readonly number[], boundBytes: number): void {
  const mostOf = (samples: readonly number[]): number => Math.max(...samples) / MiB;
  const third = Math.ceil(residentBytes.length / 3);
  const most = mostOf(residentBytes);
  const [before, after] = [mostOf(residentBytes.slice(0, 2 * third)), mostOf(residentBytes.slice(2 * third))];
  const facts = `${most.toFixed(0)} MiB (bound ${(boundBytes / MiB).toFixed(0)}; ${before.toFixed(0)}, in the last third ${after.toFixed(0)})`;
  console.log(`      resident: at most ${facts}`);
  assert.ok(most * MiB <= boundBytes, `memory went over its bound: ${facts}`);
  assert.ok(after <= before * 1.15 + 16, `memory still grows: ${facts}`);
}

async function isAway(context: CheckContext): Promise<void> {
  const maxMessages = 20_000;
  const settings = `broker: {durableInbox: {maxMessages: ${maxMessages}}}`;
  const broker = await BrokerProcess.start(context, { settings });
  const consumer = await Peer.durable(broker.port, 'away');
  await consumer.subscribe('flood', 1);
  await consumer.disconnect();
  const idleBytes = broker.residentBytes();

  const open = (version: 4 | 5) => async (_: unknown, index: number) => {
    const peer = await Peer.connect(broker.port, { clientId: `${version} ${index}` }, { version });
    return { peer, numbered: new NumberedPublisher(peer, `p${version}-${index}`, { topic: 'flood', window: 50, payloadBytes: 64 }) };
  };
  const refusable = await Promise.all(Array.from({ length: publishers - 10 }, open(5)));
  const old = await Promise.all(Array.from({ length: 10 }, open(4)));
  const all = [...refusable, ...old].map(({ numbered }) => numbered);
  const refusals = (): number => refusable.reduce((sum, { numbered }) => sum + numbered.refused.size, 0);

  await until(() => refusals() > 0 && old.every(({ peer }) => peer.ended));
  // 3.1.1 cannot refuse: nothing was acknowledged, and the connection is over.
  for (const { numbered } of old) assert.equal(numbered.refused.size, 0);
  await watchWhileCalm(broker, idleBytes + defaultConfig().broker.durableInbox.maxBytes + slackBytes);
  assert.ok(refusals() > 10_000);
  for (const { numbered } of refusable) {
    for (const reason of numbered.refused.values()) assert.equal(reason, 0x97);
    numbered.stop();
  }
  await until(() => all.every(({ done }) => done));
  const metrics = await broker.metrics();
  assert.ok(metrics.sum('heliograph_broker_publishes_refused_total', { reason: 'queueFull' }) >= refusals() + old.length);
  assert.equal((await broker.books()).queued, maxMessages);

  await broker.crash();
  await assertDelivered(context, { data: broker.data, settings }, 'away', all);
}

/** A broker on data that another one left: the consumer gets what it was promised. */
export async function assertDelivered(
  context: CheckContext,
  { data, settings = '' }: { data: string; settings?: string },
  clientId: string,
  all: readonly NumberedPublisher[],
): Promise<void> {
  const broker = await BrokerProcess.start(context, { data, settings });
  const consumer = await Peer.open(broker.port);
  const numbered = new NumberedConsumer(consumer);
  consumer.send({ type: 'connect', clientId, clean: false, properties: { sessionExpiryInterval: 3600 } });
  const { sessionPresent } = await consumer.next('connack');
  assert.ok(sessionPresent, 'the session is there');
  await until(async () => {
    const { queued, delivered, recovered } = await broker.books();
    return queued === 0 && delivered === recovered;
  });
  numbered.assertKept(all);
  await consumer.disconnect();
  await broker.stop();
}

async function slowJournal(context: CheckContext, qos: 1 | 2): Promise<void> {
  const disk = await SlowDisk.build(context);
  const payloadBytes = 16 * KiB;
  const maxUncommittedBytes = 8 * MiB;
  const settings = `
broker:
  maxUncommittedBytes: ${maxUncommittedBytes}
  payloadMemoryBytes: ${32 * MiB}
  durableInbox: {maxBytes: ${64 * MiB}, onFull: drop-oldest}
`;
  const broker = await BrokerProcess.start(context, { settings, environment: disk.environment });
  const consumer = await Peer.durable(broker.port, 'away');
  await consumer.subscribe('flood/#', qos);
  await consumer.disconnect();
  const idleBytes = broker.residentBytes();
  disk.delay(300);
  const flood = new Flood(context, { port: broker.port, publishers, qos, version: 4, prefix: 'flood', payloadBytes, window: 200 });
  await until(async () => flood.started && (await broker.metrics()).sum('heliograph_broker_publishers_held_total') > 0);

  // Those that are held have sent what stood in their last read: at most one share of a turn, and a packet.
  const overshootBytes = publishers * (64 * KiB + payloadBytes);
  let uncommittedBytes = 0;
  const watching = watchWhileCalm(broker, idleBytes + maxUncommittedBytes + overshootBytes + 32 * MiB + slackBytes);
  let over = false;
  watching.then(
    () => (over = true),
    () => (over = true),
  );
  await until(async () => {
    uncommittedBytes = Math.max(uncommittedBytes, (await broker.metrics()).sum('heliograph_broker_uncommitted_bytes'));
    return over;
  });
  await watching;
  assert.ok(uncommittedBytes <= maxUncommittedBytes + overshootBytes, `${(uncommittedBytes / MiB).toFixed(1)} MiB wait for the disk`);

  disk.delay(0);
  await flood.stop();
  assert.deepEqual([flood.closed, flood.acknowledged], [0, flood.sent], 'nobody was cut, and everything was acknowledged');
  await broker.books();
  await broker.stop();
}
