// Thousands of peers on one real socket, and floods from thousands of addresses: what is held stays bounded, and others are answered.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DatagramStand, type UdpClient } from '../../test/harness/net/datagrams.ts';
import { until } from '../../test/harness/net/stand.ts';
import { SeededRandom } from '../base/random.ts';

/** So many sockets are open at a time: many machines allow a thousand files. */
const batch = 200;

/** `each` gets a client of an address of its own; its socket is closed afterwards. */
async function fromMany(stand: DatagramStand, port: number, count: number, each: (client: UdpClient) => unknown): Promise<void> {
  for (let done = 0; done < count; done += batch) {
    const clients = await Promise.all(Array.from({ length: batch }, () => stand.client(port)));
    for (const client of clients) await each(client);
    for (const client of clients) client.close();
  }
}

test('two thousand peers are each answered, kept, told of the end, and let go', async (t) => {
  const stand = new DatagramStand(t);
  const listener = await stand.listen();
  await fromMany(stand, listener.address!.port, 2000, async (client) => {
    assert.equal(await client.ask('busy'), 'busy');
  });
  const { peers } = stand.protocol;
  // The system may have given a port twice.
  assert.equal(listener.counters.peers, peers.length);
  assert.ok(peers.length > 1800, String(peers.length));
  assert.equal(await listener.drain(performance.now() + 10_000), true);
  assert.ok(peers.every(({ toldToGo, closed }) => toldToGo === 1 && closed === 1));
  assert.equal(listener.counters.peers, 0);
});

test('a flood of rubbish from many addresses fills no more than its bound, and takes nothing from those who are busy', async (t) => {
  const stand = new DatagramStand(t);
  const maxPeers = 300;
  const listener = await stand.listen({ limits: { maxPeers } });
  const { port } = listener.address!;
  const known = await stand.client(port);
  await known.ask('busy');
  const random = new SeededRandom(7);
  let rounds = 0;
  await fromMany(stand, port, 2000, async (client) => {
    for (let i = 0; i < 3; i++) await client.sent(Buffer.from(random.bytes(1 + random.below(200))).toString('latin1'));
    if (++rounds % batch === 0) assert.equal(await known.ask(`round ${rounds}`), `round ${rounds}`);
    assert.ok(listener.counters.peers <= maxPeers);
  });
  const { counters } = listener;
  await until(() => counters.displaced > 1000, 'others to make room');
  const alive = stand.protocol.peers.filter(({ closed }) => closed === 0);
  assert.ok(alive.length <= maxPeers, String(alive.length));
  assert.equal(stand.protocol.peers[0]!.closed, 0);
  assert.equal(counters.opened, counters.peers + counters.displaced);
});

test('when all are busy, a flood from others is dropped', async (t) => {
  const stand = new DatagramStand(t);
  const listener = await stand.listen({ limits: { maxPeers: 50 } });
  const { port } = listener.address!;
  const known = await Promise.all(Array.from({ length: 50 }, () => stand.client(port)));
  for (const client of known) await client.ask('busy');
  await fromMany(stand, port, 400, (client) => client.sent('rubbish'));
  await until(() => listener.counters.dropped.peers >= 300);
  for (const client of known) assert.equal(await client.ask('still here'), 'still here');
  assert.equal(stand.protocol.peers.length, 50);
});
