import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { WebSocket, type ClientOptions } from 'ws';
import { TestAuthority } from '../../test/harness/net/certificates.ts';
import { LineProtocol } from '../../test/harness/net/line-protocol.ts';
import { Stand, until, type EndpointChanges } from '../../test/harness/net/stand.ts';
import type { Listener } from './listener.ts';
import type { TlsSettings } from './tls.ts';
import { defaultWebSocketSettings } from './websocket.ts';

const MiB = 1024 * 1024;
const authority = new TestAuthority('Test CA');
after(() => authority.remove());
const server = { ...authority.issue('localhost', ['DNS:localhost']), serverNames: [] };
const device = authority.issue('device-7');
const tls: TlsSettings = {
  certificates: [server],
  clientCertificate: 'request',
  clientCas: [authority.certificate],
  describeCertificate: ({ subject }) => ({ commonName: subject, uris: [], fingerprint: '' }),
};

class Client {
  readonly socket: WebSocket;
  text = '';
  frames = 0;
  closeCode = 0;

  constructor(listener: Listener, options: ClientOptions & { path?: string; protocols?: string[] } = {}) {
    const { path = '/mqtt', protocols = ['mqtt'], ...rest } = options;
    const scheme = listener.kind === 'wss' ? 'wss' : 'ws';
    this.socket = new WebSocket(`${scheme}://localhost:${listener.address!.port}${path}`, protocols, {
      ca: authority.certificate,
      family: 4,
      ...rest,
    });
    this.socket.on('message', (data: Buffer, isBinary) => {
      assert.ok(isBinary);
      this.text += data.toString('latin1');
      this.frames++;
    });
    this.socket.on('error', () => {});
    this.socket.on('close', (code) => {
      this.closeCode = code;
    });
  }

  async ask(line: string): Promise<string> {
    const from = this.text.length;
    this.socket.send(Buffer.from(`${line}\n`));
    await until(() => this.text.includes('\n', from));
    return this.text.slice(from, this.text.indexOf('\n', from));
  }

  destroy(): void {
    this.socket.terminate();
  }
}

async function open(stand: Stand, listener: Listener, options = {}): Promise<Client> {
  const client = stand.adopt(new Client(listener, options));
  await once(client.socket, 'open');
  return client;
}

/** The status with which an upgrade is refused. */
async function refusal(stand: Stand, listener: Listener, options = {}): Promise<number> {
  const client = stand.adopt(new Client(listener, options));
  const [request, response] = (await once(client.socket, 'unexpected-response')) as [{ destroy(): void }, { statusCode: number }];
  request.destroy();
  return response.statusCode;
}

const listen = (stand: Stand, changes: EndpointChanges = {}): Promise<Listener> => stand.listen({ kind: 'ws', ...changes });

test('lines come back over a WebSocket', async (t) => {
  const stand = new Stand(t);
  const listener = await listen(stand);
  const client = await open(stand, listener);
  assert.equal(client.socket.protocol, 'mqtt');
  assert.equal(await client.ask('hello'), 'hello');
  const { facts } = stand.protocol.last.wire;
  assert.deepEqual([facts.secure, facts.remoteAddress, facts.listener], [false, '127.0.0.1', 'test']);
  assert.equal(listener.counters.handshakesPending, 0);
});

test('lines come back over a secure WebSocket, with a client certificate', async (t) => {
  const stand = new Stand(t);
  const listener = await listen(stand, { kind: 'wss', tls });
  const client = await open(stand, listener, { cert: device.certificate, key: device.privateKey });
  assert.equal(await client.ask('hello'), 'hello');
  const { facts } = stand.protocol.last.wire;
  assert.deepEqual([facts.secure, facts.peerCertificate?.commonName], [true, 'CN=device-7']);
  client.socket.close();
  await until(() => listener.counters.active === 0);
  assert.equal(listener.counters.handshakesPending, 0);
  assert.equal(stand.loop.timers.size, 0);
});

test('a packet may span frames and a frame may hold several', async (t) => {
  const stand = new Stand(t);
  const listener = await listen(stand);
  const client = await open(stand, listener);
  for (const piece of ['on', 'e\ntw', '', 'o\nthree\nfo']) client.socket.send(Buffer.from(piece));
  client.socket.send(Buffer.from('u'), { fin: false });
  client.socket.send(Buffer.from('r\n'), { fin: true });
  await until(() => client.text === 'one\ntwo\nthree\nfour\n');
});

test('what a turn writes is one frame', async (t) => {
  const stand = new Stand(t);
  const listener = await listen(stand);
  const client = await open(stand, listener);
  client.socket.send(Buffer.from('a\nb\nc\n'));
  await until(() => client.text === 'a\nb\nc\n');
  assert.deepEqual([client.frames, listener.counters.writes], [1, 1]);
});

test('the subprotocol is negotiated, and needed', async (t) => {
  const stand = new Stand(t);
  const listener = await listen(stand);
  const old = await open(stand, listener, { protocols: ['other', 'mqttv3.1'] });
  assert.equal(old.socket.protocol, 'mqttv3.1');
  assert.equal(await refusal(stand, listener, { protocols: ['other'] }), 400);
  assert.equal(await refusal(stand, listener, { protocols: [] }), 400);
  await until(() => listener.counters.failedHandshakes.upgrade === 2);
});

test('only the configured paths answer', async (t) => {
  const stand = new Stand(t);
  const listener = await listen(stand);
  for (const path of ['/', '/mqtt', '/mqtt?x=1']) await open(stand, listener, { path });
  assert.equal(await refusal(stand, listener, { path: '/elsewhere' }), 404);
  const any = await listen(stand, { webSocket: { ...defaultWebSocketSettings, paths: undefined } });
  await open(stand, any, { path: '/elsewhere' });
});

test('an origin list keeps other pages out', async (t) => {
  const stand = new Stand(t);
  const listener = await listen(stand, { webSocket: { ...defaultWebSocketSettings, origins: ['https://good.example'] } });
  await open(stand, listener, { origin: 'https://good.example' });
  await open(stand, listener);
  assert.equal(await refusal(stand, listener, { origin: 'https://evil.example' }), 403);
});

test('text ends the connection', async (t) => {
  const stand = new Stand(t);
  const listener = await listen(stand);
  const client = await open(stand, listener);
  client.socket.send('text\n');
  await until(() => client.closeCode === 1003);
  await until(() => stand.protocol.last.events.includes('closed'));
  assert.equal(listener.counters.textMessages, 1);
  assert.deepEqual(stand.protocol.last.events, ['closed']);
});

test('too large a message ends the connection', async (t) => {
  const stand = new Stand(t);
  const listener = await listen(stand, { webSocket: { ...defaultWebSocketSettings, maxMessageBytes: 1000 } });
  const client = await open(stand, listener);
  client.socket.send(Buffer.alloc(1001));
  await until(() => client.closeCode === 1009);
  await until(() => listener.counters.active === 0);
  assert.equal(stand.protocol.last.received, 0);
});

test('pings are answered', async (t) => {
  const stand = new Stand(t);
  const listener = await listen(stand);
  const client = await open(stand, listener);
  client.socket.ping('are you there');
  const [payload] = (await once(client.socket, 'pong')) as [Buffer];
  assert.equal(payload.toString(), 'are you there');
});

test('close sends what the output holds and then ends', async (t) => {
  const stand = new Stand(t);
  const listener = await listen(stand);
  const client = await open(stand, listener);
  client.socket.send(Buffer.from(`big ${3 * MiB}\nclose\n`));
  await until(() => client.closeCode === 1000);
  assert.equal(client.text.length, 3 * MiB + 1 + 'closing\n'.length);
  await until(() => stand.protocol.last.events.includes('closed'));
  assert.deepEqual(stand.protocol.last.events, ['receive', 'closed']);
});

test('abort and a peer that vanishes', async (t) => {
  const stand = new Stand(t);
  const listener = await listen(stand);
  const client = await open(stand, listener);
  client.socket.send(Buffer.from('abort\n'));
  await until(() => client.closeCode === 1006);
  assert.equal(client.text, '');
  const other = await open(stand, listener);
  await other.ask('hello');
  other.destroy();
  await until(() => stand.protocol.connections.every(({ events }) => events.includes('closed')));
  for (const { events } of stand.protocol.connections) assert.deepEqual(events, ['receive', 'closed']);
});

test('a slow reader congests the output; pausing stops reading', async (t) => {
  const stand = new Stand(t);
  const listener = await listen(stand);
  const client = await open(stand, listener);
  client.socket.pause();
  client.socket.send(Buffer.from(`big ${16 * MiB}\n`));
  await until(() => listener.counters.congestions === 1);
  const { last } = stand.protocol;
  assert.ok(last.wire.output.pendingBytes > 256 * 1024);
  client.socket.resume();
  await until(() => last.events.includes('drained'));
  last.wire.pause();
  const before = last.received;
  for (let i = 0; i < 100; i++) client.socket.send(Buffer.alloc(100_000));
  await (await open(stand, listener)).ask('another is read');
  assert.ok(last.received - before < 2 * MiB);
  last.wire.resume();
  await until(() => last.received - before === 10_000_000);
});

test('draining ends WebSockets', async (t) => {
  const stand = new Stand(t);
  const listener = await listen(stand);
  const client = await open(stand, listener);
  await stand.client(listener);
  assert.equal(await listener.drain(performance.now() + 10_000), true);
  await until(() => client.closeCode === 1000);
  assert.equal(client.text, 'bye\n');
});

for (const [what, request, answer, failures] of [
  ['a plain request is told to upgrade', 'GET /mqtt HTTP/1.1\r\nHost: a\r\n\r\n', /^HTTP\/1\.1 426 .*Upgrade: websocket/s, 'upgrade'],
  ['what is not HTTP', '\u0010\u0000nonsense\r\n\r\n', /^HTTP\/1\.1 400 /, 'upgrade'],
  ['headers without end', `GET / HTTP/1.1\r\nx: ${'y'.repeat(20_000)}`, /^HTTP\/1\.1 431 /, 'upgrade'],
  [
    'an upgrade without key',
    'GET /mqtt HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n',
    /^HTTP\/1\.1 400 /,
    'upgrade',
  ],
  [
    'an upgrade to something else',
    'GET /mqtt HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n',
    /^HTTP\/1\.1 400 /,
    'upgrade',
  ],
] as const) {
  test(what, async (t) => {
    const stand = new Stand(t);
    const listener = await listen(stand);
    const client = await stand.client(listener);
    client.say(request);
    await until(() => client.ended || client.closed);
    assert.match(client.text, answer);
    client.destroy();
    await until(() => listener.counters.active === 0);
    assert.equal(listener.counters.failedHandshakes[failures], 1);
    assert.equal(listener.counters.handshakesPending, 0);
    assert.equal(stand.protocol.connections.length, 0);
  });
}

test('an unmasked frame ends the connection', async (t) => {
  const stand = new Stand(t);
  const listener = await listen(stand);
  const client = await stand.client(listener);
  client.say(
    'GET /mqtt HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n',
  );
  await until(() => client.text.includes('\r\n\r\n'));
  assert.match(client.text, /^HTTP\/1\.1 101 /);
  client.socket.write(Buffer.from([0x82, 1, 65]));
  await until(() => client.ended || client.closed);
  client.destroy();
  await until(() => listener.counters.active === 0);
  assert.equal(stand.protocol.last.received, 0);
});

test('an upgrade has its time', async (t) => {
  const stand = new Stand(t);
  const listener = await listen(stand, { limits: { handshakeTimeoutMs: 20 } });
  const slow = await stand.client(listener);
  slow.say('GET /mqtt HTTP/1.1\r\n');
  await until(() => slow.ended || slow.closed);
  await until(() => listener.counters.failedHandshakes.timeout === 1);
  await until(() => listener.counters.active === 0);
});

test('the subprotocol that a client asks for says which protocol it speaks', async (t) => {
  const stand = new Stand(t);
  const other = new (class extends LineProtocol {
    override readonly webSocketProtocols = ['amqp'];
  })();
  const listener = await listen(stand, { otherProtocols: [other] });
  const amqp = await open(stand, listener, { path: '/amqp', protocols: ['soap', 'amqp'] });
  assert.equal(amqp.socket.protocol, 'amqp');
  assert.equal(await amqp.ask('hello'), 'hello');
  assert.deepEqual([other.connections.length, stand.protocol.connections.length], [1, 0]);
  const mqtt = await open(stand, listener, { protocols: ['mqttv3.1'] });
  assert.equal(await mqtt.ask('hello'), 'hello');
  assert.deepEqual([other.connections.length, stand.protocol.connections.length], [1, 1]);
  assert.equal(await refusal(stand, listener, { protocols: ['soap'] }), 400);
  assert.equal(await refusal(stand, await listen(stand), { protocols: ['amqp'] }), 400);
});
