// Peers that want more than they may have: memory, time, and what is others'. Over the real broker.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { silentLog } from '../../base/log.ts';
import { SeededRandom } from '../../base/random.ts';
import { allowAll, TestBroker } from '../../broker/testing/test-broker.ts';
import { FakeSecurity } from '../mqtt/testing/fake-security.ts';
import type { Principal } from '../../security/security.ts';
import { ProtocolId, ValueWriter, writePropertiesSection } from './codec/index.ts';
import { AmqpServer } from './server.ts';
import { Dialogue } from './testing/dialogue.ts';
import { LivePeer } from './testing/live-peer.ts';
import { defaultAmqpOptions } from './testing/options.ts';
import { begin, dataMessage, emptyFrame, frame, header, open, sasl, senderAttach } from './testing/peer-frames.ts';

const cbsTarget = { type: 'target', address: '$cbs' } as const;

/** A connection whose peer is to prove by a token who it is. */
function stranger(test: TestBroker): Dialogue {
  const security = new FakeSecurity();
  security.result = { ok: false, reason: 'refused' };
  const { maxConnectFrameBytes } = defaultAmqpOptions;
  const server = new AmqpServer({
    broker: test.broker,
    security,
    clock: test.clock,
    random: new SeededRandom(1),
    log: silentLog,
    turn: test.turn,
    options: { ...defaultAmqpOptions, cbs: true },
    accepts: () => ['jwt'],
  });
  const dialogue = new Dialogue({ server, broker: test.broker, turn: test.turn as never, clock: test.clock });
  dialogue.send(header(ProtocolId.sasl), sasl({ type: 'sasl-init', mechanism: 'ANONYMOUS' }), header(), frame(0, open), frame(0, begin));
  const said = dialogue.frames().map((each) => (each.type === 'open' ? each.maxFrameSize : undefined));
  assert.ok(said.includes(maxConnectFrameBytes), 'it is told what it may send');
  return dialogue;
}

/** After what nobody needs is gone. */
function keptBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Of a delivery that goes on for ever. */
function part(handle: number, deliveryId: number, bytes: number): Uint8Array {
  return frame(0, { type: 'transfer', handle, deliveryId, deliveryTag: Buffer.from('t'), more: true }, new Uint8Array(bytes));
}

describe('a stranger that is to prove by a token who it is', () => {
  it('may send frames no larger than any stranger', async () => {
    const dialogue = stranger(await TestBroker.start());
    dialogue.send(frame(0, senderAttach({ target: cbsTarget })));
    dialogue.heard();
    dialogue.send(part(0, 0, defaultAmqpOptions.maxConnectFrameBytes));
    assert.deepEqual(dialogue.heard(), ['close amqp:connection:framing-error', 'closed']);
  });

  it('has few links', async () => {
    const dialogue = stranger(await TestBroker.start());
    for (let handle = 0; handle < 40; handle++) {
      const attach = senderAttach({ handle, name: `l${handle}`, target: cbsTarget });
      dialogue.send(frame(0, attach));
    }
    const refused = dialogue.heard().filter((words) => words.startsWith('detach'));
    assert.equal(refused.length, 40 - 16);
    assert.ok(refused.every((words) => words.endsWith('closed amqp:resource-limit-exceeded')));
    dialogue.send(
      frame(0, { type: 'detach', handle: 0, closed: true }),
      frame(0, senderAttach({ handle: 0, name: 'x', target: cbsTarget })),
    );
    assert.ok(!dialogue.heard().some((words) => words.includes('resource-limit')));
  });

  it('cannot fill memory by frames of a token without bytes', async () => {
    const dialogue = stranger(await TestBroker.start());
    dialogue.send(frame(0, senderAttach({ target: cbsTarget })));
    dialogue.heard();
    const empty = Buffer.concat(Array.from({ length: 1000 }, () => part(0, 0, 0)));
    for (let i = 0; i < 5; i++) dialogue.send(empty);
    const before = keptBytes();
    for (let i = 0; i < 300; i++) dialogue.send(empty);
    const grewBytes = keptBytes() - before;
    assert.ok(grewBytes < 15_000_000, `${grewBytes} bytes`);
    assert.deepEqual(
      dialogue.heard().filter((words) => !words.startsWith('flow')),
      [],
    );
  });
});

describe('what a peer pipelines', () => {
  it('is not looked at before SASL has an outcome, and not at all when that is no', async () => {
    const test = await TestBroker.start();
    const dialogue = new Dialogue({
      broker: test.broker,
      turn: test.turn as never,
      clock: test.clock,
      accepts: ['password'],
      facts: { secure: true },
    });
    dialogue.security.result = 'later';
    const plain = sasl({ type: 'sasl-init', mechanism: 'PLAIN', initialResponse: Buffer.from('\0ann\0wrong') });
    dialogue.send(header(ProtocolId.sasl), plain, header(), frame(0, open), frame(0, begin), frame(0, senderAttach()));
    assert.equal(test.broker.sessionCount, 0);
    dialogue.security.answers[0]!({ ok: false, reason: 'refused' });
    test.settle();
    assert.equal(dialogue.connection.state, 'closed');
    assert.equal(test.broker.sessionCount, 0);
    assert.deepEqual(dialogue.security.questions, []);
  });

  it('does not begin SASL a second time, and AMQP not without it', () => {
    const again = new Dialogue({ accepts: ['password'] });
    again.send(header(ProtocolId.sasl), sasl({ type: 'sasl-init', mechanism: 'PLAIN', initialResponse: Buffer.from('\0a\0b') }));
    again.heard();
    again.send(header(ProtocolId.sasl));
    assert.equal(again.connection.state, 'closed');
    const without = new Dialogue({ accepts: ['certificate', 'password'] });
    without.send(header(), frame(0, open));
    assert.equal(without.connection.state, 'closed');
    assert.equal(without.security.lastCredentials, undefined);
    const inits = new Dialogue({ accepts: ['password'] });
    inits.security.result = 'later';
    const init = sasl({ type: 'sasl-init', mechanism: 'PLAIN' });
    inits.send(header(ProtocolId.sasl), init, init);
    assert.equal(inits.connection.state, 'closed');
    const beats = new Dialogue({ accepts: ['anonymous'] });
    beats.send(header(), emptyFrame());
    assert.equal(beats.connection.state, 'closed');
  });

  it('chooses no mechanism that was not offered', () => {
    for (const mechanism of ['ANONYMOUS', 'EXTERNAL', 'plain', 'OAUTHBEARER', '']) {
      const dialogue = new Dialogue({ accepts: ['password', 'certificate'] });
      dialogue.send(header(ProtocolId.sasl), sasl({ type: 'sasl-init', mechanism, initialResponse: Buffer.from('x') }));
      assert.equal(dialogue.connection.state, 'closed', mechanism);
      assert.equal(dialogue.security.lastCredentials, undefined);
    }
  });
});

describe('a receiving peer', () => {
  it('that settles nothing of what is delivered at most once is sent no more than it may have unsettled', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test, 'hoarder', { options: { maxUnsettledPerLink: 10, linkCredit: 10 } });
    peer.sender(0, 'a');
    peer.receiver(1, 'a', { sndSettleMode: 0 }, 1_000_000);
    peer.heard();
    for (let i = 0; i < 30; i++) peer.publish(0, `m${i}`, true);
    const sent = peer.transfers();
    assert.equal(sent.length, 10);
    // It gets the rest when it settles.
    peer.settle(sent[0]!.deliveryId!, { type: 'accepted' }, true, sent[9]!.deliveryId);
    assert.equal(peer.transfers().length, 10);
  });

  it('that rejects with a long story does not make the dead-letter queue large', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test, 'talker');
    peer.sender(0, 'queue:jobs');
    peer.receiver(1, 'queue:jobs');
    peer.publish(0, 'm');
    const [job] = peer.transfers();
    const error = { type: 'error', condition: 'c'.repeat(10_000), description: 'd'.repeat(30_000) } as const;
    peer.settle(job!.deliveryId!, { type: 'rejected', error });
    peer.receiver(2, 'queue:dead-letter');
    const [dead] = peer.transfers();
    assert.ok(dead!.message.includes('d'.repeat(1000)) && dead!.message.length < 2000, `${dead!.message.length} bytes`);
  });

  it('that speaks of all deliveries again and again and settles none is ended', async () => {
    const test = await TestBroker.start();
    const peer = new LivePeer(test, 'chatter', { window: 10_000 });
    peer.sender(0, 'a');
    peer.receiver(1, 'a', {}, 1000);
    for (let i = 0; i < 500; i++) peer.publish(0, 'm');
    peer.heard();
    const all = frame(0, { type: 'disposition', role: 'receiver', first: 0, last: 0x7fff_ffff, settled: false });
    peer.send(...Array.from({ length: 150 }, () => all));
    assert.deepEqual(peer.words(), []);
    peer.send(...Array.from({ length: 250 }, () => all));
    assert.ok(peer.words().includes('end amqp:resource-limit-exceeded'));
  });

  it('learns nothing by the name of a group of what others subscribe to by it', async () => {
    const denied = new Set<string>();
    const security = { ...allowAll, allows: (_who: unknown, action: string, topic: string) => !denied.has(`${action} ${topic}`) };
    const test = await TestBroker.start({ security });
    const member = new LivePeer(test, 'member');
    member.receiver(0, '$share/crew/secret/plans');
    denied.add('subscribe $share/crew/secret/plans');
    const spy = new LivePeer(test, 'spy');
    spy.dialogue.security.denied.add('subscribe $share/crew/secret/plans');
    spy.receiver(0, undefined, { name: 'crew|global' }, 0);
    assert.deepEqual(spy.words(), ['detach 0 closed amqp:not-found']);
    const other = new LivePeer(test, 'other');
    assert.equal(other.receiver(0, undefined, { name: 'crew|global' }, 0).source?.address, '$share/crew/secret/plans');
  });
});

const durableSource = { durable: 2, expiryPolicy: 'never' } as const;

/** Peers of several principals, with what each may not do. */
class Town {
  readonly denied = new Set<string>();
  readonly security = {
    ...allowAll,
    version: 1,
    allows: (who: Principal, action: string, topic: string) => !this.denied.has(`${who.id} ${action} ${topic}`),
  };
  test!: TestBroker;

  static async start(): Promise<Town> {
    const town = new Town();
    town.test = await TestBroker.start({ security: town.security as never });
    return town;
  }

  peer(id: string, containerId = id, tenant = 'main'): LivePeer {
    const principal: Principal = { tenant, id, kind: 'device', roles: [] };
    const security = { ...this.security, authenticate: (_: unknown, answer: (result: unknown) => void) => answer({ ok: true, principal }) };
    const server = new AmqpServer({
      broker: this.test.broker,
      security: security as never,
      clock: this.test.clock,
      random: new SeededRandom(1),
      log: silentLog,
      turn: this.test.turn,
      options: defaultAmqpOptions,
      accepts: () => ['anonymous'],
    });
    return new LivePeer(this.test, containerId, { server });
  }
}

describe('what belongs to another principal', () => {
  it('is not had by its container id and link name', async () => {
    const town = await Town.start();
    const ann = town.peer('ann', 'shared-name');
    ann.receiver(0, { address: 'a', ...durableSource }, { name: 'inbox' });
    ann.lose();
    const writer = town.peer('writer');
    writer.sender(0, 'a');
    writer.publish(0, 'for ann');
    const eve = town.peer('eve', 'shared-name');
    eve.receiver(0, { address: 'a', ...durableSource }, { name: 'inbox' }, 0);
    assert.deepEqual(eve.words(), ['detach 0 closed amqp:unauthorized-access']);
    // Nor by a null source, nor by closing it.
    eve.detach(0, true);
    eve.receiver(1, undefined, { name: 'inbox' }, 0);
    assert.deepEqual(
      eve.words().filter((words) => words.startsWith('detach')),
      ['detach 0 closed amqp:unauthorized-access'],
    );
    const back = town.peer('ann', 'shared-name');
    back.receiver(0, { address: 'a', ...durableSource }, { name: 'inbox' });
    assert.deepEqual(back.texts(), ['for ann']);
    // A link that is there is not stolen either.
    const again = town.peer('eve', 'shared-name');
    again.receiver(0, { address: 'a', ...durableSource }, { name: 'inbox' }, 0);
    assert.deepEqual(again.words(), ['detach 0 closed amqp:unauthorized-access']);
    writer.publish(0, 'second');
    assert.deepEqual(back.texts(), ['second']);
  });

  it('is not had by its name in another tenant', async () => {
    const town = await Town.start();
    const ann = town.peer('ann', 'c', 'north');
    ann.receiver(0, { address: 'a', ...durableSource }, { name: 'inbox' });
    const other = town.peer('ann', 'c', 'south');
    other.receiver(0, { address: 'a', ...durableSource }, { name: 'inbox' });
    other.sender(1, 'a');
    other.publish(1, 'south');
    assert.deepEqual([ann.texts(), other.texts()], [[], ['south']]);
    const temporary = ann.receiver(2, { dynamic: true }).source!.address!;
    other.say(senderAttach({ handle: 3, name: 's3', target: { type: 'target', address: temporary } }));
    assert.ok(other.words().some((words) => /^detach . closed amqp:/.test(words)));
  });

  it('is not received from, where it is a temporary queue', async () => {
    const town = await Town.start();
    const ann = town.peer('ann');
    const address = ann.receiver(0, { dynamic: true }).source!.address!;
    const eve = town.peer('eve');
    eve.receiver(0, address, {}, 0);
    assert.deepEqual(eve.words(), ['detach 0 closed amqp:unauthorized-access']);
  });
});

describe('an address that its peer may not send to', () => {
  it('is refused as a target, as `to`, and as what it is called otherwise', async () => {
    const town = await Town.start();
    for (const topic of ['secret', '$queue/secret']) town.denied.add(`eve publish ${topic}`);
    const eve = town.peer('eve');
    const watcher = town.peer('watcher');
    watcher.receiver(0, 'secret');
    watcher.receiver(1, 'queue:secret');
    const names = ['secret', 'topic:secret', 'topic://secret', 'queue:secret', 'queue://secret', '$queue/secret'];
    for (const [i, address] of names.entries()) {
      eve.say(senderAttach({ handle: i, name: `s${i}`, target: { type: 'target', address } }));
      assert.ok(eve.words().includes('detach 0 closed amqp:unauthorized-access'), address);
      eve.detach(i, true);
    }
    eve.heard();
    eve.sender(20, undefined);
    for (const to of names) {
      const writer = new ValueWriter();
      writePropertiesSection(writer, { type: 'properties', to });
      const message = new Uint8Array(Buffer.concat([writer.copy(), dataMessage('x')]));
      eve.publishMessage(20, message);
      assert.ok(
        eve.words().some((words) => words.endsWith('rejected amqp:unauthorized-access')),
        to,
      );
    }
    for (const address of ['$share/g/secret', '$SYS/x', '$management/x', '']) {
      eve.say(senderAttach({ handle: 30, name: 's30', target: { type: 'target', address } }));
      const words = eve.words();
      if (address.startsWith('$share'))
        assert.ok(
          words.some((each) => /^detach . closed/.test(each)),
          words.join(),
        );
      eve.detach(30, true);
      eve.heard();
    }
    assert.deepEqual(watcher.transfers(), []);
  });

  it('is refused at once when the right goes, on links that are open', async () => {
    const town = await Town.start();
    const eve = town.peer('eve');
    eve.sender(0, 'a');
    eve.sender(1, undefined);
    eve.publish(0, 'fine');
    eve.heard();
    town.denied.add('eve publish a');
    town.security.version++;
    eve.publish(0, 'not fine');
    assert.ok(eve.words().some((words) => words.endsWith('rejected amqp:unauthorized-access')));
  });
});
