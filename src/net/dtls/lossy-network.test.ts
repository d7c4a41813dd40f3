// Handshakes over a network that loses, doubles and reorders, by seed; and with each single datagram lost in turn.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../base/random.ts';
import { clientAddress, deviceProof, DtlsStand } from './testing/dtls-stand.ts';
import type { TestClient, TestClientOptions } from './testing/test-client.ts';

type Letter = { readonly at: number; readonly toServer: boolean; readonly bytes: Buffer };
/** When the datagram arrives, in milliseconds from now: nowhere, once, or more often. */
type Network = (index: number) => readonly number[];

/** Runs until the client is open, or `limitMs` have passed. */
function run(stand: DtlsStand, client: TestClient, network: Network, limitMs = 60_000): void {
  const letters: Letter[] = [];
  const end = stand.now + limitMs;
  let sent = 0;
  const post = (toServer: boolean, datagrams: readonly Buffer[]): void => {
    for (const bytes of datagrams)
      for (const delay of network(sent++)) letters.push({ at: stand.now + delay, toServer, bytes: Buffer.from(bytes) });
  };
  const isDone = (): boolean => client.isOpen && stand.of('opened').length > 0 && letters.length === 0;
  client.start(stand.now);
  for (;;) {
    post(true, client.takeOut());
    post(false, stand.fetch());
    if (isDone()) return;
    letters.sort((a, b) => a.at - b.at);
    const next = Math.min(letters[0]?.at ?? Infinity, client.deadline, stand.endpoint.nextDeadline());
    if (next > end) return;
    stand.now = Math.max(stand.now, next);
    const letter = letters[0];
    if (letter !== undefined && letter.at <= stand.now) {
      letters.shift();
      if (letter.toServer) stand.deliver(letter.bytes);
      else client.receive(letter.bytes, stand.now);
    }
    client.tick(stand.now);
    stand.take(stand.endpoint.tick(stand.now));
  }
}

function assertBothOpen(stand: DtlsStand, client: TestClient, what: string): void {
  assert.equal(client.state, 'open', what);
  assert.equal(stand.of('opened').length, 1, what);
  const { session } = stand.last('opened');
  stand.deliver(client.seal(Buffer.from('up')));
  assert.deepEqual(stand.last('data').bytes, Buffer.from('up'), what);
  for (const effect of stand.endpoint.send(session, Buffer.from('down'), stand.now)) {
    if (effect.kind === 'datagram') client.receive(Buffer.from(effect.bytes), stand.now);
  }
  assert.deepEqual(client.data.at(-1), Buffer.from('down'), what);
  assert.equal(stand.endpoint.counters.handshakesPending, 0, what);
}

const kinds: Readonly<Record<string, Partial<TestClientOptions>>> = {
  'mutual certificates': { proof: deviceProof, suites: ['ECDHE-ECDSA-AES128-CCM8'] },
  'a pre-shared key': { suites: ['PSK-AES128-CCM8'] },
  'a Connection ID': { suites: ['PSK-AES128-CCM8'], cid: Buffer.from('c1d0', 'hex') },
};

for (const [name, options] of Object.entries(kinds)) {
  test(`${name}: each single datagram of the handshake lost in turn, with small datagrams and large ones`, () => {
    for (const mtu of [1152, 300]) {
      let longest = 0;
      for (let lost = 0; lost < 30; lost++) {
        const stand = new DtlsStand({ seed: lost, limits: { mtu } });
        const client = stand.client({ ...options, mtu });
        let isLost = false;
        run(stand, client, (index) => {
          if (index === lost) isLost = true;
          return index === lost ? [] : [10];
        });
        assertBothOpen(stand, client, `without datagram ${lost}, MTU ${mtu}`);
        longest = Math.max(longest, stand.now);
        if (!isLost) break;
      }
      assert.ok(longest < 10_000, 'one retransmission is enough');
    }
  });

  test(`${name}: 15 % lost each way, 5 % doubled, 20 % late, MTU 400`, () => {
    let open = 0;
    const rounds = 40;
    for (let seed = 0; seed < rounds; seed++) {
      const random = new SeededRandom(1000 + seed);
      const stand = new DtlsStand({ seed, limits: { mtu: 400, handshakeMs: 300_000 } });
      const client = stand.client({ ...options, mtu: 400 });
      const network: Network = () => {
        const delay = random.float() < 0.2 ? 10 + random.below(300) : 10;
        if (random.float() < 0.15) return [];
        return random.float() < 0.05 ? [delay, delay + random.below(100)] : [delay];
      };
      run(stand, client, network, 300_000);
      assertBothOpen(stand, client, `seed ${seed}`);
      open++;
    }
    assert.equal(open, rounds);
  });
}

test('a resumed handshake: each single datagram lost in turn', () => {
  for (let lost = 0; lost < 12; lost++) {
    const stand = new DtlsStand({ seed: lost });
    const first = stand.connect({ proof: deviceProof }, { address: '192.0.2.99', port: 1 });
    stand.effects.length = 0;
    const client = stand.client({ proof: deviceProof, resume: first.session! });
    run(stand, client, (index) => (index === lost ? [] : [10]));
    assert.ok(client.isResumed);
    assertBothOpen(stand, client, `without datagram ${lost}`);
  }
});

test('everything twice, and everything in the order in which it should not be', () => {
  for (const network of [() => [10, 10], () => [10, 2000], (index: number) => [100 - (index % 7) * 10]] as Network[]) {
    const stand = new DtlsStand({ limits: { mtu: 300 } });
    const client = stand.client({ proof: deviceProof, mtu: 300 });
    run(stand, client, network);
    assertBothOpen(stand, client, network.toString());
  }
});

test('when our Finished is lost, the client’s repetition brings it again, and the first data ends that', () => {
  const stand = new DtlsStand();
  const client = stand.client();
  client.start(stand.now);
  for (let i = 0; i < 2; i++) {
    for (const datagram of client.takeOut()) stand.deliver(datagram);
    for (const datagram of stand.fetch()) client.receive(datagram, stand.now);
  }
  for (const datagram of client.takeOut()) stand.deliver(datagram);
  assert.equal(stand.of('opened').length, 1);
  assert.equal(stand.fetch().length, 1, 'and this is lost');
  stand.now = client.deadline;
  client.tick(stand.now);
  const again = client.takeOut();
  for (const datagram of again) stand.deliver(datagram);
  for (const datagram of stand.fetch(clientAddress)) client.receive(datagram, stand.now);
  assert.equal(client.state, 'open');
  stand.deliver(client.seal(Buffer.from('now I have it')));
  stand.now += 1000;
  client.sendFlightAgain(stand.now);
  for (const datagram of client.takeOut()) stand.deliver(datagram);
  assert.deepEqual(stand.fetch(), []);
});
