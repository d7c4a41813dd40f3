import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BrokerManagement, SessionView } from '../../broker/management.ts';
import { Message } from '../../message/message.ts';
import { TestApi } from './testing/test-api.ts';

const session = (clientId: string, connected: boolean): SessionView => ({
  tenant: 'main',
  clientId,
  principal: 'ann',
  protocol: 'mqtt 5.0',
  connected,
  isPart: false,
  partOf: undefined,
  durable: !connected,
  remoteAddress: connected ? '192.0.2.1' : undefined,
  listener: connected ? 'mqtt' : undefined,
  connectedAtMs: connected ? 1000 : undefined,
  disconnectedAtMs: connected ? undefined : 2000,
  expiryMs: connected ? 60_000 : Infinity,
  subscriptions: 1,
  queuedMessages: 2,
  queuedBytes: 20,
  unsettled: 0,
});

function message(topic: string, payload: Uint8Array): Message {
  const buffer = Buffer.concat([Buffer.from('xx'), payload, Buffer.from('yy')]);
  return new Message(topic, Buffer.from(topic), buffer, 2, 2 + payload.length, 1, false, 4, 0, 5000, 'ann', { contentType: 'text/plain' });
}

/** Two sessions, one queue with two messages, one retained message. `asked`: the calls that change something. */
class FakeBroker implements BrokerManagement {
  readonly tenants = ['main'];
  readonly asked: unknown[][] = [];
  sessions: BrokerManagement['sessions'] = (_tenant, { connected, limit }) => ({
    entries: [session('a/b', true), session('gone', false)]
      .filter((each) => connected === undefined || each.connected === connected)
      .slice(0, limit),
    next: undefined,
  });
  session: BrokerManagement['session'] = (_tenant, clientId) =>
    clientId === 'a/b' ? { session: session('a/b', true), subscriptions: [{ filter: 'x/#', guarantee: 1, noLocal: false }] } : undefined;
  disconnect: BrokerManagement['disconnect'] = (...call) => {
    this.asked.push(['disconnect', ...call]);
    return call[1] === 'a/b';
  };
  endSession: BrokerManagement['endSession'] = async (...call) => {
    this.asked.push(['end', ...call]);
    if (call[1] !== 'a/b') return { ok: false, error: { code: 'not-found', message: 'there is no such session' } };
    return { ok: true, value: { messages: 2 } };
  };
  queues: BrokerManagement['queues'] = (tenant, { prefix = '' }) => ({
    entries: [
      {
        tenant,
        name: '$queue/jobs',
        kind: 'named' as const,
        durable: true,
        messages: 2,
        bytes: 9,
        consumers: 0,
        unsettled: 0,
        priorities: true,
        singleActive: false,
        maxDeliveries: 10,
        deadLetterQueue: undefined,
        deadLettered: 3,
        leaving: 1,
      },
    ].filter(({ name }) => name.startsWith(prefix)),
    next: undefined,
  });
  createQueue: BrokerManagement['createQueue'] = async () => ({ ok: true, value: { created: true } });
  deleteQueue: BrokerManagement['deleteQueue'] = async () => ({ ok: true, value: { messages: 0 } });
  browse: BrokerManagement['browse'] = async (_tenant, name, { limit }) => {
    if (name !== '$queue/jobs') return { ok: false, error: { code: 'not-found', message: `there is no queue ${name}` } };
    const all = [message('jobs/1', Buffer.from('one')), message('jobs/2', Buffer.alloc(70_000, 1))];
    const entries = all.slice(0, limit).map((each, i) => ({ position: String(i), message: each, unsettled: i === 0, deliveryCount: i }));
    return { ok: true, value: { entries, next: undefined } };
  };
  purge: BrokerManagement['purge'] = async (...call) => {
    this.asked.push(['purge', ...call]);
    return { ok: true, value: { messages: 2 } };
  };
  move: BrokerManagement['move'] = async (...call) => {
    this.asked.push(['move', ...call]);
    if (call[2] === 'full') return { ok: false, error: { code: 'full', message: 'the other queue is full' } };
    return { ok: true, value: { messages: Math.min(2, call[3]) } };
  };
  retained: BrokerManagement['retained'] = async (_tenant, filter) => ({
    entries: filter === '#' ? [message('kept/x', Buffer.from('last'))] : [],
    next: undefined,
  });
  clearRetained: BrokerManagement['clearRetained'] = async (...call) => {
    this.asked.push(['clear', ...call]);
    if (call[1] === 'stalled') return { ok: false, error: { code: 'unavailable', message: 'the disk does not answer' } };
    return { ok: true, value: call[1] === 'kept/x' };
  };
}

test('sessions are seen and ended, connections are cut, each on record', async (t) => {
  const broker = new FakeBroker();
  const api = await TestApi.open(t, { broker: () => broker });
  const list = await api.ask('GET', '/sessions');
  assert.deepEqual(
    list.body.entries.map(({ clientId, expiryMs }: { clientId: string; expiryMs?: number }) => [clientId, expiryMs]),
    [
      ['a/b', 60_000],
      ['gone', undefined],
    ],
  );
  assert.equal((await api.ask('GET', '/sessions?connected=false')).body.entries[0].clientId, 'gone');
  assert.equal((await api.ask('GET', '/connections')).body.entries.length, 1);
  const one = await api.ask('GET', '/sessions/a%2Fb');
  assert.deepEqual(one.body.filters, [{ filter: 'x/#', guarantee: 1, noLocal: false }]);
  assert.equal((await api.ask('GET', '/sessions/none')).status, 404);
  assert.equal((await api.ask('DELETE', '/connections/a%2Fb')).status, 204);
  assert.equal((await api.ask('DELETE', '/connections/none')).status, 404);
  assert.deepEqual((await api.ask('DELETE', '/sessions/a%2Fb')).body, { messages: 2 });
  assert.equal((await api.ask('DELETE', '/sessions/none')).status, 404);
  assert.deepEqual(broker.asked, [
    ['disconnect', 'main', 'a/b', 'administrative'],
    ['disconnect', 'main', 'none', 'administrative'],
    ['end', 'main', 'a/b'],
    ['end', 'main', 'none'],
  ]);
  assert.deepEqual(
    api.events.map(({ action, target, outcome }) => `${action} ${target} ${outcome}`),
    [
      'connection.end session/main/a/b done',
      'connection.end session/main/none refused',
      'session.end session/main/a/b done',
      'session.end session/main/none refused',
    ],
  );
});

test('queues are looked into, emptied and moved; who looked is on record', async (t) => {
  const broker = new FakeBroker();
  const api = await TestApi.open(t, { broker: () => broker });
  assert.equal((await api.ask('GET', '/queues?prefix=%24queue%2F')).body.entries[0].name, '$queue/jobs');
  const path = '/queues/%24queue%2Fjobs';
  const { body } = await api.ask('GET', `${path}/messages`);
  const [first, second] = body.entries;
  assert.deepEqual([Buffer.from(first.payload, 'base64').toString(), first.payloadBytes, first.contentType], ['one', 3, 'text/plain']);
  assert.deepEqual([Buffer.from(second.payload, 'base64').length, second.payloadBytes], [65_536, 70_000], 'a long payload is cut');
  assert.equal((await api.ask('GET', `${path}/messages?limit=101`)).status, 422);
  assert.equal((await api.ask('GET', '/queues/none/messages')).status, 404);
  assert.deepEqual((await api.ask('POST', `${path}/purge`)).body, { messages: 2 });
  assert.deepEqual((await api.ask('POST', `${path}/move`, { body: { to: '$queue/dead' } })).body, { messages: 2 });
  assert.deepEqual((await api.ask('POST', `${path}/move`, { body: { to: '$queue/dead', maxMessages: 1 } })).body, { messages: 1 });
  const full = await api.ask('POST', `${path}/move`, { body: { to: 'full' } });
  assert.deepEqual([full.status, full.body.code], [409, 'full']);
  assert.equal((await api.ask('POST', `${path}/move`, { body: { to: '', maxMessages: 0 } })).status, 422);
  assert.deepEqual(broker.asked[1], ['move', 'main', '$queue/jobs', '$queue/dead', 10_000]);
  const done = api.events.filter(({ outcome }) => outcome === 'done');
  assert.deepEqual(
    done.map(({ action, details }) => [action, details]),
    [
      ['queue.browse', undefined],
      ['queue.purge', { messages: 2 }],
      ['queue.move', { messages: 2, to: '$queue/dead' }],
      ['queue.move', { messages: 1, to: '$queue/dead' }],
    ],
  );
  assert.ok(!JSON.stringify(api.events).includes(first.payload), 'no payload on record');
});

test('retained messages are seen and dropped', async (t) => {
  const broker = new FakeBroker();
  const api = await TestApi.open(t, { broker: () => broker });
  assert.equal((await api.ask('GET', '/retained')).body.entries[0].topic, 'kept/x');
  assert.equal((await api.ask('GET', '/retained?filter=other%2F%23')).body.entries.length, 0);
  assert.equal((await api.ask('DELETE', '/retained?topic=kept%2Fx')).status, 204);
  assert.equal((await api.ask('DELETE', '/retained?topic=none')).status, 404);
  assert.equal((await api.ask('DELETE', '/retained')).status, 422);
  const stalled = await api.ask('DELETE', '/retained?topic=stalled');
  assert.deepEqual([stalled.status, stalled.headers['retry-after']], [503, '1']);
});

test('what only a running node can tell is told to be so', async (t) => {
  const api = await TestApi.open(t);
  for (const path of [
    '/sessions',
    '/connections',
    '/queues',
    '/retained',
    '/status',
    '/listeners',
    '/authorities',
    '/enrolments',
    '/queues/a/messages',
  ]) {
    const { status, body } = await api.ask('GET', path);
    assert.deepEqual([status, body.code], [503, 'no-node'], path);
  }
});
