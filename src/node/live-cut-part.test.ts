// The whole way: an operator changes the registry, in another process for all the node knows, and a connected peer notices.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import rhea, { type Connection, type ConnectionOptions, type EventContext } from 'rhea';
import { WebSocket } from 'ws';
import { good } from '../../test/contracts/registry/place.ts';
import { atEnd, temporaryDirectory } from '../../test/contracts/temporary-journal.ts';
import { SystemClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { secureRandom } from '../base/secure-random.ts';
import { MqttClient } from '../client/index.ts';
import type { ClientError, Endpoint, IncomingMessage } from '../client/index.ts';
import { parseConfig } from '../config.ts';
import { HeliographNode } from '../node.ts';
import { ReasonCode } from '../protocols/mqtt/codec/index.ts';
import { SqliteRegistry } from '../registry/sqlite/sqlite-registry.ts';
import { hashPassword } from '../security/password-hash.ts';
import { freeListeners } from '../../test/harness/free-listeners.ts';

/** What is promised. */
const promisedMs = 2000;

async function running(t: TestContext): Promise<{
  registry: SqliteRegistry;
  connect: (id: string, transport?: 'tcp' | 'ws') => Promise<Peer>;
  /** A device with a password; it has not connected. */
  device: (id: string) => Promise<void>;
  portOf: (kind: string) => number;
}> {
  const dataDir = temporaryDirectory(t);
  const file = join(dataDir, 'heliograph.json');
  const settings = {
    node: { dataDir },
    store: { kind: 'memory' },
    admin: { systemTopicsMs: 0 },
    listeners: freeListeners(['mqtt', 'mqtts', 'ws', 'amqp']),
  };
  fs.writeFileSync(file, JSON.stringify(settings));
  const config = parseConfig(file, fs.readFileSync(file, 'utf8'));
  const node = new HeliographNode({ config, log: silentLog, dev: false, onFatal: (error) => assert.fail(String(error)) });
  await node.start();
  atEnd(t, async () => void (await node.stop()));
  const registry = good(SqliteRegistry.open({ path: join(dataDir, 'registry.db'), clock: new SystemClock(), thread: false }));
  atEnd(t, () => registry.close());
  const secret = await hashPassword(new TextEncoder().encode('secret'), secureRandom, { memoryKib: 8, passes: 1, lanes: 1 });
  const portOf = (kind: string): number => node.listeners.find((listener) => listener.kind === kind)!.port;
  const device = async (id: string): Promise<void> => {
    good(await registry.create('device', 'main', id, { roles: ['application'] }));
    good(await registry.create('credential', 'main', `${id}-password`, { owner: { kind: 'device', id }, type: 'password', secret }));
  };
  const connect = async (id: string, transport: 'tcp' | 'ws' = 'tcp'): Promise<Peer> => {
    await device(id);
    const port = portOf(transport);
    const peer = new Peer(id, { transport, host: '127.0.0.1', port, path: transport === 'ws' ? '/mqtt' : '' });
    atEnd(t, () => peer.client.destroy());
    await peer.client.connect();
    return peer;
  };
  return { registry, connect, device, portOf };
}

class Peer {
  readonly received: IncomingMessage[] = [];
  readonly ended = Promise.withResolvers<ClientError>();
  readonly client: MqttClient;

  readonly endpoint: Endpoint;

  constructor(username: string, endpoint: Endpoint) {
    this.endpoint = endpoint;
    this.client = new MqttClient({
      endpoint,
      username,
      password: 'secret',
      onMessage: (message) => void this.received.push(message),
      onEnd: (error) => this.ended.resolve(error),
    });
  }
}

for (const transport of ['tcp', 'ws'] as const) {
  test(`a device that is disabled is cut off in time, and let in no more (${transport})`, async (t) => {
    const { registry, connect } = await running(t);
    const [peer, other] = [await connect('pump-7', transport), await connect('pump-8', transport)];
    const beganMs = performance.now();
    good(await registry.update('device', 'main', 'pump-7', { status: 'disabled' }));
    const error = await peer.ended.promise;
    const tookMs = performance.now() - beganMs;
    assert.ok(tookMs < promisedMs, `${tookMs} ms`);
    assert.match(error.message, /administrative action|closed by an operator/i);
    assert.equal(other.client.isConnected, true);
    await assert.rejects(new Peer('pump-7', peer.endpoint).client.connect(), /not authorized|bad user name/i);
  });
}

test('what a role no longer gives is taken from a live session, and the quotas of a role hold for it', async (t) => {
  const { registry, connect } = await running(t);
  const [peer, other] = [await connect('pump-7'), await connect('pump-8')];
  assert.deepEqual(await peer.client.subscribe([{ filter: 'x', qos: 1 }]), [1]);
  const publish = (): Promise<ReasonCode> => other.client.publish({ topic: 'x', payload: new TextEncoder().encode('m'), qos: 1 });
  assert.equal(await publish(), ReasonCode.success);
  const untilMs = performance.now() + promisedMs;
  good(await registry.update('device', 'main', 'pump-7', { roles: ['device'] }));
  while ((await publish()) !== ReasonCode.noMatchingSubscribers) assert.ok(performance.now() < untilMs, 'in time');
  assert.equal(peer.client.isConnected, true);
  good(await registry.create('role', 'main', 'application', { quotas: { messagesPerSecond: 1 } }));
  const refused = (error: ClientError): undefined => {
    assert.equal(error.reason, ReasonCode.quotaExceeded);
  };
  while ((await publish().catch(refused)) !== undefined) assert.ok(performance.now() < untilMs + promisedMs, 'in time');
});

/** Resolves with the event that comes first; rejects with what ends the connection before. */
function opened(connection: Connection): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.once('connection_open', () => resolve());
    connection.once('connection_error', ({ connection: { error } }: EventContext) => reject(new Error(JSON.stringify(error))));
    connection.once('disconnected', () => reject(new Error('disconnected')));
  });
}

for (const kind of ['amqp', 'ws'] as const) {
  test(`a device that is disabled is cut off in time on a listener of kind ${kind}, and let in no more (AMQP)`, async (t) => {
    const { registry, device, portOf } = await running(t);
    const connect = async (username: string): Promise<Connection> => {
      const container = rhea.create_container();
      const port = portOf(kind);
      const overWebSocket = kind === 'ws' && {
        connection_details: container.websocket_connect(WebSocket)(`ws://127.0.0.1:${port}/amqp`, ['amqp'], {}),
      };
      const options = { host: '127.0.0.1', port, username, password: 'secret', reconnect: false, ...overWebSocket };
      const connection = container.connect(options as unknown as ConnectionOptions);
      await opened(connection);
      return connection;
    };
    for (const id of ['pump-7', 'pump-8']) await device(id);
    const [peer, other] = [await connect('pump-7'), await connect('pump-8')];
    atEnd(t, () => other.close());
    const closed = Promise.withResolvers<string>();
    peer.once('connection_error', (context: EventContext) => closed.resolve(JSON.stringify(context.connection.error)));
    const beganMs = performance.now();
    good(await registry.update('device', 'main', 'pump-7', { status: 'disabled' }));
    assert.match(await closed.promise, /amqp:(connection:forced|unauthorized-access)/);
    assert.ok(performance.now() - beganMs < promisedMs);
    assert.equal(other.is_open(), true);
    await assert.rejects(connect('pump-7'));
  });
}
