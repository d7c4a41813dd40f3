// Commands and the management API on a running broker: who may what, by which credentials, and that a command does the same with a
// broker as without.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { runCli, Served, type Result } from './run-cli.ts';
import { freeListeners } from '../harness/free-listeners.ts';

type Stand = { readonly data: string; readonly served: Served; readonly url: string; readonly cli: (...args: string[]) => Promise<Result> };

async function serve(t: TestContext, more = '', given?: string): Promise<Stand> {
  const directory = mkdtempSync(join(tmpdir(), 'heliograph-api-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const data = given ?? join(directory, 'data');
  const file = join(directory, 'heliograph.yaml');
  writeFileSync(file, `listeners: ${JSON.stringify(freeListeners(['mqtt', 'admin']))}\n${more}`);
  const served = new Served(['--config', file, '--data', data]);
  t.after(() => served.kill());
  const url = `http://127.0.0.1:${await served.port('admin')}`;
  return { data, served, url, cli: (...args) => runCli([...args, '--data', data]) };
}

const basic = (name: string, password: string) => `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;

async function ask(url: string, path: string, authorization: string | undefined, method = 'GET', body?: object) {
  const headers = {
    ...(authorization !== undefined && { authorization }),
    ...(body !== undefined && { 'content-type': 'application/json' }),
  };
  const response = await fetch(`${url}/api/v1${path}`, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) });
  const text = await response.text();
  return { status: response.status, body: (text === '' ? undefined : JSON.parse(text)) as Record<string, unknown> | undefined };
}

test('roles decide what a person may manage, by password and by token', async (t) => {
  const { cli, url, served } = await serve(t);
  const password = async (name: string, role: string): Promise<string> => {
    const { stdout, stderr } = await cli('user', 'add', name, '--role', role, '--generate', '--json');
    assert.ok(stdout, stderr);
    return (JSON.parse(stdout) as { password: string }).password;
  };
  const viewer = basic('vera', await password('vera', 'viewer'));
  const operator = basic('otto', await password('otto', 'operator'));
  const admin = basic('admin', await served.adminPassword());
  const device = { id: 'pump-7' };
  assert.equal((await ask(url, '/devices', viewer)).status, 200);
  assert.equal((await ask(url, '/devices', viewer, 'POST', device)).status, 403);
  assert.equal((await ask(url, '/devices', operator, 'POST', device)).status, 201);
  assert.equal((await ask(url, '/users', operator, 'POST', { id: 'x' })).status, 403);
  assert.equal((await ask(url, '/users', admin, 'POST', { id: 'x' })).status, 201);
  assert.equal((await ask(url, '/devices', undefined)).status, 401);
  assert.equal((await ask(url, '/devices', basic('vera', 'wrong-password'))).status, 401);
  assert.equal((await ask(url, '/devices', 'Bearer hg.bWFpbg.aaaa.bbbb')).status, 401);

  const made = JSON.parse((await cli('token', 'add', 'otto', '--valid', '1h', '--json')).stdout) as { id: string; token: string };
  const token = `Bearer ${made.token}`;
  assert.equal((await ask(url, '/devices/pump-7', token, 'PATCH', { status: 'disabled' })).status, 200);
  assert.equal((await ask(url, '/users', token, 'POST', { id: 'y' })).status, 403);
  assert.equal((await cli('token', 'remove', made.id)).code, 0);
  assert.equal((await ask(url, '/devices', token)).status, 401);
  const log = await cli('audit', 'list', '--json');
  assert.ok(!log.stdout.includes(made.token));
  assert.match(log.stdout, /"id":"otto"[^\n]*device\.create/);
});

test('with separation of duties two people are needed', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'heliograph-duties-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const data = join(directory, 'data');
  // The first two people are made while duties are not separated yet.
  const person = async (name: string): Promise<string> => {
    const { stdout } = await runCli(['user', 'add', name, '--role', 'admin', '--generate', '--json', '--data', data]);
    return basic(name, (JSON.parse(stdout) as { password: string }).password);
  };
  const [ann, bob] = [await person('ann'), await person('bob')];
  const { cli, url } = await serve(t, 'admin: {separationOfDuties: true}\n', data);
  const words = await cli('user', 'roles', 'bob', 'viewer');
  const [, id] = /approval approve (\S+)/.exec(words.stdout) ?? [];
  assert.ok(id, words.stdout + words.stderr);
  assert.match((await cli('approval', 'approve', id)).stderr, /nobody in particular/);
  assert.match((await cli('approval', 'list')).stdout, new RegExp(`^${id} +pending +\\$system/local .*Change the user main/bob$`, 'm'));
  assert.equal((await cli('approval', 'refuse', id)).code, 0);

  const asked = await ask(url, '/roles', ann, 'POST', { id: 'night-shift' });
  assert.equal(asked.status, 202);
  const path = `/approvals/${asked.body!['id'] as string}`;
  assert.equal((await ask(url, `${path}/approve`, ann, 'POST')).status, 403);
  assert.equal((await ask(url, '/roles/night-shift', ann)).status, 404);
  assert.equal((await ask(url, `${path}/approve`, bob, 'POST')).status, 200);
  assert.equal((await ask(url, '/roles/night-shift', ann)).status, 200);

  // Nobody has signed in to this tenant yet, so none of its policies has been read.
  assert.equal((await cli('tenant', 'add', 'acme')).code, 0);
  assert.equal((await cli('device', 'add', 'acme/pump-7', '--label', 'site=berlin', '--no-certificate')).code, 0);
  const withRole = await cli('user', 'add', 'carl', '--generate');
  assert.match(withRole.stderr, /a secret cannot wait/);
  assert.match((await cli('user', 'add', 'carl', '--no-role', '--generate')).stdout, /^Added main\/carl. Password/);
  assert.match((await cli('user', 'roles', 'carl', 'viewer')).stdout, /waits for a second person/);
});

test('queues and sessions are seen, and a connection is ended', async (t) => {
  const { cli, served } = await serve(t);
  const port = await served.port('mqtt');
  const { connectAsync } = await import('mqtt');
  const password = await served.adminPassword();
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`, {
    username: 'admin',
    password,
    clientId: 'desk',
    protocolVersion: 5,
    reconnectPeriod: 0,
  });
  t.after(() => client.end(true));
  await client.subscribeAsync('a/#', { qos: 1 });
  await client.publishAsync('kept/x', 'hello', { qos: 1, retain: true });
  const sessions = await cli('session', 'list', '--json');
  assert.deepEqual(
    (JSON.parse(sessions.stdout) as { clientId: string; connected: boolean }[]).map(({ clientId, connected }) => [clientId, connected]),
    [['desk', true]],
  );
  assert.match((await cli('session', 'show', 'desk')).stdout, /^subscribed +a\/# \(QoS 1\)$/m);
  assert.match((await cli('retained', 'list')).stdout, /kept\/x +5 +hello$/m);
  assert.equal((await cli('retained', 'clear', 'kept/x')).code, 0);
  assert.match((await cli('retained', 'clear', 'kept/x')).stderr, /no retained message/i);
  const gone = new Promise((resolve) => client.once('close', () => resolve(undefined)));
  assert.equal((await cli('connection', 'end', 'desk')).code, 0);
  await gone;
  assert.match((await cli('connection', 'end', 'nobody')).stderr, /There is no connection/);
});

test('what is in force is shown without a secret', async (t) => {
  const hash = (await runCli(['user', 'hash'], 'correct horse\n')).stdout.trim();
  const { cli } = await serve(t, `security: {users: [{name: bob, passwordHash: "${hash}"}]}\n`);
  const { stdout } = await cli('config', 'show');
  assert.match(stdout, /passwordHash: \(hidden\)/);
  assert.ok(!stdout.includes(hash));
  assert.match(stdout, /port: 0/);
});

test('a broker that cannot be asked is not worked around; one that was killed is', async (t) => {
  const { cli, served, data } = await serve(t, 'node: {name: alone}\nadmin: {localAccess: false}\n');
  const busy = await cli('device', 'add', 'd', '--no-certificate');
  assert.equal(busy.code, 1);
  assert.match(busy.stderr, /has no management interface that this command could ask[^]*admin\.localAccess/);
  assert.match((await cli('device', 'list')).stdout, /^device/, 'reading does no harm');
  await served.kill();
  assert.ok(existsSync(join(data, 'lock')), 'left behind');
  assert.equal((await cli('device', 'add', 'd', '--no-certificate')).code, 0);
  assert.ok(!existsSync(join(data, 'lock')));
  const again = new Served(['--data', data, '--config', join(data, '..', 'heliograph.yaml')]);
  t.after(() => again.kill());
  await again.port('admin');
  assert.match(readFileSync(join(data, 'lock'), 'utf8'), /node\n$/);
});
