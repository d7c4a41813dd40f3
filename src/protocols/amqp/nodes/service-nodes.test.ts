// The broker's own nodes, asked over the real broker.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLog } from '../../../base/log.ts';
import { SeededRandom } from '../../../base/random.ts';
import { TestBroker, allowAll } from '../../../broker/testing/test-broker.ts';
import type { AuthenticationResult, Method, Principal } from '../../../security/security.ts';
import { FakeSecurity } from '../../mqtt/testing/fake-security.ts';
import {
  type AmqpEntry,
  type AmqpValue,
  decodeMap,
  decodeProperties,
  decodeValue,
  MessageSections,
  scanMessage,
  SectionCode,
  stringValue,
  ValueWriter,
  writeMapSection,
  writePropertiesSection,
} from '../codec/index.ts';
import { AmqpServer } from '../server.ts';
import { LivePeer } from '../testing/live-peer.ts';
import { defaultAmqpOptions } from '../testing/options.ts';
import { begin, frame, senderAttach } from '../testing/peer-frames.ts';
import type { ManagementEvent } from '../../management-desk.ts';

type Answer = {
  readonly status: unknown;
  readonly azureStatus: unknown;
  readonly correlation: unknown;
  readonly body: unknown;
  readonly count: unknown;
  readonly incomplete: unknown;
};

class World {
  readonly test: TestBroker;
  readonly security = new FakeSecurity();
  readonly server: AmqpServer;
  readonly events: string[] = [];

  constructor(test: TestBroker, more: { readonly accepts?: readonly Method[]; readonly cbs?: boolean } = {}) {
    this.test = test;
    const { accepts = ['anonymous'], cbs = false } = more;
    this.server = new AmqpServer({
      broker: test.broker,
      security: this.security,
      clock: test.clock,
      random: new SeededRandom(1),
      log: silentLog,
      turn: test.turn,
      options: { ...defaultAmqpOptions, cbs },
      accepts: () => accepts,
      desk: {
        management: test.broker.management,
        record: ({ action, target, outcome }: ManagementEvent) => this.events.push(`${action} ${target} ${outcome}`),
      },
    });
  }

  peer(containerId: string): LivePeer {
    return new LivePeer(this.test, containerId, { server: this.server });
  }
}

function request(
  properties: Readonly<Record<string, string | number>>,
  body: AmqpValue | undefined,
  replyTo: string | undefined,
): Uint8Array {
  const writer = new ValueWriter();
  writePropertiesSection(writer, { type: 'properties', messageId: { type: 'string', value: 'question' }, replyTo });
  const entries = Object.entries(properties).map(([key, value]): AmqpEntry => [
    stringValue(key),
    typeof value === 'string' ? stringValue(value) : { type: 'int', value },
  ]);
  writeMapSection(writer, SectionCode.applicationProperties, entries);
  writer.descriptor(SectionCode.value);
  writer.value(body ?? { type: 'null', value: null });
  return writer.copy();
}

function answerOf(message: Uint8Array): Answer {
  const sections = new MessageSections();
  assert.equal(scanMessage(message, 0, message.length, sections), undefined);
  const properties = decodeProperties(message, sections.propertiesStart, sections.propertiesEnd);
  const entries = decodeMap(message, sections.applicationPropertiesStart, sections.applicationPropertiesEnd);
  assert.ok('type' in properties && Array.isArray(entries));
  const of = (name: string): unknown => (entries as AmqpEntry[]).find(([key]) => key.value === name)?.[1].value;
  const body = plain(decodeValue(message, sections.bodyStart, sections.bodyEnd) as AmqpValue);
  const [count, incomplete] = [of('count'), of('heliograph:incomplete')];
  return {
    status: of('statusCode'),
    azureStatus: of('status-code'),
    correlation: properties.correlationId?.value,
    body,
    count,
    incomplete,
  };
}

function plain(value: AmqpValue): unknown {
  if (value.type === 'map') return Object.fromEntries(value.value.map(([key, each]) => [key.value as string, plain(each)]));
  if (value.type === 'list') return value.value.map(plain);
  return value.type === 'long' ? Number(value.value) : value.value;
}

/** A peer with links to and from a node. */
class Asker {
  readonly peer: LivePeer;
  readonly #world: World;

  constructor(world: World, node: '$management' | '$cbs', peer: LivePeer = world.peer('asker')) {
    this.#world = world;
    this.peer = peer;
    this.peer.sender(0, node);
    this.peer.receiver(1, node, { target: { type: 'target', address: 'answers' } });
  }

  async ask(
    properties: Readonly<Record<string, string | number>>,
    body?: AmqpValue,
    replyTo: string | undefined = 'answers',
  ): Promise<Answer> {
    this.peer.publishMessage(0, request(properties, body, replyTo));
    for (let i = 0; i < 50; i++) {
      this.#world.test.settle();
      await Promise.resolve();
      const heard = this.peer.heard().find((each) => each.type === 'transfer');
      if (heard !== undefined && 'message' in heard) return answerOf(heard.message);
    }
    throw new Error('no answer');
  }
}

const names = (...attributes: string[]): AmqpValue => ({
  type: 'map',
  value: [[stringValue('attributeNames'), { type: 'list', value: attributes.map(stringValue) }]],
});

async function world(): Promise<World> {
  return new World(await TestBroker.start());
}

describe('$management', () => {
  it('tells what there is to ask', async () => {
    const asker = new Asker(await world(), '$management');
    const types = await asker.ask({ operation: 'GET-TYPES' });
    assert.deepEqual([types.status, types.azureStatus, types.correlation], [200, 200, 'question']);
    assert.deepEqual(
      Object.keys(types.body as object),
      ['queue', 'session', 'connection', 'link'].map((each) => `org.heliograph.${each}`),
    );
    const operations = await asker.ask({ operation: 'GET-OPERATIONS', entityType: 'queue' });
    assert.deepEqual(operations.body, { 'org.heliograph.queue': { CREATE: [], READ: [], DELETE: [], PURGE: [] } });
    assert.deepEqual((await asker.ask({ operation: 'GET-MGMT-NODES' })).body, ['$management']);
    assert.equal((await asker.ask({ operation: 'GET-ATTRIBUTES', entityType: 'nothing' })).status, 400);
    assert.equal((await asker.ask({ operation: 'DANCE' })).status, 501);
  });

  it('answers on the link whose name is the reply-to', async () => {
    const of = await world();
    const peer = of.peer('asker');
    peer.sender(0, '$management');
    peer.receiver(1, '$management', { target: { type: 'target' } });
    peer.heard();
    peer.publishMessage(0, request({ operation: 'GET-MGMT-NODES' }, undefined, 'r1'));
    of.test.settle();
    const heard = peer.heard().find((each) => each.type === 'transfer');
    assert.ok(heard !== undefined && 'message' in heard);
    assert.equal(answerOf(heard.message).status, 200);
  });

  it('makes, shows, empties and removes queues, on the record', async () => {
    const of = await world();
    const asker = new Asker(of, '$management');
    assert.equal((await asker.ask({ operation: 'CREATE', type: 'org.heliograph.queue', name: 'jobs' })).status, 201);
    asker.peer.sender(2, 'queue:jobs');
    for (const text of ['a', 'b', 'c']) asker.peer.publish(2, text);
    const query = await asker.ask({ operation: 'QUERY', entityType: 'queue' }, names('name', 'messageCount'));
    assert.deepEqual(query.body, { attributeNames: ['name', 'messageCount'], results: [['jobs', 3]] });
    assert.deepEqual([query.count, query.incomplete], [1, undefined]);
    const read = await asker.ask({ operation: 'READ', type: 'queue', name: 'jobs' });
    assert.equal((read.body as { messageCount: number }).messageCount, 3);
    assert.deepEqual((await asker.ask({ operation: 'PURGE', type: 'queue', name: 'jobs' })).body, { messageCount: 3 });
    asker.peer.receiver(3, '$queue/jobs');
    assert.equal((await asker.ask({ operation: 'DELETE', type: 'queue', name: 'jobs' })).status, 409);
    asker.peer.detach(3, true);
    assert.equal((await asker.ask({ operation: 'DELETE', type: 'queue', name: 'jobs' })).status, 204);
    assert.equal((await asker.ask({ operation: 'READ', type: 'queue', name: 'jobs' })).status, 404);
    const queue = 'queue/main/$queue/jobs';
    assert.deepEqual(of.events, [
      `queue.create ${queue} done`,
      `queue.purge ${queue} done`,
      `queue.delete ${queue} failed`,
      `queue.delete ${queue} done`,
    ]);
  });

  it('says when a query stopped at its bounds', async () => {
    const test = await TestBroker.start({ limits: { maxSessions: 10_000, maxSessionsPerPrincipal: 10_000 } });
    for (let i = 0; i < 5010; i++) test.connect(`device${i}`);
    const asker = new Asker(new World(test), '$management');
    const query = async (more: Readonly<Record<string, string | number>>): Promise<unknown[]> => {
      const { status, count, incomplete, body } = await asker.ask({ operation: 'QUERY', entityType: 'session', ...more }, names('name'));
      assert.equal(count, (body as { results: unknown[] }).results.length);
      return [status, count, incomplete];
    };
    assert.deepEqual(await query({}), [200, 1000, true]);
    assert.deepEqual(await query({ count: 2000 }), [200, 1000, true]);
    assert.deepEqual(await query({ count: 10, offset: 4990 }), [200, 10, undefined]);
    assert.deepEqual(await query({ count: 20, offset: 4990 }), [200, 10, true]);
    assert.deepEqual(await query({ offset: 5000 }), [200, 0, true]);
    assert.deepEqual(await query({ entityType: 'queue' }), [200, 0, undefined]);
  });

  it('shows pages of connections and links', async () => {
    const of = await world();
    const asker = new Asker(of, '$management');
    for (const name of ['one', 'two']) of.peer(name).receiver(0, 'x/#');
    const connections = await asker.ask({ operation: 'QUERY', entityType: 'connection' }, names('name', 'protocol'));
    assert.equal((connections.body as { results: unknown[] }).results.length, 3);
    const links = await asker.ask({ operation: 'QUERY', entityType: 'link', offset: 1, count: 1 }, names('name'));
    assert.deepEqual((links.body as { results: unknown[] }).results, [['$amqp/two/out/r0']]);
  });

  it('lets nobody do what the management interface would not', async () => {
    const of = await world();
    const asker = new Asker(of, '$management');
    const stranger: Principal = { tenant: 'main', id: 'stranger', kind: 'device', roles: [] };
    of.test.connect('theirs', { principal: stranger });
    of.security.allows = (_principal, action) => action !== 'manage';
    assert.equal((await asker.ask({ operation: 'QUERY', entityType: 'queue' })).status, 403);
    assert.equal((await asker.ask({ operation: 'READ', type: 'queue', name: 'jobs' })).status, 403);
    for (const operation of ['CREATE', 'DELETE', 'PURGE'])
      assert.equal((await asker.ask({ operation, type: 'queue', name: 'q' })).status, 403);
    assert.deepEqual(
      of.events,
      ['queue.create', 'queue.delete', 'queue.purge'].map((each) => `${each} queue/main/$queue/q refused`),
    );
    // Its own it sees.
    const sessions = await asker.ask({ operation: 'QUERY', entityType: 'session' }, names('name', 'principal'));
    const { results } = sessions.body as { results: [string, string][] };
    assert.ok(results.length > 0 && results.every(([, principal]) => principal !== 'stranger'));
    assert.equal((await asker.ask({ operation: 'READ', type: 'session', name: 'theirs' })).status, 404);
  });

  it('answers where reply-to says, with the rights of who asks', async () => {
    const of = await world();
    const asker = new Asker(of, '$management');
    asker.peer.receiver(2, 'elsewhere');
    const answer = await asker.ask({ operation: 'GET-MGMT-NODES' }, undefined, 'elsewhere');
    assert.deepEqual([answer.status, answer.correlation], [200, 'question']);
  });

  it('answers to no address that who asks may not send to', async () => {
    const denies = { ...allowAll, allows: (_principal: Principal, _action: string, topic: string) => topic !== 'forbidden' };
    const of = new World(await TestBroker.start({ security: denies }));
    const asker = new Asker(of, '$management');
    asker.peer.publishMessage(0, request({ operation: 'GET-MGMT-NODES' }, undefined, 'forbidden'));
    assert.ok(asker.peer.words().some((each) => each.includes('amqp:unauthorized-access')));
  });

  it('answers in its order when there is credit, and rejects what it cannot read', async () => {
    const of = await world();
    const peer = of.peer('slow');
    peer.sender(0, '$management');
    peer.receiver(1, '$management', { target: { type: 'target', address: 'answers' } }, 0);
    for (let i = 0; i < 3; i++) peer.publishMessage(0, request({ operation: 'GET-MGMT-NODES' }, undefined, 'answers'));
    assert.equal(peer.transfers().length, 0);
    peer.credit(1, 2);
    assert.equal(peer.transfers().length, 2);
    peer.credit(1, 5, { deliveryCount: 2, drain: true });
    const heard = peer.heard();
    assert.equal(heard.filter((each) => each.type === 'transfer').length, 1);
    assert.ok(heard.some((each) => each.type === 'flow' && each.drain === true && each.linkCredit === 0));
    peer.publishMessage(0, Buffer.from([1, 2, 3]));
    assert.ok(peer.words().some((each) => each.includes('rejected')));
  });
});

describe('$cbs', () => {
  const putToken = { operation: 'put-token', type: 'jwt', name: 'amqp://broker' };
  const token = stringValue('header.payload.signature');

  async function asked(result: (principal: Principal) => AuthenticationResult) {
    const of = await world();
    const asker = new Asker(of, '$cbs');
    const { principal } = of.test.broker.space('main').sessions.values().next().value!;
    const passwords: string[] = [];
    of.security.authenticate = (credentials, answer) => {
      passwords.push(Buffer.from(credentials.password!).toString());
      answer(result(principal));
    };
    return { of, asker, passwords, principal };
  }

  const byToken = (principal: Principal, id = principal.id): Principal => ({
    ...principal,
    id,
    roles: ['renewed'],
    access: { listener: 'amqp', remoteAddress: '127.0.0.1', secure: false, method: 'jwt', certificate: undefined },
  });

  it('renews all sessions of the connection by a token of the same principal', async () => {
    const { of, asker, passwords } = await asked((principal) => ({ ok: true, principal: byToken(principal) }));
    asker.peer.receiver(2, 'x');
    assert.equal((await asker.ask(putToken, token)).status, 202);
    assert.deepEqual(passwords, ['header.payload.signature']);
    for (const session of of.test.broker.space('main').sessions.values())
      assert.deepEqual(session.principal.roles, ['renewed'], session.clientId);
    assert.equal(of.server.counters.tokens.get('accepted'), 1);
  });

  it('ends the connection with the token, unless that is renewed', async () => {
    const { of, asker } = await asked((principal) => ({
      ok: true,
      principal: byToken(principal),
      expiresAtMs: of.test.clock.wallMs() + 10_000,
    }));
    assert.equal((await asker.ask(putToken, token)).status, 202);
    of.test.clock.advance(9000);
    asker.peer.dialogue.connection.onDeadline();
    assert.equal((await asker.ask(putToken, token)).status, 202);
    of.test.clock.advance(9000);
    asker.peer.dialogue.connection.onDeadline();
    assert.deepEqual(asker.peer.words(), []);
    of.test.clock.advance(1001);
    asker.peer.dialogue.connection.onDeadline();
    assert.ok(asker.peer.words().some((each) => each.includes('amqp:unauthorized-access')));
  });

  it('takes no token of somebody else, none that proves nothing, and no other proof', async () => {
    const results: ((principal: Principal) => AuthenticationResult)[] = [
      (principal) => ({ ok: true, principal: byToken(principal, 'somebody') }),
      (principal) => ({ ok: true, principal }),
      () => ({ ok: false, reason: 'refused' }),
      () => ({ ok: false, reason: 'overloaded' }),
    ];
    const statuses: unknown[] = [];
    for (const result of results) {
      const { of, asker } = await asked(result);
      statuses.push((await asker.ask(putToken, token)).status);
      for (const { principal } of of.test.broker.space('main').sessions.values())
        assert.deepEqual(principal.roles.includes('renewed'), false);
    }
    assert.deepEqual(statuses, [403, 401, 401, 503]);
  });

  it('says what it does not take', async () => {
    const { asker, passwords } = await asked(() => ({ ok: false, reason: 'refused' }));
    assert.equal((await asker.ask({ ...putToken, type: 'servicebus.windows.net:sastoken' }, token)).status, 400);
    assert.equal((await asker.ask({ ...putToken, type: 'other' }, token)).status, 400);
    assert.equal((await asker.ask(putToken)).status, 400);
    assert.equal((await asker.ask({ operation: 'delete-token' })).status, 501);
    assert.deepEqual(passwords, []);
  });
});

describe('a peer that proves by a token who it is', () => {
  const putToken = { operation: 'put-token', type: 'jwt', name: 'amqp://broker' };
  const token = stringValue('header.payload.signature');
  const device: Principal = {
    tenant: 'main',
    id: 'device',
    kind: 'device',
    roles: [],
    access: { listener: 'amqp', remoteAddress: '127.0.0.1', secure: false, method: 'jwt', certificate: undefined },
  };

  async function stranger(result: AuthenticationResult = { ok: true, principal: device }) {
    const of = new World(await TestBroker.start(), { accepts: ['jwt'], cbs: true });
    of.security.authenticate = (_credentials, answer) => answer(result);
    const peer = new LivePeer(of.test, 'stranger', { server: of.server, saslAnonymous: true });
    return { of, peer };
  }

  it('has no rights before, and those of its principal then', async () => {
    const { of, peer } = await stranger();
    assert.equal(of.test.broker.sessionCount, 0);
    const refusals = [
      senderAttach({ handle: 5, name: 'publish', target: { type: 'target', address: 'a' } }),
      senderAttach({ handle: 6, name: 'relay', target: { type: 'target' } }),
      senderAttach({ handle: 7, name: 'coordinate', target: { type: 'coordinator' } }),
      senderAttach({ handle: 8, name: 'manage', target: { type: 'target', address: '$management' } }),
    ];
    for (const attach of refusals) {
      peer.say(attach);
      const words = peer.words();
      assert.ok(
        words.some((each) => each.startsWith('detach') && each.endsWith('amqp:unauthorized-access')),
        words.join('; '),
      );
    }
    const asker = new Asker(of, '$cbs', peer);
    assert.equal((await asker.ask(putToken, token)).status, 202);
    assert.deepEqual(
      [...of.test.broker.space('main').sessions.values()].map(({ principal }) => principal.id),
      ['device'],
    );
    peer.receiver(10, 'a');
    peer.sender(11, 'a');
    peer.publish(11, 'hello');
    assert.deepEqual(peer.texts(), ['hello']);
    // From now on it is this one.
    of.security.authenticate = (_credentials, answer) => answer({ ok: true, principal: { ...device, id: 'another' } });
    assert.equal((await asker.ask(putToken, token)).status, 403);
    peer.lose();
    assert.equal(of.test.broker.sessionCount, 0);
  });

  it('has not long for it', async () => {
    const { of, peer } = await stranger();
    of.test.clock.advance(10_001);
    peer.dialogue.connection.onDeadline();
    assert.ok(peer.words().some((each) => each === 'close amqp:unauthorized-access'));
  });

  it('stays nobody with a token that is not good, or where it may not connect', async () => {
    const { of, peer } = await stranger({ ok: false, reason: 'refused' });
    const asker = new Asker(of, '$cbs', peer);
    assert.equal((await asker.ask(putToken, token)).status, 401);
    of.security.authenticate = (_credentials, answer) => answer({ ok: true, principal: device });
    of.security.allows = (_principal, action) => action !== 'connect';
    assert.equal((await asker.ask(putToken, token)).status, 403);
    assert.equal(of.test.broker.sessionCount, 0);
    of.security.allows = () => true;
    assert.equal((await asker.ask(putToken, token)).status, 202);
    assert.equal(of.test.broker.sessionCount, 1);
  });

  it('opens few sessions before', async () => {
    const { peer } = await stranger();
    for (let channel = 1; channel < 4; channel++) peer.send(frame(channel, begin));
    assert.ok(peer.words().every((each) => !each.startsWith('close')));
    peer.send(frame(4, begin));
    assert.ok(peer.words().includes('close amqp:resource-limit-exceeded'));
  });

  it('is not let in where a listener does not take tokens, or cbs is off', async () => {
    for (const more of [
      { accepts: ['password'], cbs: true },
      { accepts: ['jwt'], cbs: false },
    ] as const) {
      const of = new World(await TestBroker.start(), more);
      const peer = new LivePeer(of.test, 'stranger', { server: of.server, saslAnonymous: true });
      assert.equal(peer.dialogue.connection.state, 'closed');
    }
  });
});
