// The real process: what it says, how it ends, and what it survives.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { runCli, Served } from './run-cli.ts';
import { freeListeners } from '../harness/free-listeners.ts';

/** Every listener on a port that the system chooses. */
const anyPorts = settings();

function settings(more: object = {}): string {
  return `
node: {shutdownTimeoutMs: 5s}
listeners: ${JSON.stringify({ ...freeListeners(), ...more })}
`;
}

function scratch(t: TestContext): { directory: string; data: string; config: string } {
  const directory = mkdtempSync(join(tmpdir(), 'heliograph-serve-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const config = join(directory, 'heliograph.yaml');
  writeFileSync(config, anyPorts);
  return { directory, data: join(directory, 'data'), config };
}

function serve(t: TestContext, args: readonly string[]): Served {
  const served = new Served(args);
  t.after(() => served.kill());
  return served;
}

/** CONNECT of MQTT 5 with a clean start, keep-alive 0 and these credentials. */
function connectPacket(username?: string, password?: string): Buffer {
  const text = (value: string) => Buffer.concat([Buffer.from([value.length >> 8, value.length & 0xff]), Buffer.from(value)]);
  const flags = 0x02 | (username === undefined ? 0 : 0x80) | (password === undefined ? 0 : 0x40);
  const head = Buffer.concat([text('MQTT'), Buffer.from([5, flags, 0, 0, 0])]);
  const body = Buffer.concat([head, text('raw'), ...[username, password].filter((value) => value !== undefined).map(text)]);
  return Buffer.concat([Buffer.from([0x10, body.length]), body]);
}

/** The bytes that arrive until `enough`, or until the peer closes. */
function receive(socket: Socket, enough: (bytes: Buffer) => boolean = () => false): Promise<Buffer> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0);
    const onData = (data: Buffer) => {
      bytes = Buffer.concat([bytes, data]);
      if (enough(bytes)) finish();
    };
    const finish = () => {
      socket.off('data', onData);
      socket.off('close', finish);
      resolve(bytes);
    };
    socket.on('data', onData);
    socket.once('close', finish);
    // A reset is an end, too.
    socket.once('error', finish);
  });
}

async function connected(port: number, username?: string, password?: string): Promise<{ socket: Socket; reason: number }> {
  const socket = connect(port, '127.0.0.1');
  const answer = receive(socket, (bytes) => bytes.length >= 4);
  socket.write(connectPacket(username, password));
  const bytes = await answer;
  assert.equal(bytes[0], 0x20, 'CONNACK');
  return { socket, reason: bytes[3]! };
}

test('a first start makes private data and a working administrator; SIGTERM drains with 0x8B and exits 0', async (t) => {
  const { data, config } = scratch(t);
  const served = serve(t, ['--config', config, '--data', data]);
  const port = await served.port('mqtt');
  for (const name of ['mqtts', 'ws', 'wss']) assert.ok((await served.port(name)) > 0);
  for (const file of ['registry.db', 'pki/seal.key', 'pki/audit.pem', 'pki/server.pem'])
    assert.equal(statSync(join(data, file)).mode & 0o077, 0, file);

  const stranger = await connected(port);
  assert.equal(stranger.reason, 0x86);
  stranger.socket.destroy();

  const { socket, reason } = await connected(port, 'admin', await served.adminPassword());
  assert.equal(reason, 0);
  const rest = receive(socket);
  served.signal('SIGTERM');
  assert.deepEqual([...(await rest)].slice(0, 3), [0xe0, (await rest)[1], 0x8b]);
  assert.equal((await served.ended).code, 0);
});

test('the credential is printed once, and neither it nor a key is in the log', async (t) => {
  const { data, config } = scratch(t);
  const first = serve(t, ['--config', config, '--data', data]);
  const password = await first.adminPassword();
  await first.port('mqtt');
  first.signal('SIGTERM');
  const { stderr } = await first.ended;
  assert.ok(!stderr.includes(password));
  assert.ok(!stderr.includes('PRIVATE KEY'));

  const second = serve(t, ['--config', config, '--data', data]);
  const port = await second.port('mqtt');
  const { socket, reason } = await connected(port, 'admin', password);
  socket.destroy();
  assert.equal(reason, 0);
  second.signal('SIGINT');
  const { stdout, code } = await second.ended;
  assert.equal(code, 0);
  assert.ok(!stdout.includes('Administrator'));
});

test('a client that does not go away is cut within the bound', async (t) => {
  const { data, config } = scratch(t);
  writeFileSync(config, anyPorts.replace('5s', '500ms'));
  const served = serve(t, ['--config', config, '--data', data]);
  const { socket } = await connected(await served.port('mqtt'), 'admin', await served.adminPassword());
  // It reads nothing and never closes its side.
  socket.pause();
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  served.signal('SIGTERM');
  assert.equal((await served.ended).code, 0);
});

test('a second signal does not wait for anybody', async (t) => {
  const { data, config } = scratch(t);
  writeFileSync(config, anyPorts.replace('5s', '10min'));
  const served = serve(t, ['--config', config, '--data', data]);
  const { socket } = await connected(await served.port('mqtt'), 'admin', await served.adminPassword());
  socket.pause();
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  served.signal('SIGTERM');
  await served.line((line) => line.event === 'stopping');
  served.signal('SIGINT');
  assert.equal((await served.ended).code, 130);
});

test('a bug stops the process with 70 and says where it was', async (t) => {
  const { data, config } = scratch(t);
  const plant = 'data:text/javascript,process.on("SIGUSR2", () => { throw new Error("planted"); })';
  const served = new Served(['--config', config, '--data', data], undefined, ['--import', plant]);
  t.after(() => served.kill());
  await served.port('mqtt');
  served.signal('SIGUSR2');
  const line = await served.line(({ event }) => event.startsWith('the node cannot go on'));
  assert.match(String(line['stack']), /planted/);
  assert.equal((await served.ended).code, 70);
});

test('--dev lets anybody in, on loopback, and says so', async (t) => {
  const { data, config } = scratch(t);
  const served = serve(t, ['--config', config, '--data', data, '--dev']);
  const { socket, reason } = await connected(await served.port('mqtt'));
  socket.destroy();
  assert.equal(reason, 0);
  served.signal('SIGTERM');
  const { stdout, stderr } = await served.ended;
  assert.match(stdout, /--dev: ANYBODY ON THIS MACHINE MAY READ AND WRITE EVERYTHING/);
  assert.match(stderr, /--dev: anybody on this machine/);
});

test('a second process on the same data is told what to do, and the first goes on', async (t) => {
  const { data, config } = scratch(t);
  const first = serve(t, ['--config', config, '--data', data]);
  const port = await first.port('mqtt');
  const second = await serve(t, ['--config', config, '--data', data]).ended;
  assert.equal(second.code, 1);
  assert.match(second.stderr, /Error: Another broker runs on this data directory\.\n {2}where: .*data\n {2}fix: {3}stop it/);
  const { socket, reason } = await connected(port, 'admin', await first.adminPassword());
  socket.destroy();
  assert.equal(reason, 0);
  const check = await runCli(['data', 'check', '--data', data, '--json']);
  assert.equal(check.code, 1);
  assert.equal((JSON.parse(check.stdout) as { inUse: boolean }).inUse, true);
});

test('a port that is in use is told with its listener, and the new administrator is not lost', async (t) => {
  const { data, config } = scratch(t);
  const other = createServer().listen(0, '127.0.0.1');
  t.after(() => other.close());
  await new Promise((resolve) => other.once('listening', resolve));
  writeFileSync(config, settings({ mqtt: { port: (other.address() as AddressInfo).port } }));
  const { code, stdout, stderr } = await serve(t, ['--config', config, '--data', data]).ended;
  assert.equal(code, 1);
  assert.match(stderr, /^Error: .*mqtt.*in use/m);
  assert.match(stderr, /^ {2}fix: /m);
  assert.match(stdout, /Administrator, shown only now: user admin, password \S+/);
});

test('a data directory that is a file is told', async (t) => {
  const { directory, config } = scratch(t);
  const file = join(directory, 'file');
  writeFileSync(file, '');
  const { code, stderr } = await serve(t, ['--config', config, '--data', file]).ended;
  assert.equal(code, 1);
  assert.match(stderr, /^Error: The data directory cannot be used: /m);
});

test('a data directory that cannot be written is told', { skip: process.getuid?.() === 0 && 'root may write everywhere' }, async (t) => {
  const { directory, config } = scratch(t);
  const { code, stderr } = await serve(t, ['--config', config, '--data', join('/proc', directory)]).ended;
  assert.equal(code, 1);
  assert.match(stderr, /^Error: The data directory cannot be used: /m);
});

test('plaintext off loopback is refused, with the line', async (t) => {
  const { config, data } = scratch(t);
  writeFileSync(config, 'listeners:\n  mqtt:\n    host: 0.0.0.0\n');
  const { code, stderr } = await serve(t, ['--config', config, '--data', data]).ended;
  assert.equal(code, 2);
  assert.ok(stderr.startsWith(`${config}:3:11: listeners.mqtt.host: `), stderr);
});

test('SIGHUP takes what can change and names what wants a restart; a broken file changes nothing', async (t) => {
  const { data, config } = scratch(t);
  const served = serve(t, ['--config', config, '--data', data]);
  const port = await served.port('mqtt');
  writeFileSync(config, `${anyPorts}security: {anonymous: {enabled: true}}\nmqtt: {receiveMaximum: 5}\nnet: {maxConnections: 1}\n`);
  served.signal('SIGHUP');
  await served.line((line) => line.event === 'setting changed' && line['path'] === 'security.anonymous.enabled');
  await served.line((line) => line.event === 'setting needs a restart' && line['path'] === 'mqtt.receiveMaximum');
  const { socket, reason } = await connected(port);
  assert.equal(reason, 0);
  const oneTooMany = connect(port, '127.0.0.1').on('error', () => {});
  assert.equal((await receive(oneTooMany)).length, 0);
  socket.destroy();

  writeFileSync(config, 'lgo: {}\n');
  served.signal('SIGHUP');
  const refused = await served.line((line) => line.event === 'not reloaded: everything stays as it was');
  assert.match(String(refused['error']), /1:1: lgo: there is no such setting/);
});

test('SIGHUP brings renewed certificates to listeners that are open', async (t) => {
  const { data, config } = scratch(t);
  const served = serve(t, ['--config', config, '--data', data]);
  await served.port('mqtts');
  const before = readFileSync(join(data, 'pki/server.pem'), 'utf8');
  writeFileSync(config, `${anyPorts}tls: {serverNames: [broker.example]}\n`);
  served.signal('SIGHUP');
  await served.line((line) => line.event === 'setting changed' && line['path'] === 'tls.serverNames');
  assert.notEqual(readFileSync(join(data, 'pki/server.pem'), 'utf8'), before);
  assert.match((await served.certificate('mqtts')).subjectaltname ?? '', /DNS:broker\.example/);
});

test('a signal during the start stops in order', async (t) => {
  const { data, config } = scratch(t);
  const served = serve(t, ['--config', config, '--data', data]);
  // The first line of a first start: certificates are being made.
  await served.line((line) => line.event === 'pki.authority.created');
  served.signal('SIGTERM');
  const { code, stderr } = await served.ended;
  assert.equal(code, 0);
  assert.match(stderr, /"clean":true,"event":"stopped"/);
});

test('status reaches the running node without a password, by its data directory', async (t) => {
  const { data, config } = scratch(t);
  const served = serve(t, ['--config', config, '--data', data]);
  const port = await served.port('mqtt');
  const { socket } = await connected(port, 'admin', await served.adminPassword());
  t.after(() => socket.destroy());
  const { code, stdout } = await runCli(['status', '--data', data, '--json']);
  assert.equal(code, 0);
  const status = JSON.parse(stdout) as {
    state: string;
    durability: string;
    sessions: { connected: number };
    ledger: { imbalance: number };
  };
  assert.deepEqual([status.state, status.durability, status.sessions.connected, status.ledger.imbalance], ['serving', 'fsynced', 1, 0]);
  served.signal('SIGTERM');
  await served.ended;
  const after = await runCli(['status', '--data', data]);
  assert.equal(after.code, 1);
  assert.match(after.stderr, /No broker runs on this data directory/);
});
