// A disk that is full or fails: nothing more is acknowledged, everything else goes on, and when the disk takes data again so does
// the broker, without a restart. What was acknowledged before is there in any case.

import assert from 'node:assert/strict';

import { until, type CheckContext, type Checks } from '../interop/checks.ts';
import { assertDelivered } from './bounded-memory.ts';
import { BrokerProcess, shutdownMs } from './broker-process.ts';
import { NumberedConsumer, NumberedPublisher } from './numbered.ts';
import { Peer } from './peer.ts';
import { SlowDisk, slowDiskProblem } from './slow-disk.ts';
import { SmallDisk, smallDiskProblem } from './small-disk.ts';

const MiB = 1024 * 1024;
const limitMs = 60_000;
const refusals: readonly number[] = [0x83, 0x97];

export async function refusingDisk(checks: Checks): Promise<void> {
  const full = await smallDiskProblem();
  for (const [name, body] of [
    ['disk: full: refuses, goes on otherwise, and accepts again when space is free', fullDisk],
    ['disk: full, then kill -9 and a start on it: nothing acknowledged is lost', crashOnFullDisk],
    ['disk: full: SIGTERM ends the process in time', stopOnFullDisk],
    ['disk: filled up after a clean stop: it starts, and peers come in', startOnFullDisk],
  ] as const) {
    if (full === undefined) await checks.check(name, body, limitMs);
    else checks.skip(name, full);
  }
  const failing = 'disk: fsync fails: refuses, and accepts again when it does not; nothing acknowledged is lost by kill -9';
  const problem = await slowDiskProblem();
  if (problem === undefined) await checks.check(failing, failingDisk, limitMs);
  else checks.skip(failing, problem);
}

/** A broker on a small disk, with a durable session that is away. */
async function brokerOn(context: CheckContext): Promise<{ disk: SmallDisk; broker: BrokerProcess }> {
  const disk = await SmallDisk.mount(context, 40 * MiB);
  disk.fillWith('ballast', 20 * MiB);
  const broker = await BrokerProcess.start(context, { data: disk.data });
  await durableSession(broker);
  return { disk, broker };
}

async function durableSession(broker: BrokerProcess): Promise<void> {
  const consumer = await Peer.durable(broker.port, 'away');
  await consumer.subscribe('keep/#', 1);
  await consumer.disconnect();
}

async function fullDisk(context: CheckContext): Promise<void> {
  const { disk, broker } = await brokerOn(context);
  const first = await publishUntilRefused(broker);
  const oldPeer = await Peer.connect(broker.port, { clientId: 'old' }, { version: 4 });
  const old = new NumberedPublisher(oldPeer, 'old', { topic: 'keep/old' });
  await oldPeer.end();
  assert.equal(old.acknowledged.size, 0, '3.1.1 has no way to refuse but this');
  await assertRefuses(broker, /no space left/);
  await assertOthersGoOn(broker);

  disk.free('ballast');
  await until(async () => (await broker.ready()).code === 200);
  await until(() => first.done);
  assert.equal(first.unanswered, 0, 'what waited for the disk is acknowledged now');
  await broker.served.line(({ event }) => event === 'store-resumed');
  assert.equal((await broker.metrics()).sum('heliograph_store_stalled'), 0);
  const second = await publisher(broker, 'second', 200);
  await until(() => second.done);
  assert.equal(second.acknowledged.size, 200, 'it accepts again, without a restart');

  const consumer = await Peer.open(broker.port);
  const received = new NumberedConsumer(consumer);
  consumer.send({ type: 'connect', clientId: 'away', clean: false, properties: { sessionExpiryInterval: 3600 } });
  await until(async () => (await broker.books()).queued === 0);
  received.assertKept([first, old, second]);
  assert.ok(first.acknowledged.size > 500);
  await broker.stop();
}

async function publisher(broker: BrokerProcess, name: string, count = Infinity): Promise<NumberedPublisher> {
  const peer = await Peer.connect(broker.port, { clientId: name });
  return new NumberedPublisher(peer, name, { topic: `keep/${name}`, payloadBytes: 8192, window: 20, count });
}

/** What was on its way when the disk refused is not answered: it waits for the disk. */
async function publishUntilRefused(broker: BrokerProcess): Promise<NumberedPublisher> {
  const first = await publisher(broker, 'first');
  await until(async () => (await broker.ready()).code === 503);
  first.stop();
  return first;
}

async function assertRefuses(broker: BrokerProcess, why: RegExp): Promise<void> {
  const { code, reasons } = await broker.ready();
  assert.equal(code, 503);
  assert.match(reasons.join('\n'), why);
  const stalled = await broker.served.line(({ event }) => event === 'store-stalled');
  assert.match(String(stalled['reason']), why);
  assert.match(String((await broker.status()).journal[0]!.stalled), why);
  const metrics = await broker.metrics();
  assert.equal(metrics.sum('heliograph_store_stalled'), 1);
  // What would have to be stored is refused in every shape.
  const peer = await Peer.connect(broker.port, { clientId: 'another' });
  for (const qos of [1, 2] as const) assert.ok(refusals.includes(await peer.publish('keep/another', 'x', qos)), `QoS ${qos}`);
  assert.ok(refusals.includes(await peer.publish('last', 'x', 1, { retain: true })), 'a retained message');
  await peer.disconnect();
  const refused = (await broker.metrics()).sum('heliograph_broker_publishes_refused_total', { reason: 'store' });
  assert.ok(refused >= 3, `${refused} refusals are counted`);
  await assert.rejects(Peer.durable(broker.port, 'a new session'), /reason 0x88/);
}

/** What needs no disk: QoS 0, and sessions that end with their connection. */
async function assertOthersGoOn(broker: BrokerProcess): Promise<void> {
  const live = await Peer.connect(broker.port, { clientId: 'live' });
  await live.subscribe('live/#', 2);
  live.acknowledges = true;
  for (const qos of [0, 1, 2] as const) {
    assert.equal(await live.publish('live/x', `at ${qos}`, qos), 0);
    assert.deepEqual([(await live.next('publish')).payload], [`at ${qos}`]);
  }
  await live.disconnect();
  await broker.books();
}

async function crashOnFullDisk(context: CheckContext): Promise<void> {
  const { disk, broker } = await brokerOn(context);
  const first = await publishUntilRefused(broker);
  // Not a byte is left, whatever the journal may have given back.
  disk.fillUp('last bytes');
  await broker.crash();

  const restarted = await BrokerProcess.start(context, { data: disk.data });
  await assertOthersGoOn(restarted);
  // The first one finds out, and waits; the next are refused.
  const peer = await Peer.connect(restarted.port, { clientId: 'after' });
  peer.send({ type: 'publish', topic: 'keep/after', payload: 'x'.repeat(500_000), qos: 1, id: 1 });
  await until(async () => (await restarted.ready()).code === 503);
  await assertRefuses(restarted, /no space left/);
  await restarted.crash();
  disk.free('ballast');
  await assertDelivered(context, { data: disk.data }, 'away', [first]);
}

async function stopOnFullDisk(context: CheckContext): Promise<void> {
  const { disk, broker } = await brokerOn(context);
  const first = await publishUntilRefused(broker);
  const startMs = performance.now();
  broker.served.signal('SIGTERM');
  await broker.served.ended;
  assert.ok(performance.now() - startMs < shutdownMs + 1000);
  disk.free('ballast');
  await assertDelivered(context, { data: disk.data }, 'away', [first]);
}

async function startOnFullDisk(context: CheckContext): Promise<void> {
  const { disk, broker } = await brokerOn(context);
  await broker.stop();
  disk.fillUp('last bytes');
  const restarted = await BrokerProcess.start(context, { data: disk.data });
  await assertOthersGoOn(restarted);
  await restarted.stop();
}

async function failingDisk(context: CheckContext): Promise<void> {
  const disk = await SlowDisk.build(context);
  const broker = await BrokerProcess.start(context, { environment: disk.environment });
  await durableSession(broker);
  const first = await publisher(broker, 'first');
  await until(() => first.acknowledged.size > 100);
  disk.fail();
  await until(async () => (await broker.ready()).code === 503);
  first.stop();
  await assertRefuses(broker, /the disk refuses/);
  await assertOthersGoOn(broker);
  disk.delay(0);
  await until(async () => (await broker.ready()).code === 200);
  await until(() => first.done);
  assert.equal(first.unanswered, 0);
  const second = await publisher(broker, 'second', 200);
  await until(() => second.done);
  await broker.crash();
  await assertDelivered(context, { data: broker.data }, 'away', [first, second]);
}
