// What an operator sees of a running broker, and what a device with a certificate may do on it.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { getLines } from '../../src/admin/admin-client.ts';
import { accessOf } from '../../src/cli/admin-access.ts';
import { runCli, Served } from './run-cli.ts';
import { freeListeners } from '../harness/free-listeners.ts';

const config = `
node: {shutdownTimeoutMs: 5s}
listeners: ${JSON.stringify(freeListeners(['mqtt', 'mqtts', 'admin']))}
`;

async function serve(t: TestContext): Promise<{ served: Served; data: string }> {
  const directory = mkdtempSync(join(tmpdir(), 'heliograph-management-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const data = join(directory, 'data');
  const file = join(directory, 'heliograph.yaml');
  writeFileSync(file, config);
  const served = new Served(['--config', file, '--data', data]);
  t.after(() => served.kill());
  await served.port('admin');
  return { served, data };
}

async function client(t: TestContext, url: string, options: IClientOptions): Promise<MqttClient> {
  const connected = await connectAsync(url, { protocolVersion: 5, reconnectPeriod: 0, ...options });
  t.after(() => connected.end(true));
  return connected;
}

test('status shows the books; what it needs is gone when the broker has stopped', async (t) => {
  const { served, data } = await serve(t);
  const url = `mqtt://127.0.0.1:${await served.port('mqtt')}`;
  const admin = await client(t, url, { username: 'admin', password: await served.adminPassword() });
  await admin.subscribeAsync('a/#', { qos: 1 });
  const received = new Promise((resolve) => admin.once('message', resolve));
  await admin.publishAsync('a/b', 'x', { qos: 1 });
  await received;

  const words = await runCli(['status', '--data', data]);
  assert.equal(words.code, 0, words.stderr);
  assert.match(words.stdout, /^state +serving$/m);
  assert.match(words.stdout, /^The books add up/m);
  const { stdout } = await runCli(['status', '--data', data, '--json']);
  const status = JSON.parse(stdout) as { sessions: object; ledger: { accepted: number; imbalance: number } };
  assert.deepEqual(status.sessions, { total: 1, connected: 1 });
  assert.deepEqual([status.ledger.accepted, status.ledger.imbalance], [1, 0]);

  served.signal('SIGTERM');
  assert.equal((await served.ended).code, 0);
  const after = await runCli(['status', '--data', data]);
  assert.equal(after.code, 1);
  assert.match(after.stderr, /No broker runs on this data directory/);
});

test('a device with a certificate has its own branch, and a trace shows what it says', async (t) => {
  const { served, data } = await serve(t);
  const folder = join(data, 'pump-7');
  const added = await runCli(['device', 'add', 'pump-7', '--out', folder, '--role', 'device', '--data', data]);
  assert.equal(added.code, 0, added.stderr);
  const [key, cert, ca] = await Promise.all(['device.key', 'chain.crt', 'ca.crt'].map((name) => readFile(join(folder, name))));

  const leaving = new AbortController();
  const trace = getLines(await accessOf({ data }, {}), '/api/trace?client=c7', leaving.signal);
  const nextPacket = async (): Promise<string> => {
    const line = JSON.parse((await trace.next()).value as string) as { watching?: string; direction?: string; packet?: string };
    return line.watching ?? `${line.direction} ${line.packet?.split(' ')[0]}`;
  };
  assert.equal(await nextPacket(), 'c7');

  const url = `mqtts://localhost:${await served.port('mqtts')}`;
  const pump = await client(t, url, { clientId: 'c7', ca: ca!, key: key!, cert: cert! });
  await pump.publishAsync('dev/pump-7/temperature', '21', { qos: 1 });
  await assert.rejects(pump.publishAsync('dev/pump-8/temperature', '21', { qos: 1 }), /[Nn]ot authorized/);
  assert.deepEqual(
    [await nextPacket(), await nextPacket(), await nextPacket(), await nextPacket(), await nextPacket(), await nextPacket()],
    ['in CONNECT', 'out CONNACK', 'in PUBLISH', 'out PUBACK', 'in PUBLISH', 'out PUBACK'],
  );
  leaving.abort();
  assert.equal((await trace.next()).done, true);

  await assert.rejects(client(t, url, { clientId: 'nobody', ca: ca! }), 'without certificate and password');
});
