import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AuthenticationResult, Credentials, Principal } from '../../security/security.ts';
import { HttpTest, securityWith } from './testing/fake-exchange.ts';

const application: Principal = { tenant: 'main', id: 'app', kind: 'application', roles: [] };
const basic = (user: string, password: string): string => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

describe('who speaks by HTTP', () => {
  it('is checked once on a connection, and again when the header is another one', async () => {
    const asked: Credentials[] = [];
    const authenticate = (credentials: Credentials, answer: (result: AuthenticationResult) => void): void => {
      asked.push(credentials);
      const isRight = Buffer.from(credentials.password ?? []).toString() === 's:ecret';
      answer(isRight ? { ok: true, principal: application } : { ok: false, reason: 'refused' });
    };
    const t = await HttpTest.start({ security: securityWith({ authenticate }), accepts: ['password', 'jwt'] });
    const peer = t.connect();
    for (let i = 0; i < 3; i++)
      assert.equal(peer.send('POST', '/v1/topics/a', { Authorization: basic('app', 's:ecret') }, 'x').status, 202);
    assert.equal(asked.length, 1);
    assert.equal(asked[0]!.username, 'app');
    const wrong = peer.send('POST', '/v1/topics/a', { Authorization: basic('app', 'guess') }, 'x');
    assert.equal(wrong.status, 401);
    assert.deepEqual(wrong.headers['WWW-Authenticate'], ['Bearer realm="heliograph"', 'Basic realm="heliograph", charset="UTF-8"']);
    assert.equal(peer.send('POST', '/v1/topics/a', { Authorization: 'Bearer s:ecret' }, 'x').status, 401, 'no token');
    assert.equal(peer.send('POST', '/v1/topics/a', { Authorization: 'Negotiate abc' }, 'x').status, 401);
    for (let i = 0; i < 3; i++) peer.send('POST', '/v1/topics/a', { Authorization: basic('app', `guess ${i}`) }, 'x');
    assert.equal(peer.aborted, true);
  });

  it('must show it again when what proved it has expired', async () => {
    let checks = 0;
    const t = await HttpTest.start({
      security: securityWith({
        authenticate: (_c, answer) =>
          answer(++checks > 1 ? { ok: false, reason: 'refused' } : { ok: true, principal: application, expiresAtMs: 1_700_000_005_000 }),
      }),
    });
    const peer = t.connect();
    assert.equal(peer.send('POST', '/v1/topics/a', {}, 'x').status, 202);
    t.advance(6000);
    assert.equal(peer.send('POST', '/v1/topics/a', {}, 'x').status, 401);
  });

  it('waits while it is checked, and is told when that cannot be done now', async () => {
    let answerLater: ((result: AuthenticationResult) => void) | undefined;
    const t = await HttpTest.start({ security: securityWith({ authenticate: (_c, answer) => void (answerLater = answer) }) });
    const peer = t.connect();
    const exchanges = [peer.send('POST', '/v1/topics/a', {}, '1'), peer.send('POST', '/v1/topics/a', {}, '2')];
    assert.equal(exchanges[0]!.status, undefined);
    answerLater!({ ok: true, principal: application });
    t.settle();
    assert.deepEqual(
      exchanges.map(({ status }) => status),
      [202, 202],
    );
    const other = t.connect();
    const exchange = other.send('POST', '/v1/topics/a', {}, '3');
    answerLater!({ ok: false, reason: 'overloaded' });
    assert.equal(exchange.status, 503);
    // Gone before it is known who it was.
    const gone = t.connect();
    gone.send('POST', '/v1/topics/a', {}, '4');
    gone.close();
    answerLater!({ ok: true, principal: application });
    t.settle();
    assert.equal(t.broker.broker.sessionCount, 1);
  });

  it('loses its connection and its streams with its rights', async () => {
    const t = await HttpTest.start({
      security: securityWith({ authenticate: (_c, answer) => answer({ ok: true, principal: application }) }),
    });
    const peer = t.connect();
    const { streamed } = peer.stream('/v1/topics/a');
    for (const space of t.broker.broker.spaces.values())
      for (const session of [...space.sessions.values()]) session.expel('administrative');
    t.settle();
    assert.equal(streamed!.ended, 'end');
    assert.equal(peer.aborted, true);
  });

  it('may not flood', async () => {
    const t = await HttpTest.start({ http: { maxOpenRequests: 2 } });
    const peer = t.connect();
    for (let i = 0; i < 2; i++) peer.send('POST', '/v1/queues/q/receive?wait=10s');
    assert.equal(peer.aborted, false);
    peer.send('POST', '/v1/queues/q/receive?wait=10s');
    assert.equal(peer.aborted, true);
    // What stood in the same bytes behind it is neither looked at nor counted.
    for (let i = 0; i < 3; i++) peer.send('POST', '/v1/queues/q/receive?wait=10s');
    assert.equal(t.server.counters.requests, 3);
    assert.equal(t.server.counters.cut.flood, 1);
  });
});

describe('web pages', () => {
  const page = 'https://app.example.com';

  it('of other origins are refused, whatever they send', async () => {
    const t = await HttpTest.start();
    const peer = t.connect();
    assert.equal(peer.send('POST', '/v1/topics/a', { Origin: page }, 'x').problem, 'origin-refused');
    assert.equal(peer.send('POST', '/v1/topics/a', { Origin: 'https://localhost:8443' }, 'x').status, 202);
    assert.equal(peer.send('POST', '/v1/topics/a', { Origin: 'http://localhost:8443' }, 'x').status, 403);
    // A name that was let point here.
    assert.equal(t.connect().send('GET', '/v1/topics/a', { Host: 'evil.example' }).status, 421);
  });

  it('that the configuration names may use it', async () => {
    const t = await HttpTest.start({ http: { corsOrigins: [page, 'http://localhost:*'] } });
    const peer = t.connect();
    const preflight = peer.send('OPTIONS', '/v1/topics/a', {
      Origin: page,
      'Access-Control-Request-Method': 'PUT',
      'Access-Control-Request-Headers': 'property-room',
    });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers['Access-Control-Allow-Origin'], page);
    assert.match(String(preflight.headers['Access-Control-Allow-Methods']), /PUT/);
    assert.equal(preflight.headers['Access-Control-Allow-Headers'], 'property-room');
    assert.equal(
      peer.send('POST', '/v1/topics/a', { Origin: 'http://localhost:3000' }, 'x').headers['Access-Control-Allow-Origin'],
      'http://localhost:3000',
    );
    assert.equal(peer.send('POST', '/v1/topics/a', { Origin: 'http://localhost.evil:3000' }, 'x').status, 403);
    assert.equal(peer.stream('/v1/topics/a', { Origin: page }).headers['Access-Control-Allow-Origin'], page);
  });

  it('and programs can read what there is', async () => {
    const t = await HttpTest.start();
    const { status, json } = t.connect().send('GET', '/v1/openapi.json');
    assert.equal(status, 200);
    assert.equal(json['openapi'], '3.1.0');
    assert.equal(t.connect().send('OPTIONS', '/v1/queues/q').headers['Allow'], 'POST, OPTIONS');
  });
});

describe('pages of elsewhere', () => {
  it('get nothing when they hide where they are from: the browser adds certificates and passwords by itself', async () => {
    const t = await HttpTest.start();
    const peer = t.connect();
    const hidden = { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors' };
    for (const site of ['cross-site', 'same-site']) {
      const stream = peer.stream('/v1/topics/a?subscription=mine', { ...hidden, 'Sec-Fetch-Site': site });
      assert.equal(stream.status, 403);
      assert.equal(stream.problem, 'origin-refused');
    }
    assert.equal(peer.send('GET', '/v1/topics/a', hidden).status, 403);
    assert.equal(peer.send('GET', '/v1/topics/a', { ...hidden, 'Sec-Fetch-Site': 'same-origin' }).status, 404);
    assert.equal(
      peer.send('GET', '/v1/topics/a', { ...hidden, 'Sec-Fetch-Mode': 'navigate' }).status,
      404,
      'a link that somebody followed',
    );
  });

  it('get no page, nor script, of this origin by publishing one', async () => {
    const t = await HttpTest.start();
    const peer = t.connect();
    peer.send('PUT', '/v1/topics/a', { 'Content-Type': 'text/html' }, '<script>steal()</script>');
    peer.send('POST', '/v1/queues/q', { 'Content-Type': 'text/html' }, '<script>steal()</script>');
    const answers = [peer.send('GET', '/v1/topics/a'), peer.send('POST', '/v1/queues/q/receive', { Accept: 'application/octet-stream' })];
    for (const { status, headers } of answers) {
      assert.equal(status, 200);
      assert.match(String(headers['Content-Security-Policy']), /sandbox/);
      assert.equal(headers['Cross-Origin-Resource-Policy'], 'same-origin');
    }
    assert.match(String(answers[0]!.headers['Vary']), /Origin/, 'caches keep answers for different pages apart');
  });

  it('that reach us by a name of their own are misdirected at every request, not only at the first of a connection', async () => {
    const t = await HttpTest.start();
    const peer = t.connect();
    assert.equal(peer.send('GET', '/v1/topics/a').status, 404);
    assert.equal(peer.send('GET', '/v1/topics/a', { Host: 'evil.example' }).status, 421);
  });
});

describe('checks of who speaks', () => {
  it('are bounded on one connection, even when the requests are taken back', async () => {
    let asked = 0;
    const t = await HttpTest.start({ security: securityWith({ authenticate: () => void asked++ }), accepts: ['password'] });
    const peer = t.connect();
    for (let i = 0; i < 200; i++) {
      const exchange = peer.send('GET', '/v1/topics/a', { Authorization: basic('app', `guess ${i}`) });
      if (exchange.status === undefined) exchange.close();
      else assert.equal(exchange.status, 503);
    }
    assert.equal(asked, 16);
  });

  it('end what waits when what was shown ends', async () => {
    const expiresAtMs = 1_700_000_005_000;
    const t = await HttpTest.start({
      security: securityWith({ authenticate: (_c, answer) => answer({ ok: true, principal: application, expiresAtMs }) }),
    });
    const waits = t.connect().send('POST', '/v1/queues/q/receive?wait=60s');
    assert.equal(waits.status, undefined);
    t.advance(6000);
    assert.equal(waits.status, 204);
  });
});

describe('names and batches that somebody made to collide or to cost', () => {
  it('leave the sessions of principals apart, whatever they are called', async () => {
    const { server } = await HttpTest.start();
    const name = (id: string, of: string): string => server.lastingName({ ...application, id }, 'subscription', of);
    assert.notEqual(name('a', 'x/subscription/y'), name('a/subscription/x', 'y'));
    assert.notEqual(name('a%2Fsubscription/x', 'y'), name('a/subscription%2Fx', 'y'));
  });

  it('are empty when they are line ends only', async () => {
    const t = await HttpTest.start();
    const lines = { 'Content-Type': 'application/x-ndjson' };
    assert.equal(t.connect().send('POST', '/v1/messages', lines, '\n'.repeat(50_000)).status, 400);
    const mixed = '\n{"topic":"a","payload":"1"}\r\n \n{"topic":"a","payload":"2"}';
    const answer = t.connect().send('POST', '/v1/messages', lines, mixed);
    assert.deepEqual([answer.status, answer.text.trim().split('\n').length], [200, 2]);
  });
});
