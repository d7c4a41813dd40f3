// Measures the registry in SQLite with a million devices and as many certificates: the import, look-ups as a connect does them,
// pages as an operator asks for them.
//
//   node bench/registry.ts [DEVICES [DIRECTORY]]

import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SystemClock } from '../src/base/clock.ts';
import { SeededRandom } from '../src/base/random.ts';
import { LookUpCache } from '../src/registry/look-up-cache.ts';
import { maxWrites, type Result, type Write } from '../src/registry/registry.ts';
import { SqliteRegistry } from '../src/registry/sqlite/sqlite-registry.ts';
import { exportDevices } from '../src/registry/transfer/export-devices.ts';
import { importDevices } from '../src/registry/transfer/import-devices.ts';

const devices = Number(process.argv[2] ?? 1_000_000);
const directory = fs.mkdtempSync(join(process.argv[3] ?? tmpdir(), 'heliograph-bench-'));
const path = join(directory, 'registry.db');
const lookUps = 100_000;
const random = new SeededRandom(1);
const issuer = 'ca'.repeat(32);

function good<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

const deviceId = (i: number): string => `device-${String(i).padStart(7, '0')}`;
/** Spread like a hash, so that neighbours are strangers. */
const fingerprint = (i: number): string =>
  (BigInt(i + 1) * 0x9e3779b97f4a7c15f39cc0605cedc8341082276bf3a27251f86c6a11d0c18e95n).toString(16).slice(-64).padStart(64, '0');

function* csv(): Generator<Uint8Array> {
  let text = 'id,groups,label:site,label:model\n';
  for (let i = 0; i < devices; i++) {
    text += `${deviceId(i)},group-${i % 1000},site-${i % 50},m${i % 7}\n`;
    if (text.length < 64 * 1024) continue;
    yield Buffer.from(text);
    text = '';
  }
  yield Buffer.from(text);
}

const fileBytes = (): number => fs.readdirSync(directory).reduce((sum, name) => sum + fs.statSync(join(directory, name)).size, 0);

function stopwatch(): (what: string, count: number) => void {
  const startMs = performance.now();
  const startCpu = process.cpuUsage();
  return (what, count) => {
    const ms = performance.now() - startMs;
    const { user, system } = process.cpuUsage(startCpu);
    const cpuUs = ((user + system) / count).toFixed(1);
    const size = `${(fileBytes() / 1e6).toFixed(0)} MB on disk`;
    console.log(
      `${what.padEnd(34)} ${(ms / 1e3).toFixed(1)} s, ${((count / ms) * 1e3).toFixed(0)}/s, ${cpuUs} µs CPU each, ${size}, ${memory()}`,
    );
  };
}

function memory(): string {
  return `${(process.memoryUsage.rss() / 1e6).toFixed(0)} MB resident`;
}

function latencies(what: string, count: number, ask: (i: number) => void): void {
  const took = new Float64Array(count);
  for (let n = 0; n < count; n++) {
    const i = random.below(devices);
    const start = performance.now();
    ask(i);
    took[n] = (performance.now() - start) * 1e3;
  }
  show(what, took);
}

async function laterLatencies(what: string, count: number, ask: (i: number) => Promise<unknown>): Promise<void> {
  const took = new Float64Array(count);
  for (let n = 0; n < count; n++) {
    const i = random.below(devices);
    const start = performance.now();
    await ask(i);
    took[n] = (performance.now() - start) * 1e3;
  }
  show(what, took);
}

function show(what: string, took: Float64Array): void {
  const mean = took.reduce((sum, us) => sum + us, 0) / took.length;
  took.sort();
  const at = (part: number): string => took[Math.floor((took.length - 1) * part)]!.toFixed(1);
  console.log(`${what.padEnd(34)} mean ${mean.toFixed(1)} µs, p50 ${at(0.5)}, p99 ${at(0.99)}, p99.9 ${at(0.999)}, max ${at(1)}`);
}

async function certificates(registry: SqliteRegistry): Promise<void> {
  for (let start = 0; start < devices; start += maxWrites) {
    const writes: Write[] = [];
    for (let i = start; i < Math.min(start + maxWrites, devices); i++) {
      const owner = { kind: 'device', id: deviceId(i) } as const;
      const notAfterMs = 1_800_000_000_000 + i * 1000;
      const fields = { owner, serial: `1${fingerprint(i).slice(0, 31)}`, issuer, subject: `CN=${deviceId(i)}`, notBeforeMs: 0, notAfterMs };
      writes.push({ do: 'create', kind: 'certificate', tenant: 'main', id: fingerprint(i), fields });
    }
    good(await registry.apply(writes, { atomic: true }));
  }
}

async function main(): Promise<void> {
  const clock = new SystemClock();
  const importing = good(SqliteRegistry.open({ path, clock, thread: false }));
  const imported = stopwatch();
  const outcome = await importDevices(
    importing,
    (async function* () {
      yield* csv();
    })(),
    { format: 'csv', tenant: 'main', existing: 'refuse', refused: (row) => console.error(row) },
  );
  if (outcome.error !== undefined) throw new Error(outcome.error.message);
  imported(`import of ${outcome.accepted} devices (CSV)`, outcome.accepted);
  await importing.close();

  const registry = good(SqliteRegistry.open({ path, clock }));
  const written = stopwatch();
  await certificates(registry);
  written(`${devices} certificates`, devices);

  latencies('device by id, first time', lookUps, (i) => good(registry.get('device', 'main', deviceId(i))));
  latencies('device by id', lookUps, (i) => good(registry.get('device', 'main', deviceId(i))));
  latencies('device that is not there', lookUps, (i) => good(registry.get('device', 'main', `x${i}`)));
  latencies('name, whatever its kind', lookUps, (i) => good(registry.principal('main', deviceId(i))));
  latencies('name that is not there', lookUps, (i) => good(registry.principal('main', `x${i}`)));
  latencies('certificate by fingerprint', lookUps, (i) => good(registry.certificate(fingerprint(i))));
  latencies('credentials of a device', lookUps, (i) => good(registry.credentials('main', { kind: 'device', id: deviceId(i) })));
  const cache = new LookUpCache(registry, clock, { entries: 2 * devices, maxAgeMs: 3_600_000 });
  for (let i = 0; i < devices; i++) void cache.get('device', 'main', deviceId(i));
  latencies('device by id, from the cache', lookUps, (i) => void cache.get('device', 'main', deviceId(i)));
  cache.close();

  const pages = 300;
  const list = (query: object) => async (): Promise<unknown> => good(await registry.list('device', 'main', query));
  await laterLatencies('page of 100', pages, (i) => list({ prefix: deviceId(i).slice(0, 11) })());
  await laterLatencies('page of a label', pages, (i) => list({ labels: { site: `site-${i % 50}` } })());
  await laterLatencies('page of two labels and a group', pages, (i) =>
    list({ labels: { site: `site-${i % 50}`, model: 'm1' }, groups: [`group-${i % 1000}`] })(),
  );
  await laterLatencies('page of few among many', pages, (i) => list({ labels: { model: 'm1', site: `site-${i % 50}` } })());
  await laterLatencies('one device changed, durable', pages, async (i) =>
    good(await registry.update('device', 'main', deviceId(i), { status: 'disabled' })),
  );

  const exported = stopwatch();
  let count = 0;
  for await (const piece of exportDevices(registry, 'main', 'jsonl', {})) {
    if ('error' in piece) throw new Error(piece.error.message);
    count += piece.devices;
  }
  exported('export (JSON lines)', count);
  await registry.close();
}

try {
  await main();
} finally {
  fs.rmSync(directory, { recursive: true });
}
