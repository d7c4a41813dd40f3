// heliograph policy, as a script and a person see it.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCli, type Result } from './run-cli.ts';

test('a policy is checked, added, tried, changed and removed without a running node', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'heliograph-cli-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'pump.yaml');
  const broken = join(directory, 'broken.json');
  writeFileSync(
    file,
    'version: 1\nstatements:\n  - { effect: allow, actions: [publish], topics: ["plant/${label:site}/${id}"], conditions: { secure: true } }\n',
  );
  writeFileSync(broken, '{"version": 1, "statements": [{"effect": "allow", "actions": ["publish"]}]}');
  const run = (...args: string[]): Promise<Result> => runCli([...args, '--data', join(directory, 'data')]);
  const good = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(...args);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const faults = await runCli(['policy', 'check', file, broken]);
  assert.equal(faults.code, 1);
  assert.match(faults.stdout, /pump\.yaml: good, 1 statement/);
  assert.match(faults.stderr, /broken\.json: statements\[0\]\.topics is missing, and publish needs it\. Fix: /);
  assert.notEqual((await run('policy', 'add', 'pump', broken)).code, 0);
  await good('policy', 'add', 'pump', file);
  await good('role', 'add', 'pump', '--policy', 'pump');
  await good('device', 'add', 'pump-7', '--no-certificate', '--role', 'pump', '--label', 'site=berlin');
  const question = ['policy', 'test', '-P', 'pump-7', '-a', 'publish', '-t', 'plant/berlin/pump-7'];
  const allowed = await good(...question, '-l', 'mqtts', '--expect', 'allow');
  assert.match(allowed, /^allowed: .*\n {2}by statements\[0\] of the policy pump: allow of plant\/\$\{label:site\}\/\$\{id\}\n/);
  assert.match(await good(...question, '-l', 'mqtt'), /^denied: .*\n[^]*the condition secure is not met/);
  const unexpected = await run(...question, '-l', 'mqtt', '--expect', 'allow');
  assert.equal(unexpected.code, 1);
  assert.match(unexpected.stderr, /The answer is deny, but allow was expected/);
  writeFileSync(file, 'version: 1\nstatements: []\n');
  await good('policy', 'change', 'pump', file);
  assert.equal((JSON.parse(await good(...question, '-l', 'mqtts', '--json')) as { isAllowed: boolean }).isAllowed, false);
  assert.match((await run('policy', 'remove', 'pump')).stderr, /part of the role pump/);
  await good('role', 'remove', 'pump');
  await good('policy', 'remove', 'pump');
  assert.equal(await good('policy', 'list', '--json'), '[]\n');
});
