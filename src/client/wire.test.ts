import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, test, type TestContext } from 'node:test';
import { TestAuthority } from '../../test/harness/net/certificates.ts';
import { Stand, until, type EndpointChanges } from '../../test/harness/net/stand.ts';
import { defaultWebSocketSettings } from '../net/websocket.ts';
import type { TlsSettings as ServerTls } from '../net/tls.ts';
import type { ClientError } from './client-error.ts';
import { endpointOf, type Transport } from './endpoint.ts';
import { wireTo, type TlsSettings, type Wire } from './wire.ts';

const authority = new TestAuthority('Test CA');
after(() => authority.remove());
const server = { ...authority.issue('localhost', ['DNS:localhost']), serverNames: [] };
const device = authority.issue('device-7');
const tls: ServerTls = {
  certificates: [server],
  clientCertificate: 'require',
  clientCas: [authority.certificate],
  describeCertificate: ({ subject }) => ({ commonName: subject, uris: [], fingerprint: '' }),
};
const trusted: TlsSettings = { ca: authority.certificate, cert: device.certificate, key: device.privateKey };

class Ear {
  text = '';
  events: string[] = [];
  error: ClientError | undefined;
  readonly wire: Wire;

  constructor(t: TestContext, open: Awaited<ReturnType<typeof wireTo>>) {
    this.wire = open({
      opened: () => this.events.push('opened'),
      data: (bytes) => (this.text += Buffer.from(bytes).toString('latin1')),
      drained: () => this.events.push('drained'),
      closed: (error) => {
        this.events.push('closed');
        this.error = error;
      },
    });
    t.after(() => this.wire.destroy());
  }

  is(event: string): Promise<void> {
    return until(() => this.events.includes(event), event);
  }
}

const endpoints: Record<Transport, EndpointChanges> = {
  tcp: {},
  tls: { kind: 'tls', tls },
  ws: { kind: 'ws', webSocket: defaultWebSocketSettings },
  wss: { kind: 'wss', tls, webSocket: defaultWebSocketSettings },
};

for (const transport of ['tcp', 'tls', 'ws', 'wss'] as const) {
  test(`bytes go both ways over ${transport}, and the end is told once`, async (t) => {
    const stand = new Stand(t);
    const listener = await stand.listen(endpoints[transport]);
    const ear = new Ear(t, await wireTo(endpointOf(transport, 'localhost', listener.address!.port), trusted));
    await ear.is('opened');
    ear.wire.write(Buffer.from('hello\nbig 300000\n'));
    await until(() => ear.text.length === 300_007);
    assert.ok(ear.text.startsWith('hello\nxxx'));
    ear.wire.pause();
    ear.wire.resume();
    ear.wire.write(Buffer.from('again\n'));
    await until(() => ear.text.endsWith('\nagain\n'));
    ear.wire.end();
    await ear.is('closed');
    assert.deepEqual([ear.error, ear.events.filter((event) => event !== 'drained')], [undefined, ['opened', 'closed']]);
  });
}

async function failure(t: TestContext, transport: Transport, port: number, settings: TlsSettings): Promise<ClientError> {
  const ear = new Ear(t, await wireTo(endpointOf(transport, 'localhost', port), settings));
  await ear.is('closed');
  return ear.error!;
}

test('an address where nothing listens is unreachable', async (t) => {
  const closed = createServer();
  await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
  const { port } = closed.address() as { port: number };
  await new Promise((resolve) => closed.close(resolve));
  for (const transport of ['tcp', 'tls', 'ws', 'wss'] as const) {
    const error = await failure(t, transport, port, trusted);
    assert.deepEqual([error.code, error.systemCode, error.isFinal], ['unreachable', 'ECONNREFUSED', false], transport);
    assert.match(error.message, new RegExp(`localhost:${port}.* cannot be reached: .*ECONNREFUSED`), transport);
  }
});

test('a certificate that is not trusted is told as that, by either side', async (t) => {
  const stand = new Stand(t);
  for (const transport of ['tls', 'wss'] as const) {
    const listener = await stand.listen(endpoints[transport]);
    const { port } = listener.address!;
    const { ca: _, ...stranger } = trusted;
    const untrusted = await failure(t, transport, port, stranger);
    assert.deepEqual([untrusted.code, untrusted.isFinal], ['certificate', true], transport);
    assert.match(untrusted.message, /is not trusted: (unable to|self-signed)/);
    const wrongName = await failure(t, transport, port, { ...trusted, serverName: 'other.example' });
    assert.equal(wrongName.code, 'certificate');
    const nameless = await failure(t, transport, port, { ca: authority.certificate });
    assert.equal(nameless.code, 'certificate', nameless.message);
    const blind = new Ear(t, await wireTo(endpointOf(transport, 'localhost', port), { ...stranger, insecure: true }));
    await blind.is('opened');
  }
});

test('a server that speaks something else is told as that', async (t) => {
  const stand = new Stand(t);
  const plain = createServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
  t.after(() => plain.close());
  const web = await stand.listen({ kind: 'ws', webSocket: { ...defaultWebSocketSettings, paths: ['/other'] } });
  assert.match((await failure(t, 'tls', (plain.address() as { port: number }).port, trusted)).message, /does not speak TLS/);
  assert.match((await failure(t, 'ws', web.address!.port, {})).message, /cannot be reached: Unexpected server response: 404/);
});
