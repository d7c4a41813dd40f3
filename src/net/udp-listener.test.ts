import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DatagramStand } from '../../test/harness/net/datagrams.ts';
import { until } from '../../test/harness/net/stand.ts';

test('a peer is an address and a port; its datagrams come whole, and answers reach it', async (t) => {
  const stand = new DatagramStand(t);
  const listener = await stand.listen();
  const { port } = listener.address!;
  const [first, second] = [await stand.client(port), await stand.client(port)];
  assert.equal(await first.ask('one'), 'one');
  assert.equal(await second.ask('two'), 'two');
  assert.equal(await first.ask('x'.repeat(1400)), 'x'.repeat(1400));
  const { peers } = stand.protocol;
  assert.deepEqual(
    peers.map(({ seen }) => seen.map((text) => text.length)),
    [[3, 1400], [3]],
  );
  const { facts, isProven, maxBytes } = peers[0]!.path;
  const { port: remotePort } = first.socket.address();
  assert.deepEqual(facts, { listener: 'test', remoteAddress: '127.0.0.1', remotePort, secure: false, peerCertificate: undefined });
  assert.equal(isProven, false);
  assert.equal(maxBytes, 1152);
  const { received, sent, bytesIn, bytesOut, opened } = listener.counters;
  assert.deepEqual({ received, sent, bytesIn, bytesOut, opened }, { received: 3, sent: 3, bytesIn: 1406, bytesOut: 1406, opened: 2 });
});

test('a dual-stack socket knows IPv4 and IPv6 peers by their plain addresses', async (t) => {
  const stand = new DatagramStand(t);
  const { address } = await stand.listen({ host: '::' });
  const four = await stand.client(address!.port);
  assert.equal(await four.ask('4'), '4');
  assert.equal(stand.protocol.peers[0]!.path.facts.remoteAddress, '127.0.0.1');
  if (address!.host !== '::') return;
  const six = await stand.client(address!.port, '::1');
  assert.equal(await six.ask('6'), '6');
  assert.equal(stand.protocol.peers[1]!.path.facts.remoteAddress, '::1');
});

test('deadlines come, and not to peers that are closed', async (t) => {
  const stand = new DatagramStand(t);
  const { address } = await stand.listen();
  const [first, second] = [await stand.client(address!.port), await stand.client(address!.port)];
  await second.ask(`deadline ${performance.now() + 10}`);
  await first.ask(`deadline ${performance.now() + 30}`);
  second.say('close');
  await until(() => stand.protocol.peers[0]!.closed === 1);
  await until(() => stand.protocol.peers[1]!.deadlines === 1);
  assert.equal(stand.protocol.peers[0]!.deadlines, 0);
});

test('who is closed is told once, and begins anew', async (t) => {
  const stand = new DatagramStand(t);
  const listener = await stand.listen();
  const client = await stand.client(listener.address!.port);
  assert.equal(await client.ask('close'), 'close');
  await until(() => stand.protocol.peers[0]!.closed === 1);
  assert.equal(listener.counters.peers, 0);
  assert.equal(await client.ask('again'), 'again');
  assert.deepEqual(
    stand.protocol.peers.map(({ seen }) => seen),
    [['close'], ['again']],
  );
});

test('when there are too many peers, the idle one that was heard longest ago goes; when none is idle, the newcomer is dropped', async (t) => {
  const stand = new DatagramStand(t);
  const listener = await stand.listen({ limits: { maxPeers: 3 } });
  const { port } = listener.address!;
  const clients = await Promise.all(Array.from({ length: 5 }, () => stand.client(port)));
  const [a, b, c, d, e] = clients as [
    (typeof clients)[0],
    (typeof clients)[0],
    (typeof clients)[0],
    (typeof clients)[0],
    (typeof clients)[0],
  ];
  await a.ask('busy');
  await b.ask('b');
  await c.ask('c');
  await b.ask('b again');
  await d.ask('d');
  const { peers } = stand.protocol;
  await until(() => peers[2]!.closed === 1);
  assert.deepEqual(
    peers.map(({ closed }) => closed),
    [0, 0, 1, 0],
  );
  await b.ask('busy');
  await d.ask('busy');
  e.say('e');
  await until(() => listener.counters.dropped.peers === 1);
  assert.equal(peers.length, 4);
  assert.equal(listener.counters.peers, 3);
  assert.equal(await a.ask('still here'), 'still here');
});

test('new peers are bounded by address and by rate; those that are known are not', async (t) => {
  const stand = new DatagramStand(t);
  const byAddress = await stand.listen({ limits: { maxPeersPerAddress: 1 } });
  const [first, second] = [await stand.client(byAddress.address!.port), await stand.client(byAddress.address!.port)];
  await first.ask('1');
  second.say('2');
  await until(() => byAddress.counters.dropped.address === 1);
  assert.equal(await first.ask('3'), '3');
  const byRate = await stand.listen({ limits: { newPeersPerSecond: 0.001, newPeerBurst: 1 } });
  const [third, fourth] = [await stand.client(byRate.address!.port), await stand.client(byRate.address!.port)];
  await third.ask('1');
  fourth.say('2');
  await until(() => byRate.counters.dropped.rate === 1);
  assert.equal(await third.ask('3'), '3');
});

test('an idle peer that says nothing for long is forgotten, a busy one is not', async (t) => {
  const stand = new DatagramStand(t);
  const listener = await stand.listen({ limits: { idleMs: 20 } });
  const [quiet, busy] = [await stand.client(listener.address!.port), await stand.client(listener.address!.port)];
  await busy.ask('busy');
  await quiet.ask('quiet');
  const { peers } = stand.protocol;
  await until(() => peers[1]!.closed === 1);
  assert.equal(listener.counters.expired, 1);
  assert.equal(peers[0]!.closed, 0);
});

test('a protocol that throws loses its peer, and the node learns of it', async (t) => {
  const broken: unknown[] = [];
  const stand = new DatagramStand(t, { onInvariantBroken: (error) => broken.push(error) });
  const listener = await stand.listen();
  const client = await stand.client(listener.address!.port);
  client.say('break');
  await until(() => stand.protocol.peers[0]?.closed === 1);
  assert.equal(broken.length, 1);
  assert.equal(listener.counters.peers, 0);
});

test('empty datagrams are dropped before anybody is made of their sender', async (t) => {
  const stand = new DatagramStand(t);
  const listener = await stand.listen();
  const client = await stand.client(listener.address!.port);
  client.say('');
  await until(() => listener.counters.dropped.malformed === 1);
  assert.equal(stand.protocol.peers.length, 0);
});

test('when the node goes down peers are told; new ones are not let in, and who does not go is cut', async (t) => {
  const stand = new DatagramStand(t);
  const listener = await stand.listen();
  const { port } = listener.address!;
  const [first, second] = [await stand.client(port), await stand.client(port)];
  await first.ask('1');
  await second.ask('stubborn');
  const drained = listener.drain(performance.now() + 50);
  assert.equal(await second.ask('still answered'), 'still answered');
  first.say('not any more');
  await until(() => listener.counters.dropped.draining === 1);
  assert.equal(await drained, false);
  assert.deepEqual(
    stand.protocol.peers.map(({ toldToGo, closed }) => ({ toldToGo, closed })),
    [
      { toldToGo: 1, closed: 1 },
      { toldToGo: 1, closed: 1 },
    ],
  );
  const next = await stand.listen();
  assert.equal(await next.drain(performance.now() + 1000), true);
});

test('a port that is taken is a fault that the operator is told', async (t) => {
  const stand = new DatagramStand(t);
  const { address } = await stand.listen();
  await assert.rejects(stand.listen({ port: address!.port }), /Listener test cannot listen on 127\.0\.0\.1:\d+: the port is in use/);
});

test('what comes to a group is told from what comes to the node alone, and answered from the node’s own address', async (t) => {
  const stand = new DatagramStand(t);
  const group = '224.0.1.187';
  const listener = await stand.listen({ groups: [group] });
  const client = await stand.client(listener.address!.port);
  client.socket.setMulticastInterface('127.0.0.1');
  client.socket.setMulticastLoopback(true);
  const from: string[] = [];
  client.socket.on('message', (_bytes, { address, port }) => from.push(`${address}:${port}`));
  client.say('all', group);
  await until(() => client.heard.length === 1);
  await client.ask('you');
  assert.deepEqual(
    stand.protocol.peers.map(({ seen }) => seen),
    [['all by multicast', 'you']],
  );
  assert.deepEqual(
    from,
    Array.from({ length: 2 }, () => `127.0.0.1:${listener.address!.port}`),
  );
  assert.equal(listener.counters.multicast, 1);
});
