import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Outcome } from '../../broker/port.ts';
import { principalOf } from '../mqtt/testing/fake-security.ts';
import { type AmqpValue, type Performative, ProtocolId, type Source } from './codec/index.ts';
import { Dialogue } from './testing/dialogue.ts';
import { begin, emptyFrame, frame, header, open, sasl, senderAttach, transfer } from './testing/peer-frames.ts';

const byName = (entries: Record<string, AmqpValue>): ReadonlyMap<string, AmqpValue> => new Map(Object.entries(entries));

test('header, open, begin and attach in one piece are answered in order', () => {
  for (const bytewise of [false, true]) {
    const dialogue = new Dialogue({ bytewise });
    dialogue.send(header(), frame(0, open), frame(0, begin), frame(0, senderAttach()));
    assert.deepEqual(dialogue.heard(), ['header 0', 'open', 'begin', 'attach 0 link', 'flow 0 count=0 credit=100']);
    assert.deepEqual(dialogue.asked(), ['attach $amqp/peer/#1 clean', 'address a', 'attach $amqp/peer/in/link clean part']);
  }
});

test('what is pipelined waits while security and the broker are asked', () => {
  for (const bytewise of [false, true]) {
    const dialogue = new Dialogue({ bytewise });
    dialogue.security.result = 'later';
    dialogue.broker.attachAnswer = 'later';
    dialogue.send(header(), frame(0, open), frame(0, begin), frame(0, senderAttach()));
    assert.deepEqual(dialogue.heard(), ['header 0']);
    assert.equal(dialogue.wire.pauses, 1);
    dialogue.security.answers.shift()!({ ok: true, principal: principalOf('p') });
    dialogue.turn.end();
    assert.deepEqual(dialogue.heard(), []);
    dialogue.broker.attachAnswer = Outcome.accepted;
    dialogue.broker.answerAttach();
    assert.deepEqual(dialogue.heard(), ['open']);
    dialogue.turn.end();
    assert.deepEqual(dialogue.heard(), ['begin', 'attach 0 link', 'flow 0 count=0 credit=100']);
    assert.equal(dialogue.wire.pauses, 0);
  }
});

test('no more than a limit is kept of what comes before the open is answered', () => {
  const dialogue = new Dialogue({ options: { maxEarlyBytes: 100 } });
  dialogue.broker.attachAnswer = 'later';
  dialogue.send(header(), frame(0, open));
  dialogue.send(new Uint8Array(101));
  assert.deepEqual(dialogue.heard(), ['header 0', 'open', 'close amqp:resource-limit-exceeded', 'closed']);
  // The answer that still comes finds nobody: the session is given back.
  dialogue.broker.answerAttach();
  assert.deepEqual(dialogue.asked(), ['attach $amqp/peer/#1 clean', 'detach $amqp/peer/#1']);
});

test('other headers are answered with what is spoken here', () => {
  const heard = (bytes: Uint8Array, more = {}): string[] => {
    const dialogue = new Dialogue(more);
    dialogue.send(bytes);
    return dialogue.heard();
  };
  const version = (id: number, ...rest: readonly number[]): Uint8Array => Uint8Array.of(0x41, 0x4d, 0x51, 0x50, id, ...rest);
  assert.deepEqual(heard(header(ProtocolId.tls)), ['header 3', 'closed']);
  assert.deepEqual(heard(version(0, 0, 9, 1)), ['header 3', 'closed']);
  assert.deepEqual(heard(version(3, 1, 0, 1)), ['header 3', 'closed']);
  assert.deepEqual(heard(Buffer.from('GET / HTTP/1.1\r\n')), ['header 3', 'closed']);
  assert.deepEqual(heard(Buffer.from([0x10, 0x10])), ['header 3', 'closed']);
  // Who must say who it is cannot do without SASL.
  assert.deepEqual(heard(header(), { accepts: ['password'] }), ['header 3', 'closed']);
  // Where there is no way to come in but the certificate, SASL has nothing to offer.
  assert.deepEqual(heard(header(ProtocolId.sasl), { accepts: ['certificate'] }), ['header 0', 'closed']);
});

test('an open that cannot be taken is answered with open and close', () => {
  const refused = (more: object, options = {}): string[] => {
    const dialogue = new Dialogue(options);
    dialogue.send(header(), frame(0, { ...open, ...more }));
    return dialogue.heard().slice(1);
  };
  assert.deepEqual(refused({ maxFrameSize: 511 }), ['open', 'close amqp:invalid-field', 'closed']);
  assert.deepEqual(refused({ containerId: '' }), ['open', 'close amqp:invalid-field', 'closed']);
  assert.deepEqual(refused({ containerId: 'x'.repeat(257) }), ['open', 'close amqp:invalid-field', 'closed']);
  assert.deepEqual(refused({ idleTimeOut: 999 }), ['open', 'close amqp:not-allowed', 'closed']);
});

test('who may not connect by its container id, or at all, is told so', () => {
  const dialogue = new Dialogue();
  dialogue.security.denied.add('connect peer');
  dialogue.send(header(), frame(0, open));
  assert.deepEqual(dialogue.heard(), ['header 0', 'open', 'close amqp:unauthorized-access', 'closed']);
  for (const [reason, condition] of [
    ['refused', 'amqp:unauthorized-access'],
    ['banned', 'amqp:unauthorized-access'],
    ['overloaded', 'amqp:resource-limit-exceeded'],
  ] as const) {
    const other = new Dialogue();
    other.security.result = { ok: false, reason };
    other.send(header(), frame(0, open));
    assert.deepEqual(other.heard(), ['header 0', 'open', `close ${condition}`, 'closed']);
  }
  const full = new Dialogue();
  full.broker.attachAnswer = Outcome.quotaExceeded;
  full.send(header(), frame(0, open));
  assert.deepEqual(full.heard(), ['header 0', 'open', 'close amqp:resource-limit-exceeded', 'closed']);
});

test('the open tells limits, capabilities and what runs here', () => {
  const dialogue = new Dialogue({ options: { channelMax: 7, maxFrameBytes: 1000, maxConnectFrameBytes: 600, idleTimeoutMs: 30_000 } });
  dialogue.send(header(), frame(0, open));
  const answer = dialogue.frames().find((one) => one.type === 'open');
  assert.ok(answer?.type === 'open');
  assert.equal(answer.containerId, 'heliograph');
  assert.equal(answer.maxFrameSize, 1000);
  assert.equal(answer.channelMax, 7);
  assert.equal(answer.idleTimeOut, 15_000);
  assert.ok(answer.offeredCapabilities?.includes('ANONYMOUS-RELAY'));
  assert.deepEqual(answer.properties?.get('product'), { type: 'string', value: 'Heliograph' });
});

test('a container id that somebody has to itself is refused to others who want that, until it is free', () => {
  const sole = { ...open, desiredCapabilities: ['sole-connection-for-container'] };
  const first = Dialogue.opened({ open: sole });
  const second = new Dialogue({ server: first.server });
  second.send(header(), frame(0, sole));
  const [, answer, close] = second.frames();
  assert.ok(answer?.type === 'open' && answer.offeredCapabilities?.includes('sole-connection-for-container'));
  assert.deepEqual(answer.properties?.get('amqp:connection-establishment-failed'), { type: 'boolean', value: true });
  assert.ok(close?.type === 'close');
  assert.equal(close.error?.condition, 'amqp:invalid-field');
  assert.deepEqual(close.error?.info?.get('invalid-field'), { type: 'symbol', value: 'container-id' });
  second.lose();
  const careless = new Dialogue({ server: first.server });
  careless.send(header(), frame(0, open));
  assert.deepEqual(careless.heard(), ['header 0', 'open']);
  first.say(0, { type: 'close' });
  const third = new Dialogue({ server: first.server });
  third.send(header(), frame(0, sole));
  assert.deepEqual(third.heard(), ['header 0', 'open']);
});

test('close is answered with close, and everything is given back', () => {
  const dialogue = Dialogue.sending();
  dialogue.say(0, { type: 'close' });
  assert.deepEqual(dialogue.heard(), ['close', 'closed']);
  assert.deepEqual(dialogue.asked(), ['detach $amqp/peer/in/link', 'detach $amqp/peer/#1']);
  dialogue.lose();
  assert.deepEqual(dialogue.asked(), []);
  assert.equal(dialogue.server.counters.connections, 0);
  assert.equal(dialogue.server.counters.sessions, 0);
  assert.deepEqual(dialogue.server.counters.links, { in: 0, out: 0 });
});

test('a lost wire gives everything back', () => {
  const dialogue = Dialogue.sending();
  dialogue.lose();
  assert.deepEqual(dialogue.asked(), ['detach $amqp/peer/in/link', 'detach $amqp/peer/#1 will']);
  assert.equal(dialogue.server.counters.lost, 1);
  assert.equal(dialogue.server.counters.links.in, 0);
});

test('a node that goes down says so', () => {
  const dialogue = Dialogue.sending();
  dialogue.connection.shutDown();
  assert.deepEqual(dialogue.heard(), ['close amqp:connection:forced', 'closed']);
  const early = new Dialogue();
  early.send(header());
  early.connection.shutDown();
  assert.deepEqual(early.heard(), ['header 0', 'open', 'close amqp:connection:forced', 'closed']);
});

test('the broker ends a connection: close, and links are given back outside of its call', () => {
  const dialogue = Dialogue.sending();
  const [connectionSession] = dialogue.broker.sessions;
  connectionSession!.expel('administrative');
  assert.deepEqual(dialogue.heard(), ['close amqp:connection:forced', 'closed']);
  dialogue.turn.end();
  assert.deepEqual(dialogue.asked(), ['detach $amqp/peer/in/link']);
  dialogue.lose();
});

test('frames that are not allowed where they come end the connection', () => {
  const wrong = (...pieces: Uint8Array[]): string[] => {
    const dialogue = Dialogue.begun();
    dialogue.send(...pieces);
    return dialogue.heard();
  };
  const illegal = ['close amqp:illegal-state', 'closed'];
  assert.deepEqual(wrong(frame(0, open)), illegal);
  assert.deepEqual(wrong(frame(0, begin)), illegal, 'begin on a channel that has a session');
  assert.deepEqual(wrong(frame(1, { ...begin, remoteChannel: 3 })), illegal);
  for (const performative of [
    senderAttach(),
    { type: 'flow', incomingWindow: 1, nextOutgoingId: 0, outgoingWindow: 1 },
    { type: 'transfer', handle: 0 },
    { type: 'disposition', role: 'receiver', first: 0 },
    { type: 'detach', handle: 0 },
    { type: 'end' },
  ] as const) {
    assert.deepEqual(wrong(frame(5, performative as Performative)), illegal, `${performative.type} without begin`);
  }
  assert.deepEqual(wrong(frame(256, begin)), ['close amqp:connection:framing-error', 'closed'], 'channel-max');
  assert.deepEqual(wrong(frame(0, senderAttach({ handle: 256 }))), ['close amqp:connection:framing-error', 'closed'], 'handle-max');
  assert.deepEqual(wrong(sasl({ type: 'sasl-init', mechanism: 'PLAIN' })), ['close amqp:not-allowed', 'closed']);
  assert.deepEqual(wrong(Buffer.from([0, 0, 0, 12, 2, 0, 0, 0, 1, 2, 3, 4])), ['close amqp:not-implemented', 'closed']);
  assert.deepEqual(wrong(Buffer.from([0, 0, 0, 7, 2, 0, 0, 0])), ['close amqp:connection:framing-error', 'closed']);
  assert.deepEqual(wrong(Buffer.from([0, 1, 0, 1, 2, 0, 0, 0])), ['close amqp:connection:framing-error', 'closed'], 'too large');
  assert.deepEqual(wrong(Buffer.from([0, 0, 0, 8, 3, 0, 0, 0])), ['close amqp:connection:framing-error', 'closed'], 'data offset');
  assert.deepEqual(wrong(emptyFrame()), []);
});

test('a frame before open, a wrong channel, a large frame: the handshake ends', () => {
  const dialogue = (bytes: Uint8Array): string[] => {
    const one = new Dialogue({ options: { maxConnectFrameBytes: 512 } });
    one.send(header(), bytes);
    return one.heard().slice(1);
  };
  assert.deepEqual(dialogue(frame(0, begin)), ['open', 'close amqp:illegal-state', 'closed']);
  assert.deepEqual(dialogue(frame(1, open)), ['open', 'close amqp:illegal-state', 'closed']);
  assert.deepEqual(dialogue(frame(0, { ...open, containerId: 'x'.repeat(600) })), [
    'open',
    'close amqp:connection:framing-error',
    'closed',
  ]);
  assert.deepEqual(dialogue(header()), ['open', 'close amqp:connection:framing-error', 'closed']);
});

test('a peer that does not go on with its handshake is cut', () => {
  const nothing = new Dialogue();
  nothing.advance(10_000);
  assert.deepEqual(nothing.heard(), ['closed']);
  const slow = new Dialogue();
  slow.send(header());
  slow.advance(9_999);
  assert.deepEqual(slow.heard(), ['header 0']);
  slow.advance(1);
  assert.deepEqual(slow.heard(), ['closed']);
  assert.equal(slow.server.counters.abandoned, 1);
  const ours = new Dialogue();
  ours.broker.attachAnswer = 'later';
  ours.send(header(), frame(0, open));
  ours.advance(10_000);
  assert.deepEqual(ours.heard(), ['header 0', 'open', 'close amqp:resource-limit-exceeded', 'closed']);
});

test('a silent peer is cut, and one that wants to hear something does', () => {
  const dialogue = Dialogue.opened({ open: { idleTimeOut: 10_000 }, options: { idleTimeoutMs: 30_000 } });
  dialogue.advance(5_000);
  assert.deepEqual(dialogue.heard(), ['empty']);
  dialogue.send(emptyFrame());
  dialogue.advance(29_999);
  assert.deepEqual(dialogue.heard(), ['empty', 'empty', 'empty', 'empty', 'empty']);
  dialogue.advance(1);
  assert.equal(dialogue.heard().join(), 'close amqp:resource-limit-exceeded,closed');
});

test('what proved who the peer is ends the connection when it ends', () => {
  const dialogue = new Dialogue({ options: { idleTimeoutMs: 0 } });
  dialogue.security.result = { ok: true, principal: principalOf('p'), expiresAtMs: dialogue.clock.wallMs() + 5_000_000 };
  dialogue.send(header(), frame(0, open));
  dialogue.heard();
  dialogue.advance(4_999_999);
  assert.deepEqual(dialogue.heard(), []);
  dialogue.advance(1);
  assert.deepEqual(dialogue.heard(), ['close amqp:unauthorized-access', 'closed']);
});

test('a peer that does not read is not read from', () => {
  const dialogue = Dialogue.begun({ options: { outputHighWaterBytes: 1000, maxOutputBytes: 2000 } });
  dialogue.wire.output.unsentBytes = 3000;
  dialogue.send(emptyFrame());
  assert.equal(dialogue.wire.pauses, 1);
  dialogue.wire.output.unsentBytes = 0;
  dialogue.connection.onDrained();
  assert.equal(dialogue.wire.pauses, 0);
});

test('answers that come too late, after the wire is gone, do nothing', () => {
  const dialogue = new Dialogue();
  dialogue.security.result = 'later';
  dialogue.send(header(), frame(0, open));
  dialogue.lose();
  dialogue.security.answers.shift()!({ ok: true, principal: principalOf('p') });
  dialogue.turn.end();
  assert.deepEqual(dialogue.asked(), []);
});

test('SASL: the mechanisms of the listener are offered, and the outcome says what came of it', () => {
  const withSasl = (accepts: readonly ('anonymous' | 'password' | 'scram-sha-256' | 'jwt' | 'certificate')[], facts = {}): Dialogue =>
    new Dialogue({ accepts, facts });
  const dialogue = withSasl(['password', 'scram-sha-256', 'jwt', 'certificate']);
  dialogue.send(header(ProtocolId.sasl));
  assert.deepEqual(dialogue.heard(), ['header 3', 'mechanisms SCRAM-SHA-256 OAUTHBEARER PLAIN']);
  dialogue.send(sasl({ type: 'sasl-init', mechanism: 'PLAIN', initialResponse: Buffer.from('\0ann\0secret') }));
  assert.deepEqual(dialogue.heard(), ['outcome 0']);
  assert.equal(dialogue.security.lastCredentials?.username, 'ann');
  assert.equal(Buffer.from(dialogue.security.lastCredentials.password!).toString(), 'secret');
  dialogue.send(header(), frame(0, open));
  assert.deepEqual(dialogue.heard(), ['header 0', 'open']);
});

test('SASL and everything after it in one piece', () => {
  for (const bytewise of [false, true]) {
    const dialogue = new Dialogue({ accepts: ['password'], bytewise });
    dialogue.security.result = 'later';
    const init = sasl({ type: 'sasl-init', mechanism: 'PLAIN', initialResponse: Buffer.from('\0ann\0secret') });
    dialogue.send(header(ProtocolId.sasl), init, header(), frame(0, open), frame(0, begin));
    assert.deepEqual(dialogue.heard(), ['header 3', 'mechanisms PLAIN']);
    dialogue.security.answers.shift()!({ ok: true, principal: principalOf('ann') });
    dialogue.turn.end();
    assert.deepEqual(dialogue.heard(), ['outcome 0', 'header 0', 'open', 'begin']);
    assert.equal(dialogue.session.principal.id, 'ann');
  }
});

test('SASL: what is refused, and how', () => {
  const outcome = (init: Parameters<typeof sasl>[0], prepare?: (dialogue: Dialogue) => void): string[] => {
    const dialogue = new Dialogue({ accepts: ['password', 'jwt', 'scram-sha-256', 'anonymous'] });
    prepare?.(dialogue);
    dialogue.send(header(ProtocolId.sasl), sasl(init));
    return dialogue.heard().slice(2);
  };
  const plain = (text: string) => ({ type: 'sasl-init', mechanism: 'PLAIN', initialResponse: Buffer.from(text) }) as const;
  assert.deepEqual(outcome(plain('bob\0ann\0secret')), ['outcome 1', 'closed'], 'nobody acts for somebody else');
  assert.deepEqual(outcome(plain('ann\0ann\0secret')), ['outcome 0']);
  for (const bad of ['', 'ann', '\0ann', '\0\0secret', '\0ann\0sec\0ret'])
    assert.deepEqual(outcome(plain(bad)), ['outcome 1', 'closed'], bad);
  assert.deepEqual(outcome({ type: 'sasl-init', mechanism: 'XOAUTH2' }), ['outcome 1', 'closed']);
  assert.deepEqual(outcome({ type: 'sasl-init', mechanism: 'EXTERNAL' }), ['outcome 1', 'closed']);
  assert.deepEqual(outcome({ type: 'sasl-response', response: new Uint8Array(1) }), ['closed']);
  for (const [reason, code] of [
    ['refused', 1],
    ['banned', 1],
    ['overloaded', 4],
  ] as const) {
    const words = outcome(plain('\0ann\0x'), ({ security }) => (security.result = { ok: false, reason }));
    assert.deepEqual(words, [`outcome ${code}`, 'closed']);
  }
});

test('SASL: who is silent is asked, by an empty challenge', () => {
  const dialogue = new Dialogue({ accepts: ['password'] });
  dialogue.send(header(ProtocolId.sasl), sasl({ type: 'sasl-init', mechanism: 'PLAIN' }));
  assert.deepEqual(dialogue.heard().slice(2), ['challenge ']);
  dialogue.send(sasl({ type: 'sasl-response', response: Buffer.from('\0ann\0secret') }));
  assert.deepEqual(dialogue.heard(), ['outcome 0']);
});

test('SASL: a certificate by EXTERNAL, also in the name that it has', () => {
  const facts = { peerCertificate: { commonName: 'pump', uris: [], fingerprint: 'f'.repeat(64) } };
  const outcome = (authzid: string | undefined): string[] => {
    const dialogue = new Dialogue({ accepts: ['certificate'], facts });
    const initialResponse = authzid === undefined ? undefined : Buffer.from(authzid);
    dialogue.send(header(ProtocolId.sasl), sasl({ type: 'sasl-init', mechanism: 'EXTERNAL', initialResponse }));
    assert.equal(dialogue.security.lastCredentials?.certificate, facts.peerCertificate);
    return dialogue.heard();
  };
  assert.deepEqual(outcome(undefined), ['header 3', 'mechanisms EXTERNAL', 'outcome 0']);
  assert.deepEqual(outcome('').at(-1), 'outcome 0');
  assert.deepEqual(outcome('p').at(-1), 'outcome 0');
  assert.deepEqual(outcome('main/p').at(-1), 'outcome 0');
  assert.deepEqual(outcome('somebody').slice(2), ['outcome 1', 'closed']);
});

test('SASL: a certificate that names nobody is not nobody by EXTERNAL', () => {
  const facts = { peerCertificate: { commonName: undefined, uris: [], fingerprint: 'f'.repeat(64) } };
  const dialogue = new Dialogue({ accepts: ['certificate', 'anonymous'], facts });
  dialogue.security.result = { ok: true, principal: { tenant: 'main', id: 'anonymous', kind: 'anonymous', roles: [] } };
  dialogue.send(header(ProtocolId.sasl), sasl({ type: 'sasl-init', mechanism: 'EXTERNAL', initialResponse: new Uint8Array(0) }));
  assert.deepEqual(dialogue.heard().slice(1), ['mechanisms EXTERNAL ANONYMOUS', 'outcome 1', 'closed']);
});

test('SASL: the hostname names the tenant, where the configuration says so', () => {
  const asked = (hostnameIsTenant: boolean, text: string, hostname?: string): string | undefined => {
    const dialogue = new Dialogue({ accepts: ['password'], options: { hostnameIsTenant } });
    const initialResponse = Buffer.from(text);
    dialogue.send(header(ProtocolId.sasl), sasl({ type: 'sasl-init', mechanism: 'PLAIN', initialResponse, hostname }));
    return dialogue.security.lastCredentials?.username;
  };
  assert.equal(asked(false, '\0ann\0x', 'acme'), 'ann');
  assert.equal(asked(true, '\0ann\0x', 'acme'), 'acme/ann');
  assert.equal(asked(true, '\0other/ann\0x', 'acme'), 'other/ann');
  assert.equal(asked(true, '\0ann\0x'), 'ann');
});

test('with a certificate SASL may be left out; its name by PLAIN does not come from the certificate', () => {
  const facts = { peerCertificate: { commonName: 'pump', uris: [], fingerprint: 'f'.repeat(64) } };
  const dialogue = new Dialogue({ accepts: ['certificate'], facts });
  dialogue.send(header(), frame(0, open));
  assert.deepEqual(dialogue.heard(), ['header 0', 'open']);
  assert.equal(dialogue.security.lastCredentials?.certificate, facts.peerCertificate);
  const plain = new Dialogue({ accepts: ['certificate', 'password'], facts });
  const init = sasl({ type: 'sasl-init', mechanism: 'PLAIN', initialResponse: Buffer.from('\0ann\0secret') });
  plain.send(header(ProtocolId.sasl), init);
  assert.equal(plain.security.lastCredentials?.certificate, undefined);
});

test('SASL: SCRAM goes through the exchange of security, whose last word comes with the outcome', () => {
  const dialogue = new Dialogue({ accepts: ['scram-sha-256'] });
  dialogue.security.mechanisms.set('SCRAM-SHA-256', [
    { kind: 'challenge', data: Buffer.from('r=nonce') },
    { kind: 'done', principal: principalOf('ann'), data: Buffer.from('v=proof') },
  ]);
  const init = sasl({ type: 'sasl-init', mechanism: 'SCRAM-SHA-256', initialResponse: Buffer.from('n,,n=ann') });
  dialogue.send(header(ProtocolId.sasl), init);
  assert.deepEqual(dialogue.heard().slice(2), ['challenge r=nonce']);
  dialogue.send(sasl({ type: 'sasl-response', response: Buffer.from('c=biws') }));
  assert.deepEqual(dialogue.heard(), ['outcome 0 v=proof']);
  assert.deepEqual(dialogue.security.stepData, ['n,,n=ann', 'c=biws']);
  dialogue.send(header(), frame(0, open));
  assert.equal(dialogue.session.principal.id, 'ann');
});

test('SASL: bearer tokens, and why one is refused', () => {
  const init = (text: string) => sasl({ type: 'sasl-init', mechanism: 'OAUTHBEARER', initialResponse: Buffer.from(text) });
  const good = new Dialogue({ accepts: ['jwt'] });
  good.security.mechanisms.set('JWT', [{ kind: 'done', principal: principalOf('ann'), data: undefined, expiresAtMs: 5 }]);
  good.send(header(ProtocolId.sasl), init('n,a=ann,\x01host=h\x01port=5671\x01auth=Bearer a.b.c\x01\x01'));
  assert.deepEqual(good.heard().slice(2), ['outcome 0']);
  assert.deepEqual(good.security.stepData, ['a.b.c']);
  const bad = new Dialogue({ accepts: ['jwt'] });
  bad.security.mechanisms.set('JWT', [{ kind: 'failed' }]);
  bad.send(header(ProtocolId.sasl), init('n,,\x01auth=bearer a.b.c\x01\x01'));
  assert.deepEqual(bad.heard().slice(2), ['challenge {"status":"invalid_token"}']);
  bad.send(sasl({ type: 'sasl-response', response: Uint8Array.of(1) }));
  assert.deepEqual(bad.heard(), ['outcome 1', 'closed']);
  for (const text of ['', 'n,,', 'p=tls,,\x01auth=Bearer a.b.c\x01\x01', 'n,,\x01auth=Basic x\x01\x01', 'n,,\x01auth=Bearer a.b.c\x01']) {
    const malformed = new Dialogue({ accepts: ['jwt'] });
    malformed.send(header(ProtocolId.sasl), init(text));
    assert.deepEqual(malformed.heard().slice(2), ['challenge {"status":"invalid_token"}'], text);
  }
});

test('SASL: a second init, a response out of turn and frames of AMQP end it without a word', () => {
  for (const bytes of [
    sasl({ type: 'sasl-init', mechanism: 'PLAIN' }),
    sasl({ type: 'sasl-outcome', code: 0 }),
    frame(0, open),
    emptyFrame(),
    header(),
  ]) {
    const dialogue = new Dialogue({ accepts: ['password'] });
    dialogue.send(header(ProtocolId.sasl), sasl({ type: 'sasl-init', mechanism: 'PLAIN' }));
    dialogue.heard();
    dialogue.send(bytes);
    assert.deepEqual(dialogue.heard(), ['closed']);
  }
});

test('every cut of a conversation leads to the same answers', () => {
  const source: Source = { type: 'source', capabilities: ['topic'] };
  const properties = byName({ product: { type: 'string', value: 'test' } });
  const bytes = Buffer.concat([
    header(),
    frame(0, { ...open, properties }),
    frame(0, begin),
    frame(0, senderAttach({ source })),
    transfer(0, 'one'),
    transfer(1, 'x'.repeat(400), { settled: true }),
    frame(0, { type: 'detach', handle: 0, closed: true }),
    frame(0, { type: 'end' }),
    frame(0, { type: 'close' }),
  ]);
  const whole = new Dialogue();
  whole.send(bytes);
  const expected = whole.heard();
  assert.deepEqual(expected, [
    'header 0',
    'open',
    'begin',
    'attach 0 link',
    'flow 0 count=0 credit=100',
    'receiver 0 settled accepted',
    'detach 0 closed',
    'end',
    'close',
    'closed',
  ]);
  for (let cut = 1; cut < bytes.length; cut++) {
    const dialogue = new Dialogue();
    dialogue.send(bytes.subarray(0, cut));
    dialogue.send(bytes.subarray(cut));
    assert.deepEqual(dialogue.heard(), expected, `cut at ${cut}`);
  }
});
