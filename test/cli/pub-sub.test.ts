// heliograph pub and sub, as a script uses them, on a real broker.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { runCli, Served } from './run-cli.ts';
import { freeListeners } from '../harness/free-listeners.ts';

const config = `
node: {shutdownTimeoutMs: 5s}
listeners: ${JSON.stringify(freeListeners())}
`;

type Broker = { readonly served: Served; readonly data: string; readonly directory: string };

async function serve(t: TestContext, ...more: string[]): Promise<Broker> {
  const directory = mkdtempSync(join(tmpdir(), 'heliograph-pub-sub-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const data = join(directory, 'data');
  const file = join(directory, 'heliograph.yaml');
  writeFileSync(file, config);
  const served = new Served(['--config', file, '--data', data, ...more]);
  t.after(() => served.kill());
  await served.port('admin');
  return { served, data, directory };
}

async function ok(args: readonly string[], input = ''): Promise<string> {
  const { code, stdout, stderr } = await runCli(args, input);
  assert.equal(code, 0, `${args.join(' ')}\n${stderr}`);
  return stdout;
}

test('what is published comes out, over every transport and version', async (t) => {
  const { served, data } = await serve(t, '--dev');
  const url = async (scheme: string, listener: string): Promise<string> => `${scheme}://localhost:${await served.port(listener)}`;
  const urls = [await url('mqtt', 'mqtt'), await url('mqtts', 'mqtts'), await url('ws', 'ws'), await url('wss', 'wss')];
  const versions = ['5', '3.1.1', '3.1', '5'];
  const round = async (from: string, i: number): Promise<void> => {
    const more = ['-d', data, '-V', versions[i]!, '--url', from, '-t', `t/${i}`];
    await ok(['pub', ...more, '-q', '2', '-r', '-m', `by ${from}`]);
    assert.equal(await ok(['sub', ...more, '--count', '1', '-v']), `t/${i} by ${from}\n`);
    await ok(['pub', ...more, '-r', '-n']);
  };
  await Promise.all(urls.map(round));
});

test('a session keeps what comes while it is away, and gives each message to one', async (t) => {
  const { data, directory } = await serve(t, '--dev');
  const session = ['sub', '-d', data, '--session', 'logbook', '-q', '2', '-t', 'log/#', '--quiet'];
  const early = await runCli([...session, '--count', '1', '--timeout', '1']);
  assert.deepEqual([early.code, early.stdout, early.stderr], [1, '', 'Error: 0 of 1 messages came within 1 s.\n']);
  const lines = Array.from({ length: 100 }, (_, i) => `line ${i}`);
  const told = await ok(['pub', '-d', data, '-t', 'log/a', '-q', '2', '--lines', '--json'], lines.join('\n'));
  assert.deepEqual(JSON.parse(told), { topic: 'log/a', qos: 2, messages: 100, reason: 'Success' });
  assert.equal(await ok([...session, '--count', '40']), `${lines.slice(0, 40).join('\n')}\n`);
  const file = join(directory, 'payload');
  writeFileSync(file, Buffer.from([0xff, 0xfe, 0x0a]));
  await ok(['pub', '-d', data, '-t', 'log/b', '--file', file]);
  await ok(['pub', '-d', data, '-t', 'log/c', '--stdin'], 'two\nlines');
  const rest = (await ok([...session, '--count', '62', '--json'])).trim().split('\n');
  const messages = rest.map((line) => JSON.parse(line) as { topic: string; payload: string; encoding: string; qos: number });
  assert.deepEqual(
    messages.slice(0, 60).map(({ payload }) => payload),
    lines.slice(40),
  );
  assert.deepEqual(
    messages.slice(60).map(({ topic, payload, encoding, qos }) => [topic, payload, encoding, qos]),
    [
      ['log/b', '//4K', 'base64', 1],
      ['log/c', 'two\nlines', 'utf8', 1],
    ],
  );
});

test('properties arrive as they were given; retained messages can be left out', async (t) => {
  const { data } = await serve(t, '--dev');
  const properties = ['--property', 'b=1=2', '--property', 'a=', '--property', 'b=3', '--content-type', 'text/plain'];
  const request = ['--response-topic', 'r/1', '--correlation', 'id-9', '--expiry', '1000'];
  await ok(['pub', '-d', data, '-t', 'p', '-m', 'x', '-r', ...properties, ...request]);
  const message = JSON.parse(await ok(['sub', '-d', data, '-t', 'p', '--count', '1', '--json'])) as { properties: Record<string, unknown> };
  const { messageExpiryInterval, ...rest } = message.properties;
  assert.ok((messageExpiryInterval as number) > 900);
  assert.deepEqual(rest, {
    contentType: 'text/plain',
    responseTopic: 'r/1',
    correlationData: { value: 'id-9', encoding: 'utf8' },
    userProperties: [
      ['b', '1=2'],
      ['a', ''],
      ['b', '3'],
    ],
  });
  for (const version of ['5', '3.1.1']) {
    const none = await runCli(['sub', '-d', data, '-V', version, '-t', 'p', '--no-retained', '--timeout', '1']);
    assert.deepEqual([none.code, none.stdout], [0, ''], none.stderr);
  }
});

test('mistakes are told with what to do', async (t) => {
  const { served, data } = await serve(t);
  const password = await served.adminPassword();
  const refused = async (args: readonly string[], code: number, words: RegExp): Promise<void> => {
    const result = await runCli(args);
    assert.equal(result.code, code, result.stderr);
    assert.match(result.stderr, words);
    assert.ok(!result.stderr.includes('    at '), result.stderr);
  };
  const pub = ['pub', '-t', 'a', '-m', 'x', '-d', data];
  await ok([...pub, '-u', 'admin', '-P', password]);
  await refused(pub, 1, /nobody in without credentials[\s\S]*user add/);
  await refused([...pub, '-u', 'admin', '-P', 'wrong'], 1, /does not let admin in[\s\S]*HELIOGRAPH_PASSWORD/);
  const secure = `mqtts://localhost:${await served.port('mqtts')}`;
  await refused(['pub', '-t', 'a', '-m', 'x', '--url', secure, '-d', join(data, 'none')], 1, /is not trusted[\s\S]*--cafile/);
  await ok([...pub, '--url', secure, '-u', 'admin', '-P', password, '--cafile', join(data, 'pki', 'ca.crt')]);
  await refused([...pub, '--cafile', join(data, 'none'), '--url', secure], 1, /cannot be read[\s\S]*check the path/);
  await refused(['pub', '-t', 'a', '-m', 'x', '-p', '1'], 1, /No broker listens there[\s\S]*heliograph serve/);
  await refused([...pub, '--url', 'http://a'], 2, /not the address of a broker/);
  await refused(['pub', '-t', 'a', '-d', data], 2, /no message/);
  await refused([...pub, '--stdin'], 2, /cannot be used/);
  await refused([...pub, '-V', '3.1.1', '--expiry', '1'], 2, /no properties/);
  await refused([...pub, '--property', 'x'], 2, /key=value/);
  await refused([...pub, '-q', '3'], 2, /from 0 to 2/);
  await refused(['pub', '-m', 'x'], 2, /required option/);
  await refused(['sub', '-d', data, '-u', 'admin', '-P', password, '-t', 'a/#/b'], 1, /refuses the subscription|Topic Filter invalid/);
});
