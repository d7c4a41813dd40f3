// STOMP connections on a real broker. An input is a list of steps: up to three peers connect, send any bytes, stop reading, acknowledge,
// vanish; time passes; the journal is slow; the power fails. A witness of their own world must never notice.

import assert from 'node:assert/strict';
import { allowAll, TestBroker } from '../../../src/broker/testing/test-broker.ts';
import { encodeFrame, Frame, FrameReader, type Header, type Version } from '../../../src/protocols/stomp/codec/index.ts';
import { StompConnection } from '../../../src/protocols/stomp/connection.ts';
import { House } from '../../../src/protocols/stomp/testing/house.ts';
import type { Principal, Security } from '../../../src/security/security.ts';
import { FuzzWire, witnessAddress } from '../fuzz-wire.ts';
import { mutate } from '../mutators.ts';
import { seesSecrets } from '../secrets.ts';
import { decodeSteps, encodeSteps, mutateSteps, type Step } from '../steps.ts';
import { stompStreams, stompWords } from '../stomp-seeds.ts';
import type { Target } from '../target.ts';

const secret = 'a secret that nobody guesses: 5f1d';
const maxOutputBytes = 8192;
/** One more message, and what is answered. */
const answersBytes = 16_384;
const options = {
  maxHeadBytes: 1024,
  maxHeaders: 16,
  maxBodyBytes: 4096,
  maxConnectBytes: 512,
  maxEarlyBytes: 4096,
  maxSubscriptions: 4,
  maxUnacknowledged: 4,
  maxWaiting: 4,
  maxTransactions: 2,
  outputHighWaterBytes: 2048,
  maxOutputBytes,
  maxSubscriptionExpiryMs: 10_000,
  topicCacheEntries: 2,
};

const security: Security = {
  ...allowAll,
  authenticate({ remoteAddress }, answer) {
    const id = remoteAddress === witnessAddress ? 'witness' : 'fuzzed';
    const principal: Principal = { tenant: 'main', id, kind: 'application', roles: [] };
    answer({ ok: true, principal });
  },
  allows: ({ id }, action, topic) => id === 'witness' || action === 'connect' || (!seesSecrets(topic) && !topic.startsWith('witness')),
};

class FuzzPeer {
  readonly wire: FuzzWire;
  readonly connection: StompConnection;
  gone = false;
  readonly heard: Frame[] = [];
  #unread: Uint8Array[] = [];
  readonly #reader = new FrameReader({ maxHeadBytes: 1e6, maxHeaders: 1e4, maxBodyBytes: 1e6 });

  constructor(house: House, number: number) {
    this.wire = new FuzzWire(number);
    this.connection = new StompConnection(house.server, this.wire);
  }

  say(command: string, headers: Readonly<Record<string, string>>, body = ''): void {
    this.send(encodeFrame(command, Object.entries(headers), body));
  }

  send(bytes: Uint8Array): void {
    if (this.gone || bytes.length === 0) return;
    this.#unread.push(new Uint8Array(bytes));
    this.read();
  }

  /** The server reads, unless it has paused. The buffer is overwritten afterwards, as a socket's is. */
  read(): void {
    while (this.#unread.length > 0 && this.wire.pauses === 0 && !this.wire.ended && !this.gone) {
      const piece = this.#unread.shift()!;
      this.connection.receive(piece);
      piece.fill(0xee);
    }
  }

  take(): void {
    const { output } = this.wire;
    const wasCongested = output.pendingBytes > options.outputHighWaterBytes;
    const fault = this.#reader.push(Buffer.concat(output.takeChunks()), {
      frame: ({ command, headers, buffer, start, end }) => {
        if (command === 'CONNECTED') this.#reader.version = headerOf(headers, 'version') as Version;
        this.heard.push(new Frame(command, headers, Buffer.from(buffer.subarray(start, end))));
        return true;
      },
    });
    assert.equal(fault?.details, undefined, 'the server has written what is no frame');
    assert.equal(this.#reader.keptBytes, 0, 'the server has written half a frame');
    if (wasCongested && !this.gone) this.connection.onDrained();
  }

  answerAll(): void {
    this.take();
    for (const frame of this.heard.splice(0)) {
      const id = frame.get('ack');
      if (id !== undefined) this.say('ACK', { id });
    }
  }

  lose(): void {
    if (this.gone) return;
    this.gone = true;
    this.connection.onClosed();
  }
}

class StompWorld {
  test: TestBroker;
  house: House;
  witness: FuzzPeer;
  readonly peers: (FuzzPeer | undefined)[] = [undefined, undefined, undefined];
  readonly words = new Set<string>();
  #connections = 0;
  #asked = 0;

  constructor(test: TestBroker) {
    this.test = test;
    this.house = new House(test, { ...options, security });
    this.witness = this.#newWitness();
    this.witness.say('SEND', { destination: 'secret/x', retain: 'true' }, secret);
    this.settle();
  }

  #newWitness(): FuzzPeer {
    const witness = new FuzzPeer(this.house, 0);
    witness.say('CONNECT', { 'accept-version': '1.2' });
    witness.say('SUBSCRIBE', { id: 'w', destination: 'witness/own' });
    return witness;
  }

  open(number: number): FuzzPeer {
    const peer = this.peers[number];
    if (peer !== undefined && !peer.gone) return peer;
    return (this.peers[number] = new FuzzPeer(this.house, ++this.#connections));
  }

  endTurn(): void {
    this.test.endTurn();
    const nowMs = this.test.clock.monotonicMs();
    for (const peer of this.#everybody()) {
      if (peer.wire.ended) peer.lose();
      if (peer.gone) continue;
      if (peer.wire.deadlineMs <= nowMs) {
        peer.wire.deadlineMs = Infinity;
        peer.connection.onDeadline();
        if (peer.wire.ended) peer.lose();
      }
      peer.read();
    }
  }

  settle(): void {
    for (let i = 0; i < 2; i++) {
      this.endTurn();
      this.test.settle();
      this.witness.take();
    }
    this.test.settle();
  }

  async restart(): Promise<void> {
    for (const peer of this.#everybody()) peer.gone = true;
    this.test = await this.test.restart({ security });
    this.house = new House(this.test, { ...options, security });
    this.witness = this.#newWitness();
    this.settle();
  }

  check(): void {
    assert.equal(this.test.failed, undefined, 'the broker has failed');
    assert.equal(this.test.broker.total.imbalance(), 0, 'the books do not add up');
    assert.equal(this.witness.gone || this.witness.wire.ended, false, 'the witness was cut off');
    for (const peer of this.peers) {
      if (peer === undefined) continue;
      const { pendingBytes } = peer.wire.output;
      assert.ok(pendingBytes <= maxOutputBytes + answersBytes, `${pendingBytes} bytes are held for a peer that does not read`);
      for (const { command, headers, buffer } of peer.heard) {
        this.words.add(`${command} ${headerOf(headers, 'message')}`);
        assert.ok(!Buffer.from(buffer).includes(secret), 'a secret was delivered');
      }
    }
  }

  askWitness(): void {
    this.settle();
    this.witness.heard.length = 0;
    const receipt = `w${++this.#asked}`;
    this.witness.say('SEND', { destination: 'witness/own', receipt }, receipt);
    for (let i = 0; i < 3; i++) {
      this.endTurn();
      this.test.settle();
    }
    this.witness.take();
    const { heard } = this.witness;
    assert.ok(
      heard.some((frame) => frame.get('receipt-id') === receipt),
      'the witness is not answered',
    );
    assert.ok(
      heard.some(({ command, buffer }) => command === 'MESSAGE' && Buffer.from(buffer).toString() === receipt),
      'the witness does not hear itself',
    );
  }

  end(): void {
    for (const peer of this.peers) {
      peer?.take();
      peer?.lose();
    }
    this.settle();
    this.test.advance(2 * options.maxSubscriptionExpiryMs);
    this.settle();
    this.check();
    // The witness has a connection and a subscription.
    assert.equal(this.test.broker.sessionCount, 2, 'sessions are left behind');
    const { connections, subscriptions, transactions } = this.house.server.counters;
    assert.deepEqual([connections, subscriptions, transactions], [1, 1, 0], 'something is left behind');
    this.askWitness();
  }

  *#everybody(): Generator<FuzzPeer> {
    yield this.witness;
    for (const peer of this.peers) if (peer !== undefined) yield peer;
  }
}

function headerOf(headers: readonly Header[], name: string): string {
  return headers.find(([each]) => each === name)?.[1] ?? '';
}

async function run(input: Uint8Array): Promise<readonly string[]> {
  const world = new StompWorld(await TestBroker.start({ security }));
  for (const step of decodeSteps(input)) {
    await apply(world, step);
    world.check();
  }
  world.askWitness();
  world.end();
  return [...world.words];
}

async function apply(world: StompWorld, step: Step): Promise<void> {
  const peer = world.peers[step.peer];
  switch (step.kind) {
    case 'open':
      world.open(step.peer);
      return;
    case 'send':
      return world.open(step.peer).send(step.bytes);
    case 'lose':
      return peer?.lose();
    case 'take':
      return peer?.take();
    case 'answer':
      if (peer !== undefined && !peer.gone) peer.answerAll();
      return;
    case 'endTurn':
      return world.endTurn();
    case 'commit':
      return world.test.commit();
    case 'settle':
      return world.settle();
    case 'advance':
      world.test.advance(2 ** (step.amount % 20));
      return world.settle();
    case 'shutDown':
      if (peer !== undefined && !peer.gone) peer.connection.shutDown();
      return world.endTurn();
    case 'restart':
      return world.restart();
  }
}

const nothing = new Uint8Array(0);
const step = (kind: Step['kind'], peer = 0, amount = 0): Step => ({ kind, peer, amount, bytes: nothing });

export const target: Target = {
  name: 'stomp-connection',
  properties: [
    'nothing throws, whatever comes, in whatever order',
    'what is written is whole frames',
    'memory for a peer that does not read is bounded',
    'the books add up, and no session, subscription or transaction is left behind',
    'no secret is delivered, and a witness is served all the time',
  ],
  covers: /\/src\/protocols\/stomp\//,
  maxBytes: 8192,
  slowMs: 500,
  seeds: stompStreams().map((bytes, i) =>
    encodeSteps([
      { kind: 'send', peer: 0, amount: 0, bytes },
      step('settle'),
      { kind: 'send', peer: 1, amount: 0, bytes: stompStreams()[(i + 1) % 5]! },
      step(i % 2 === 0 ? 'endTurn' : 'settle'),
      step('answer', 1),
      step('advance', 0, 12),
      step('take', 0),
      ...(i === 3 ? [step('restart')] : []),
      step('lose', 0),
    ]),
  ),
  dictionary: stompWords,
  mutate: (input, random, other) =>
    encodeSteps(
      mutateSteps(decodeSteps(input), {
        random,
        other: () => decodeSteps(other()),
        words: stompWords,
        mutateStream: (stream, _header, r, another, words) =>
          mutate(stream, r, { word: () => words[r.below(words.length)]!, other: another }, 4096),
      }),
    ),
  run,
};
