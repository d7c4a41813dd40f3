import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { silentLog } from '../../base/log.ts';
import { type EntryLine, noHash } from './audit-line.ts';
import { syslogMessage } from './syslog-format.ts';
import { SyslogSender } from './syslog-sender.ts';

const entry = (action: string): EntryLine => ({
  type: 'entry',
  seq: 7,
  at: '2026-11-23T01:02:03.000Z',
  prev: noHash,
  actor: { kind: 'principal', tenant: 'main', id: 'ali"ce]' },
  action,
  target: 'device/main/a\\b',
  from: '127.0.0.1',
  outcome: 'refused',
  details: { 'a b': 'line\nfeed' },
});

test('an entry becomes one line whose data can be read back', () => {
  const message = syslogMessage(entry('device.add'), { hostname: 'node 1', processId: 42 });
  assert.ok(message.startsWith('<108>1 2026-11-23T01:02:03.000Z node_1 heliograph 42 device.add [heliograph@32473 seq="7"'));
  assert.ok(message.includes('actor="main/ali\\"ce\\]"'), message);
  assert.ok(message.includes('target="device/main/a\\\\b"'));
  assert.ok(message.includes('d.a_b="line feed"'));
  assert.ok(!message.includes('\n'));
});

test('entries reach the server, each with its length in front, also after the connection was lost', async (t) => {
  const sockets: Socket[] = [];
  let received = '';
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('data', (bytes) => (received += bytes.toString()));
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const options = { transport: 'tcp', host: '127.0.0.1', port, ca: undefined, hostname: 'n', maxWaiting: 2, retryMs: 1 } as const;
  const sender = new SyslogSender(options, silentLog);
  for (const name of ['one', 'two', 'three']) sender.send(entry(name));
  const dropped = [...sender.metrics()].find(({ name }) => name.endsWith('dropped_total'));
  assert.equal(dropped?.value, 1, 'the third does not fit into what may wait');
  while (!received.includes('two')) await once(server, 'connection').then(([socket]) => once(socket as Socket, 'data'));
  const [, length, rest] = /^(\d+) (.*)$/su.exec(received)!;
  assert.match(Buffer.from(rest!).subarray(0, Number(length)).toString(), /main\/ali"ce\] one device\/main\/a\\b: refused$/);
  const again = once(server, 'connection');
  sockets[0]!.destroy();
  await again;
  received = '';
  sender.send(entry('four'));
  await once(sockets[1]!, 'data');
  assert.match(received, / four /);
  await sender.close(performance.now() + 5000);
});
