import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allowAll } from '../../../broker/testing/test-broker.ts';
import { type AuthenticationResult, type Credentials, isNodePrincipal, type Principal } from '../../../security/security.ts';
import { textBytes } from '../codec/index.ts';
import { TestHouse, type TestPeer } from './testing/house.ts';

/** Each peer is the device that its PSK identity names. */
const byIdentity = {
  ...allowAll,
  authenticate: ({ pskIdentity }: Credentials, answer: (result: AuthenticationResult) => void) =>
    answer({ ok: true, principal: device(pskIdentity ?? 'nobody') }),
  allows: (who: Principal, action: string, topic: string) => isNodePrincipal(who) || action === 'connect' || mayDo(who.id, topic),
};

function mayDo(id: string, topic: string): boolean {
  return id === 'app' || topic.startsWith(`dev/${id}/`) || (id === 'viewer' && topic.startsWith('$coap/rd/'));
}

function device(id: string): Principal {
  return { tenant: 'main', id, kind: 'device', roles: [] };
}

const links = '</sensors/temp>;rt="temperature-c";if="sensor",</lamp>;rt="light";anchor="/x"';

function register(peer: TestPeer, query: string, payload = links) {
  return peer.ask('post', `/rd${query}`, { payload, format: 40 });
}

test('a device registers its own name, and others look it up', async () => {
  const t = await TestHouse.open({ security: byIdentity });
  const pump = t.peer({ pskIdentity: 'd1' });
  assert.equal(register(pump, '?ep=d1&lt=600&et=pump').words, '2.01 Location-Path=rd Location-Path=d1');
  assert.equal(register(pump, '').words, '2.01 Location-Path=rd Location-Path=d1', 'its name is known');
  assert.match(register(pump, '?ep=d2').words!, /^4\.03 register under your own name/);
  const app = t.peer({ pskIdentity: 'app' });
  assert.equal(app.ask('get', '/rd-lookup/ep').payload, '</rd/d1>;ep="d1";base="coaps://192.0.2.1:5684";rt="core.rd-ep"');
  assert.equal(
    app.ask('get', '/rd-lookup/res').payload,
    '<coaps://192.0.2.1:5684/sensors/temp>;rt="temperature-c";if="sensor",<coaps://192.0.2.1:5684/lamp>;rt="light";anchor="coaps://192.0.2.1:5684/x"',
  );
  assert.equal(app.ask('get', '/rd-lookup/res?rt=temp*').payload, '<coaps://192.0.2.1:5684/sensors/temp>;rt="temperature-c";if="sensor"');
  assert.equal(app.ask('get', '/rd-lookup/res?rt=light&ep=d1').payload.startsWith('<coaps://192.0.2.1:5684/lamp>'), true);
  assert.equal(app.ask('get', '/rd-lookup/ep?rt=none').words, '2.05 Content-Format=40');
  assert.match(app.ask('get', '/rd-lookup/ep?rt=light').payload, /^<\/rd\/d1>/);
  assert.equal(app.ask('fetch', '/rd-lookup/ep', { payload: 'ep=d1' }).payload.startsWith('</rd/d1>'), true);
  assert.equal(t.peer({ pskIdentity: 'd3' }).ask('get', '/rd-lookup/ep').payload, '', 'who may not see it does not');
  for (const pskIdentity of ['d1', 'viewer']) {
    assert.match(t.peer({ pskIdentity }).ask('get', '/rd-lookup/ep').payload, /^<\/rd\/d1>/, pskIdentity);
  }
});

test('updates, removal, pages', async () => {
  const t = await TestHouse.open({ security: byIdentity });
  for (const id of ['d1', 'd2', 'd3']) register(t.peer({ pskIdentity: id }), '?lt=600');
  const app = t.peer({ pskIdentity: 'app' });
  assert.match(app.ask('get', '/rd-lookup/ep?count=2&page=1').payload, /^<\/rd\/d3>[^,]*$/);
  assert.equal(app.ask('get', '/rd-lookup/ep?page=1').code, '4.00');
  assert.equal(app.ask('post', '/rd/d1').code, '4.03');
  assert.equal(app.ask('delete', '/rd/d1').code, '4.03');
  const pump = t.peer({ pskIdentity: 'd1' });
  assert.equal(pump.ask('post', '/rd/d1?lt=60&base=coap://pump.example:61616&et=pump').words, '2.04');
  assert.match(app.ask('get', '/rd-lookup/ep?ep=d1').payload, /base="coap:\/\/pump\.example:61616";et="pump"/);
  assert.equal(pump.ask('get', '/rd/d1').payload, links);
  t.test.advance(61_000);
  assert.equal(pump.ask('post', '/rd/d1').code, '4.04', 'it is over');
  assert.equal(t.peer({ pskIdentity: 'd2' }).ask('delete', '/rd/d2').words, '2.02');
  assert.match(app.ask('get', '/rd-lookup/ep').payload, /^<\/rd\/d3>[^,]*$/);
  assert.equal(t.house.counters.registrations, 1);
});

test('registrations outlive the node', async () => {
  const t = await TestHouse.open({ security: byIdentity });
  register(t.peer({ pskIdentity: 'd1' }), '?lt=600&et=pump');
  register(t.peer({ pskIdentity: 'd2' }), '?lt=10');
  const again = await t.restart({ security: byIdentity });
  again.test.clock.advance(11_000);
  const app = again.peer({ pskIdentity: 'app' });
  assert.equal(app.ask('get', '/rd-lookup/ep').payload, '</rd/d1>;ep="d1";base="coaps://192.0.2.1:5684";et="pump";rt="core.rd-ep"');
  assert.equal(again.peer({ pskIdentity: 'd1' }).ask('post', '/rd/d1').words, '2.04');
});

test('simple registration: the device is asked for its links', async () => {
  const t = await TestHouse.open({ security: byIdentity });
  const pump = t.peer({ pskIdentity: 'd1' });
  assert.equal(pump.ask('post', '/.well-known/rd?lt=600').words, '2.04');
  assert.equal(pump.asked.length, 1);
  pump.asked[0]!.answer({ code: 0x45, options: [], payload: textBytes('</a>') });
  t.settle();
  assert.equal(t.peer({ pskIdentity: 'app' }).ask('get', '/rd-lookup/res').payload, '<coaps://192.0.2.1:5684/a>');
});

test('what is no registration', async () => {
  const t = await TestHouse.open({ security: byIdentity, options: { maxRegistrations: 1, maxRegistrationBytes: 64 } });
  const pump = t.peer({ pskIdentity: 'd1' });
  for (const query of ['?lt=0', '?lt=x', '?lt=4294967296', '?base=nowhere', '?d=' + 'x'.repeat(64), '?%22=x']) {
    assert.equal(register(pump, query, '</a>').code, '4.00', query);
  }
  for (const payload of ['a', '<a', '</a>;', '</a>;x="', '</a>,', '</a>x']) assert.equal(register(pump, '', payload).code, '4.00', payload);
  assert.equal(register(pump, '', `</${'a'.repeat(64)}>`).code, '4.13');
  assert.equal(pump.ask('post', '/rd', { payload: '</a>', format: 50 }).code, '4.15');
  assert.equal(pump.ask('get', '/rd').code, '4.05');
  assert.equal(register(pump, '', '</a>').code, '2.01');
  assert.equal(register(t.peer({ pskIdentity: 'd2' }), '', '</a>').code, '4.29');
  const many = await TestHouse.open({ security: byIdentity, options: { maxRegistrations: 100 } });
  const codes = Array.from({ length: 9 }, (_, i) => register(many.peer({ pskIdentity: 'd1' }), `?d=s${i}`).code);
  assert.deepEqual([codes.filter((code) => code === '2.01').length, codes.at(-1)], [8, '4.29']);
  assert.match(pump.ask('get', '/.well-known/core?rt=core.rd*').payload, /^<\/rd>;rt="core.rd";ct=40,<\/rd-lookup\/ep>/);
});

test('a registration does not grow by updates, nor a look-up by what is asked', async () => {
  const t = await TestHouse.open({ security: byIdentity });
  const pump = t.peer({ pskIdentity: 'd1' });
  const some = (from: number, count: number): string => Array.from({ length: count }, (_, i) => `a${from + i}=x`).join('&');
  register(pump, `?${some(0, 10)}`);
  assert.equal(pump.ask('post', `/rd/d1?${some(4, 12)}`).words, '2.04');
  assert.match(pump.ask('post', `/rd/d1?${some(16, 1)}`).words!, /^4\.00 the query cannot be read/);
  assert.equal(pump.ask('fetch', '/rd-lookup/ep', { payload: some(0, 16) }).code, '2.05');
  assert.match(pump.ask('fetch', '/rd-lookup/ep', { payload: some(0, 17) }).words!, /^4\.00 more than 16/);
});

test('a name stands for itself in the topic of its commands, whatever is in it', async () => {
  const t = await TestHouse.open({ security: byIdentity });
  const odd = t.peer({ pskIdentity: "a$&b$'c" });
  assert.equal(register(odd, '').code, '2.01');
  t.peer({ pskIdentity: 'app' }).ask('post', "/t/dev/a$&b$'c/command/get/x", { con: true });
  t.settle();
  assert.equal(odd.asked.length, 1);
});

test('who has a name gets it, although somebody anonymous registered it before, and with it nothing that waits for that one', async () => {
  const security = {
    ...byIdentity,
    authenticate: ({ pskIdentity }: Credentials, answer: (result: AuthenticationResult) => void): void =>
      answer({ ok: true, principal: pskIdentity === undefined ? { ...device('anonymous'), kind: 'anonymous' } : device(pskIdentity) }),
    allows: (who: Principal, action: string, topic: string) => who.id === 'anonymous' || byIdentity.allows(who, action, topic),
  };
  const t = await TestHouse.open({ security });
  const stranger = t.peer();
  assert.equal(register(stranger, '?ep=d1', '</stolen>').code, '2.01');
  const pump = t.peer({ pskIdentity: 'd1' });
  assert.equal(register(pump, '').code, '2.01');
  assert.equal(stranger.ask('delete', '/rd/d1').code, '4.03');
  assert.equal(register(stranger, '?ep=d1').code, '4.03');
  const app = t.peer({ pskIdentity: 'app' });
  assert.equal(app.ask('get', '/rd/d1').payload, links);
  app.ask('post', '/t/dev/d1/command/get/x', { con: true });
  t.settle();
  assert.deepEqual([stranger.asked.length, pump.asked.length], [0, 1]);
});
