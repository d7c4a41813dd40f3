import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCli } from './run-cli.ts';

test('a device is added with its folder; its certificates are listed, held, released and revoked', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'heliograph-certificate-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const cli = (...args: string[]) => runCli([...args, '--data', join(folder, 'data')]);
  const out = join(folder, 'pump-7');
  const added = await cli('device', 'add', 'pump-7', '--out', out);
  assert.equal(added.code, 0, added.stderr);
  assert.deepEqual((await readdir(out)).sort(), ['README.md', 'ca.crt', 'chain.crt', 'device.crt', 'device.key', 'mosquitto.conf']);
  assert.match(await readFile(join(out, 'device.key'), 'utf8'), /PRIVATE KEY/);
  const readMe = await readFile(join(out, 'README.md'), 'utf8');
  for (const way of ['mosquitto_pub -h localhost', 'coaps://localhost:5684/t/dev/pump-7/', 'https://localhost:8443/v1/topics/dev/pump-7/'])
    assert.ok(readMe.includes(way), way);

  const again = await cli('device', 'add', 'pump-8', '--out', out);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /is there already/);
  assert.equal((await cli('device', 'show', 'pump-8')).code, 1, 'a folder that cannot be made leaves no device behind');
  assert.match((await cli('device', 'add', '..')).stderr, /cannot be that of a folder/);

  const list = async (): Promise<{ id: string; status: string; reason?: string }[]> =>
    JSON.parse((await cli('certificate', 'list', '--device', 'pump-7', '--json')).stdout) as { id: string; status: string }[];
  const { id } = (await list())[0]!;
  assert.match((await cli('certificate', 'show', id)).stdout, /owner +device main\/pump-7/);
  assert.equal((await cli('certificate', 'revoke', id, '--reason', 'certificateHold')).code, 0);
  assert.deepEqual(
    (await list()).map(({ status, reason }) => [status, reason]),
    [['revoked', 'certificateHold']],
  );
  assert.equal((await cli('certificate', 'release', id)).code, 0);
  assert.match((await cli('certificate', 'revoke', '--device', 'pump-7')).stdout, /Revoked 1 certificate of device main\/pump-7/);
  assert.equal((await list())[0]!.status, 'revoked');
  assert.equal((await cli('certificate', 'revoke')).code, 2);
  assert.equal((await cli('certificate', 'show', 'nonsense')).code, 2);
});
