// heliograph enrol token, as a script and a person see it.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCli, type Result } from './run-cli.ts';

test('tokens are made, shown once, listed, disabled, enabled and removed', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'heliograph-cli-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const token = (...args: string[]): Promise<Result> => runCli(['enrol', 'token', ...args, '--data', join(directory, 'data')]);
  const good = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await token(...args);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const bad = async (said: RegExp, ...args: string[]): Promise<void> => {
    const { code, stderr } = await token(...args);
    assert.notEqual(code, 0);
    assert.match(stderr, said);
    assert.ok(!stderr.includes('    at '), stderr);
  };
  const made = await good('create', 'pump-*', '--uses', '3', '--valid', '30min', '--group', 'pumps');
  assert.match(made, /^Token, shown only now: hgt_[\w-]{32}\nGood 3 times until \d{4}-\S+Z, for pump-\*\.\n$/);
  const secret = /hgt_(\S+)/.exec(made)![1]!;
  const second = JSON.parse(await good('create', 'valve-1', '--json')) as { token: string; id: string; maxUses: number };
  assert.match(second.token, /^hgt_/);
  assert.equal(second.maxUses, 1);
  await bad(/no number of uses/, 'create', 'x', '--uses', '0');
  await bad(/no span of time/, 'create', 'x', '--valid', 'soon');
  await bad(/pattern/, 'create', 'a/b');
  await bad(/tenant/, 'create', 'x', '--tenant', 'nowhere');

  const list = await good('list');
  assert.match(list, /active +0 of 3 +\S+Z +pump-\* +yes \(device\)/);
  assert.match(list, /active +0 of 1 +\S+Z +valve-1 +no/);
  assert.ok(!list.includes(secret));
  await good('disable', second.id);
  const entries = JSON.parse(await good('list', '--json')) as { id: string; status: string }[];
  assert.equal(entries.find(({ id }) => id === second.id)!.status, 'disabled');
  assert.equal(await good('enable', second.id), `Token ${second.id} is active.\n`);
  assert.equal(await good('remove', second.id), `Removed token ${second.id}.\n`);
  await bad(/no enrolment/i, 'remove', second.id);
});
