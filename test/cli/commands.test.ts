// The commands that end by themselves, as a script sees them.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ownBin, runCli, runCliUnread, runNode } from './run-cli.ts';

function scratch(t: { after(task: () => void): void }): string {
  const directory = mkdtempSync(join(tmpdir(), 'heliograph-cli-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

test('--help names every command and the exit codes', async () => {
  const { code, stdout } = await runCli(['--help']);
  assert.equal(code, 0);
  for (const word of ['serve', 'config', 'user', 'Exit codes', '70']) assert.ok(stdout.includes(word), word);
});

test('--version is that of package.json', async () => {
  const { stdout } = await runCli(['--version']);
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  assert.equal(stdout.trim(), manifest.version);
});

test('an unknown command and an unknown option exit with 2 and without a stack', async () => {
  for (const args of [['sevre'], ['serve', '--nope'], ['serve', '--port-offset', 'x'], ['config', 'check']]) {
    const { code, stderr } = await runCli(args);
    assert.equal(code, 2, args.join(' '));
    assert.ok(!stderr.includes('    at '), stderr);
  }
});

test('config check tells mistakes with their line and exits with 2', async (t) => {
  const file = join(scratch(t), 'heliograph.yaml');
  writeFileSync(file, 'listeners:\n  mqtt:\n    port: "abc"\nlgo: {}\n');
  const { code, stdout, stderr } = await runCli(['config', 'check', file]);
  assert.equal(code, 2);
  assert.equal(stdout, '');
  const [first, second] = stderr.split('\n');
  assert.ok(first!.startsWith(`${file}:3:11: listeners.mqtt.port: must be `), first);
  assert.ok(second!.startsWith(`${file}:4:1: lgo: there is no such setting. Fix: did you mean "log"?`), second);
});

test('config check --json gives the same as data', async (t) => {
  const file = join(scratch(t), 'heliograph.yaml');
  writeFileSync(file, 'lgo: {}\n');
  const bad = await runCli(['config', 'check', file, '--json']);
  assert.equal(bad.code, 2);
  const told = JSON.parse(bad.stdout) as { ok: boolean; problems: { line: number; path: string }[] };
  assert.deepEqual([told.ok, told.problems.length, told.problems[0]!.line, told.problems[0]!.path], [false, 1, 1, 'lgo']);
  writeFileSync(file, 'log: {}\n');
  const good = await runCli(['config', 'check', file, '--json']);
  assert.deepEqual([good.code, JSON.parse(good.stdout)], [0, { ok: true, problems: [] }]);
});

test('a configuration that is not there is told with a fix', async () => {
  const { code, stderr } = await runCli(['config', 'check', '/nowhere/heliograph.yaml']);
  assert.equal(code, 2);
  assert.match(stderr, /^Error: The configuration cannot be read: .*\n {2}where: \/nowhere\/heliograph\.yaml\n {2}fix: /);
});

test('what config defaults prints passes config check', async (t) => {
  const { stdout } = await runCli(['config', 'defaults']);
  const file = join(scratch(t), 'heliograph.yaml');
  writeFileSync(file, stdout);
  assert.equal((await runCli(['config', 'check', file])).code, 0);
});

test('users are added, listed, changed and removed; the password never shows', async (t) => {
  const data = join(scratch(t), 'data');
  const place = ['--data', data, '--json'];
  const json = async (...args: string[]): Promise<Record<string, unknown>> =>
    JSON.parse((await runCli(['user', ...args, ...place], 'correct horse\n')).stdout) as Record<string, unknown>;
  const { tenant, id, roles, ...made } = await json('add', 'ann', '--role', 'device', '--title', 'Ann');
  assert.deepEqual({ tenant, id, roles }, { tenant: 'main', id: 'ann', roles: ['device'] });
  assert.ok(!('password' in made));
  const file = join(data, 'registry.db');
  if (process.platform !== 'win32') assert.equal(statSync(file).mode & 0o077, 0);
  assert.ok(!readFileSync(file, 'latin1').includes('correct horse'));
  const again = await runCli(['user', 'add', 'ann', ...place], 'correct horse\n');
  assert.equal(again.code, 1);
  assert.match((JSON.parse(again.stderr) as { error: { what: string } }).error.what, /ann already/);
  const short = await runCli(['user', 'password', 'ann', ...place], 'short\n');
  assert.match((JSON.parse(short.stderr) as { error: { what: string } }).error.what, /fewer than 8/);
  const { password } = await json('password', 'ann', '--generate');
  assert.match(password as string, /^[a-z0-9-]{20,}$/);
  await json('roles', 'ann', 'application', 'ops');
  const listed = (await json('list')) as unknown as { id: string; roles: string[] }[];
  assert.deepEqual(
    listed.map((user) => ({ id: user.id, roles: user.roles })),
    [{ id: 'ann', roles: ['application', 'ops'] }],
  );
  assert.deepEqual(await json('remove', 'ann'), { tenant: 'main', id: 'ann' });
  assert.deepEqual(await json('list'), []);
  // Every change is on record, done by a command as by a node; what was typed is not.
  const audit = await runCli(['audit', 'list', ...place]);
  for (const action of ['user.create', 'user.password.set', 'user.update', 'user.remove']) assert.ok(audit.stdout.includes(action), action);
  assert.ok(!audit.stdout.includes('correct horse') && !audit.stdout.includes(password as string));
});

test('no password on standard input is an error, not an empty password', async (t) => {
  const { code, stderr } = await runCli(['user', 'add', 'ann', '--data', scratch(t)]);
  assert.equal(code, 1);
  assert.match(stderr, /No password was given/);
});

test('a reader that goes away is no crash', async () => {
  const { stderr, code } = await runCliUnread(['config', 'defaults']);
  assert.equal(stderr, '');
  assert.equal(code, 0);
});

test('an old Node is told what to do', async () => {
  for (const version of ['18.20.4', '24.14.1', '25.2.0']) {
    const pretend = `Object.defineProperty(process.versions, 'node', { value: '${version}' }); await import(process.argv[1]);`;
    const { code, stderr } = await runNode(['--input-type=module', '-e', pretend, ownBin]);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`needs Node 24\\.15 or later .* but this is Node ${version}\\.\nFix: `));
  }
});
