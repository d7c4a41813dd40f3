// heliograph data, on a broker that runs and on one that has stopped.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCli, Served } from './run-cli.ts';
import { freeListeners } from '../harness/free-listeners.ts';

test('trust is copied while the broker runs, everything when it has stopped, and a broker starts on the copy', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'heliograph-cli-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const [data, trust, all] = ['data', 'trust', 'all'].map((name) => join(directory, name)) as [string, string, string];
  const config = join(directory, 'heliograph.yaml');
  writeFileSync(
    config,
    JSON.stringify({
      listeners: freeListeners(),
    }),
  );
  const serve = async (place: string): Promise<Served> => {
    const started = new Served(['--config', config, '--data', place]);
    t.after(() => started.kill());
    await started.port('mqtts');
    return started;
  };
  const served = await serve(data);
  const running = await runCli(['data', 'backup', trust, '--trust-only', '--data', data]);
  assert.equal(running.code, 0, running.stderr);
  assert.ok(readdirSync(trust).includes('registry.db'), running.stdout);
  const refused = await runCli(['data', 'backup', all, '--data', data]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /another process has it open/);
  rmSync(all, { recursive: true, force: true });
  served.signal('SIGTERM');
  await served.ended;
  const stopped = JSON.parse((await runCli(['data', 'backup', all, '--data', data, '--json'])).stdout) as {
    shards: number;
    trust: { registryBytes: number; files: number };
  };
  assert.ok(stopped.shards > 0 && stopped.trust.registryBytes > 0 && stopped.trust.files > 0, JSON.stringify(stopped));
  const again = await serve(all);
  again.signal('SIGTERM');
  assert.equal((await again.ended).code, 0);
  const checked = await runCli(['data', 'check', '--data', all]);
  assert.equal(checked.code, 0, checked.stderr);
  assert.match(checked.stdout, /Everything is whole\./);
});
