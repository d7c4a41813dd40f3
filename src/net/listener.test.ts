import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { Stand, until } from '../../test/harness/net/stand.ts';
import { UserError } from '../base/user-error.ts';
import { nodeHandles } from './node-handles.ts';

const MiB = 1024 * 1024;

test('this Node’s handles are found, so that the tests below take both ways', () => {
  assert.notEqual(nodeHandles(), undefined);
});

for (const useHandles of [true, false]) {
  const way = useHandles ? 'handles' : 'sockets';
  const check = (what: string, run: (stand: Stand) => Promise<void>): void => {
    test(`${what} (${way})`, (t) => run(new Stand(t, { useHandles })));
  };

  check('lines come back', async (stand) => {
    const listener = await stand.listen();
    const client = await stand.client(listener);
    assert.equal(await client.ask('hello'), 'hello');
    const { facts } = stand.protocol.last.wire;
    assert.deepEqual(facts, {
      listener: 'test',
      remoteAddress: '127.0.0.1',
      remotePort: client.socket.localPort,
      secure: false,
      peerCertificate: undefined,
    });
    assert.equal(listener.counters.bytesIn, 6);
    assert.equal(listener.counters.bytesOut, 6);
    assert.equal(listener.counters.active, 1);
  });

  check('the peer’s bytes all arrive in order, however many', async (stand) => {
    const listener = await stand.listen();
    const client = await stand.client(listener);
    const lines = Array.from({ length: 20_000 }, (_, i) => `line ${i} ${'.'.repeat(i % 97)}\n`).join('');
    client.say(lines);
    await until(() => client.text.length >= lines.length);
    assert.equal(client.text, lines);
  });

  check('IPv6 and IPv4 on a dual-stack listener', async (stand) => {
    const listener = await stand.listen({ host: '::' });
    for (const host of ['127.0.0.1', '::1']) {
      const client = await stand.client(listener, host);
      assert.equal(await client.ask(host), host);
      assert.equal(stand.protocol.last.wire.facts.remoteAddress, host);
    }
  });

  check('close sends what the output holds and then ends', async (stand) => {
    const listener = await stand.listen();
    const client = await stand.client(listener);
    client.say(`big ${3 * MiB}\nclose\n`);
    await until(() => client.ended);
    assert.equal(client.text.length, 3 * MiB + 1 + 'closing\n'.length);
    assert.ok(client.text.endsWith('closing\n'));
    const { last } = stand.protocol;
    assert.deepEqual(last.events, ['receive', 'closed'], 'closed once, and nothing after');
    assert.equal(listener.counters.active, 1, 'it waits for the peer’s end');
    client.socket.end();
    await until(() => listener.counters.active === 0);
  });

  check('what comes after close is thrown away', async (stand) => {
    const listener = await stand.listen();
    const client = await stand.client(listener);
    client.say('close\n');
    await until(() => client.ended);
    client.say('x'.repeat(1000));
    client.socket.end();
    await until(() => listener.counters.active === 0);
    assert.equal(stand.protocol.last.received, 6);
  });

  check('abort loses what the output holds', async (stand) => {
    const listener = await stand.listen();
    const client = await stand.client(listener);
    client.say('abort\n');
    await until(() => client.ended || client.closed);
    assert.equal(client.text, '');
    await until(() => listener.counters.active === 0);
    assert.deepEqual(stand.protocol.last.events, ['receive', 'closed']);
  });

  check('a peer that ends gets the answers to what it sent', async (stand) => {
    const listener = await stand.listen();
    const client = await stand.client(listener);
    client.socket.end('one\ntwo\n');
    await until(() => client.ended);
    assert.equal(client.text, 'one\ntwo\n');
    await until(() => listener.counters.active === 0);
    assert.equal(stand.protocol.last.events.filter((event) => event === 'closed').length, 1);
  });

  check('a peer that vanishes is told as closed', async (stand) => {
    const listener = await stand.listen();
    const client = await stand.client(listener);
    await client.ask('hello');
    client.socket.resetAndDestroy();
    await until(() => stand.protocol.last.events.includes('closed'));
    await until(() => listener.counters.active === 0);
    assert.deepEqual(stand.protocol.last.events, ['receive', 'closed']);
  });

  check('a slow reader congests the output, and draining is told', async (stand) => {
    const listener = await stand.listen();
    const client = await stand.client(listener);
    client.socket.pause();
    const size = 16 * MiB;
    client.say(`big ${size}\n`);
    await until(() => listener.counters.congestions === 1);
    const { last } = stand.protocol;
    const { output } = last.wire;
    assert.ok(output.pendingBytes > 256 * 1024, `${output.pendingBytes} bytes pending`);
    assert.ok(output.unsentBytes > 0);
    assert.deepEqual(last.events, ['receive']);
    client.socket.resume();
    await until(() => client.text.length === size + 1);
    await until(() => last.events.includes('drained'));
    assert.deepEqual(last.events, ['receive', 'drained']);
    assert.equal(output.pendingBytes, 0);
  });

  check('output that goes over the mark and out at once is told, too', async (stand) => {
    const listener = await stand.listen();
    const client = await stand.client(listener);
    client.say(`big ${300 * 1024}\n`);
    await until(() => stand.protocol.last?.events.includes('drained'));
  });

  check('while a write is under way, output gathers', async (stand) => {
    const listener = await stand.listen();
    const client = await stand.client(listener);
    client.socket.pause();
    client.say(`big ${16 * MiB}\n`);
    await until(() => listener.counters.congestions === 1);
    const { writes } = listener.counters;
    for (let i = 0; i < 10; i++) {
      client.say(`more ${i}\n`);
      await until(() => stand.protocol.last.lines.length === i + 2);
    }
    assert.equal(listener.counters.writes, writes);
    client.socket.resume();
    await until(() => client.text.endsWith('more 9\n'));
    assert.ok(listener.counters.writes <= writes + 2, 'one write for what gathered');
  });

  check('pausing is counted and stops reading', async (stand) => {
    const listener = await stand.listen();
    const client = await stand.client(listener);
    await client.ask('hello');
    const { last } = stand.protocol;
    const { wire } = last;
    wire.pause();
    wire.pause();
    client.say('x'.repeat(8 * MiB));
    await until(() => client.socket.writableLength > 0);
    wire.resume();
    const other = await stand.client(listener);
    assert.equal(await other.ask('another is read'), 'another is read');
    // A socket may hand over what it had read when it was paused.
    assert.ok(last.received < MiB, `${last.received} bytes came through`);
    wire.resume();
    await until(() => last.received === 8 * MiB + 6);
    assert.equal(listener.counters.pauses, 1);
  });

  check('a paused wire can be closed', async (stand) => {
    const listener = await stand.listen();
    const client = await stand.client(listener);
    await client.ask('hello');
    stand.protocol.last.wire.pause();
    client.say('unread\n');
    stand.protocol.last.wire.close();
    await until(() => client.ended);
    client.socket.end();
    await until(() => listener.counters.active === 0);
    assert.equal(stand.protocol.last.received, 6);
  });

  check('a closing connection whose peer reads nothing is cut', async (stand) => {
    const listener = await stand.listen({ limits: { closeTimeoutMs: 30 } });
    const client = await stand.client(listener);
    client.socket.pause();
    client.say(`big ${16 * MiB}\nclose\n`);
    await until(() => listener.counters.active === 0 && listener.counters.accepted === 1);
    assert.equal(listener.counters.closeTimeouts, 1);
  });

  check('one flush a turn', async (stand) => {
    const listener = await stand.listen();
    const a = await stand.client(listener);
    await a.ask('hello');
    const b = await stand.client(listener);
    await b.ask('hello');
    const [first, second] = stand.protocol.connections;
    const { writes } = listener.counters;
    stand.loop.atEnd(() => {
      for (let i = 0; i < 100; i++) {
        first!.say('a');
        second!.say('b');
      }
    });
    await until(() => a.text.endsWith('a'.repeat(100)) && b.text.endsWith('b'.repeat(100)));
    assert.equal(listener.counters.writes, writes + 2);
  });

  check('several chunks go out in one write', async (stand) => {
    const listener = await stand.listen();
    const client = await stand.client(listener);
    await client.ask('hello');
    const { writes } = listener.counters;
    const pieces = Array.from({ length: 40 }, (_, i) => String.fromCodePoint(97 + (i % 26)).repeat(10_000));
    for (const piece of pieces) stand.protocol.last.say(piece);
    await until(() => client.text.length === 6 + 400_000);
    assert.equal(client.text.slice(6), pieces.join(''));
    assert.equal(listener.counters.writes, writes + 1);
  });

  check('a busy peer has its share of a turn and no more', async (stand) => {
    const listener = await stand.listen();
    const client = await stand.client(listener);
    await client.ask('hello');
    const { last } = stand.protocol;
    const byTurn = new Map<number, number>();
    last.receive = (bytes): void => {
      last.received += bytes.length;
      byTurn.set(stand.loop.turns, (byTurn.get(stand.loop.turns) ?? 0) + bytes.length);
    };
    // So that much is waiting when reading begins.
    last.wire.pause();
    client.socket.write(Buffer.alloc(8 * MiB));
    await until(() => client.socket.writableLength > 0);
    last.wire.resume();
    await until(() => last.received === 8 * MiB + 6);
    assert.ok(Math.max(...byTurn.values()) < 192 * 1024, `${Math.max(...byTurn.values())} bytes in a turn`);
  });

  check('a deadline comes, and one that moves comes later', async (stand) => {
    const listener = await stand.listen();
    const client = await stand.client(listener);
    assert.equal(await client.ask('deadline 1'), 'deadline');
    const { last } = stand.protocol;
    const start = performance.now();
    last.wire.setDeadline(start + 5);
    last.wire.setDeadline(start + 40);
    await until(() => last.events.filter((event) => event === 'deadline').length === 2);
    assert.ok(performance.now() >= start + 39);
    last.wire.setDeadline(performance.now() + 10_000);
    last.wire.setDeadline(performance.now() + 1);
    await until(() => last.events.filter((event) => event === 'deadline').length === 3);
    last.wire.setDeadline(performance.now() + 1);
    last.wire.setDeadline(Infinity);
    last.wire.close();
    await until(() => last.events.includes('closed'));
    assert.equal(last.events.filter((event) => event === 'deadline').length, 3);
  });

  check('a handler that throws costs its own connection', async (stand) => {
    const listener = await stand.listen();
    const bystander = await stand.client(listener);
    await bystander.ask('hello');
    const client = await stand.client(listener);
    client.say('throw\n');
    await until(() => client.ended || client.closed);
    assert.deepEqual(stand.errors, ['a connection’s handler failed: a broken handler']);
    assert.deepEqual(stand.protocol.last.events, ['receive', 'closed']);
    assert.equal(await bystander.ask('still here'), 'still here');
  });

  check('draining says goodbye, flushes and ends', async (stand) => {
    const listener = await stand.listen();
    const clients = [await stand.client(listener), await stand.client(listener)];
    for (const client of clients) {
      await client.ask('hello');
      client.socket.on('end', () => client.socket.end());
    }
    assert.equal(await listener.drain(performance.now() + 10_000), true);
    await until(() => clients.every(({ ended }) => ended));
    for (const { text } of clients) assert.equal(text, 'hello\nbye\n');
    assert.equal(listener.counters.active, 0);
    assert.equal(listener.address, undefined);
  });

  check('draining is bounded', async (stand) => {
    const listener = await stand.listen();
    const client = await stand.client(listener);
    client.socket.pause();
    client.say(`big ${16 * MiB}\n`);
    await until(() => listener.counters.congestions === 1);
    assert.equal(await listener.drain(performance.now() + 20), false);
    assert.equal(listener.counters.active, 0);
  });

  check('more connections than allowed are closed at once', async (stand) => {
    const listener = await stand.listen({ limits: { maxConnections: 2 } });
    const first = await stand.client(listener);
    await first.ask('one');
    await (await stand.client(listener)).ask('two');
    const refused = await stand.client(listener);
    await until(() => refused.ended || refused.closed);
    assert.equal(listener.counters.refused.connections, 1);
    first.destroy();
    await until(() => listener.counters.active === 1);
    assert.equal(await (await stand.client(listener)).ask('room again'), 'room again');
  });

  check('an address has its own bound', async (stand) => {
    const listener = await stand.listen({ host: '::', limits: { maxConnectionsPerAddress: 1 } });
    await (await stand.client(listener)).ask('one');
    const refused = await stand.client(listener);
    await until(() => refused.ended || refused.closed);
    assert.equal(listener.counters.refused.address, 1);
    assert.equal(await (await stand.client(listener, '::1')).ask('another address'), 'another address');
  });

  check('new connections have a rate', async (stand) => {
    const listener = await stand.listen({ limits: { connectionsPerSecond: 0.001, connectionBurst: 3 } });
    const clients = await Promise.all(Array.from({ length: 5 }, () => stand.client(listener)));
    await until(() => clients.filter((client) => client.ended || client.closed).length === 2);
    assert.equal(listener.counters.refused.rate, 2);
    assert.equal(listener.counters.accepted, 3);
  });
}

test('a broken invariant reaches the node', async (t) => {
  const broken: unknown[] = [];
  const stand = new Stand(t, { onInvariantBroken: (error) => broken.push(error) });
  const listener = await stand.listen();
  const client = await stand.client(listener);
  client.say('throw\n');
  await until(() => broken.length === 1);
  assert.equal((broken[0] as Error).message, 'a broken handler');
});

test('a port in use is a mistake with a fix', async (t) => {
  const stand = new Stand(t);
  const { port } = (await stand.listen()).address!;
  await assert.rejects(stand.listen({ name: 'second', port }), (error) => {
    assert.ok(error instanceof UserError);
    assert.equal(error.message, `Listener second cannot listen on 127.0.0.1:${port}: the port is in use.`);
    assert.equal(error.where, 'listeners.second');
    assert.match(error.fix!, /another port/);
    return true;
  });
});

test('an address of another machine is a mistake with a fix', async (t) => {
  const stand = new Stand(t);
  await assert.rejects(stand.listen({ host: '192.0.2.1' }), /192\.0\.2\.1:0: this machine has no such address/);
});

test('a listener can use the port again after it stopped', async (t) => {
  const stand = new Stand(t);
  const listener = await stand.listen();
  const { port } = listener.address!;
  await listener.drain(performance.now() + 1000);
  const other = createServer();
  await new Promise<void>((resolve) => {
    other.listen(port, '127.0.0.1', resolve);
  });
  other.close();
});

test('metrics name the listener', async (t) => {
  const stand = new Stand(t);
  const listener = await stand.listen();
  await (await stand.client(listener)).ask('hello');
  const samples = [...listener.metrics(), ...stand.loop.metrics()];
  const reads = samples.find(({ name }) => name === 'heliograph_net_reads_total');
  assert.deepEqual([reads?.value, reads?.labels], [1, { listener: 'test' }]);
  for (const { name, help } of samples) assert.ok(/^heliograph_net_[a-z_]+$/.test(name) && help.length > 0, name);
});
