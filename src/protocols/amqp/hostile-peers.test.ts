// Peers that want more than they may have: memory, time, and what is others'. Over the real broker.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLog } from '../../base/log.ts';
import { SeededRandom } from '../../base/random.ts';
import { TestBroker } from '../../broker/testing/test-broker.ts';
import { FakeSecurity } from '../mqtt/testing/fake-security.ts';
import { ProtocolId } from './codec/index.ts';
import { AmqpServer } from './server.ts';
import { Dialogue } from './testing/dialogue.ts';
import { defaultAmqpOptions } from './testing/options.ts';
import { begin, emptyFrame, frame, header, open, sasl, senderAttach } from './testing/peer-frames.ts';

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
    global.gc?.();
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 100; i++) dialogue.send(empty);
    assert.ok(process.memoryUsage().arrayBuffers - before < 4_000_000);
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
