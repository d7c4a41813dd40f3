// A broker with MQTT connections, without a network, a disk or a clock that moves by itself: what the target mqtt-connection
// plays with. Beside the fuzzed connections there is a witness, a client that only ever does what is right.

import assert from 'node:assert/strict';
import { silentLog } from '../../src/base/log.ts';
import { SeededRandom } from '../../src/base/random.ts';
import type { BrokerLimits } from '../../src/broker/limits.ts';
import { allowAll, TestBroker } from '../../src/broker/testing/test-broker.ts';
import { decodeConnect, DecodeError } from '../../src/protocols/mqtt/codec/index.ts';
import { createMqttProtocol, type MqttProtocol } from '../../src/protocols/mqtt/index.ts';
import { defaultMqttOptions } from '../../src/protocols/mqtt/testing/options.ts';
import type { Connection } from '../../src/protocols/protocol.ts';
import type { Credentials, Security } from '../../src/security/security.ts';
import { decode } from '../harness/decode.ts';
import { encode } from '../harness/encode.ts';
import type { ServerPacket, Version } from '../harness/packet.ts';
import { FuzzWire, witnessAddress } from './fuzz-wire.ts';
import { seesSecrets } from './secrets.ts';
import { framesOf } from './mqtt-frames.ts';

const highWaterBytes = 1024;
const maxOutputBytes = 4 * 1024;
/** What the answers to one piece of input may add to a full output. */
const answersBytes = 16 * 1024;

const options = {
  ...defaultMqttOptions,
  maxPacketBytes: 4096,
  maxConnectPacketBytes: 1024,
  maxEarlyBytes: 1024,
  receiveMaximum: 10,
  topicAliasMaximum: 3,
  maxKeepAliveSec: 0, // the witness may be silent for hours
  maxSessionExpirySec: 3600,
  outputHighWaterBytes: highWaterBytes,
  maxOutputBytes,
  topicCacheEntries: 4,
};

/** One connection, seen from its client's side. */
export class Peer {
  readonly wire: FuzzWire;
  readonly connection: Connection;
  gone = false;
  /** Known once a CONNECT was sent that the server could read. */
  version: Version | undefined;
  #connectSeen = false;
  #sent: Uint8Array = new Uint8Array(0);
  /** Sent by the client, not yet read by the server, which has paused. */
  #unread: Uint8Array[] = [];
  #rest: Uint8Array = new Uint8Array(0);
  /** What the server said and nobody has answered yet. */
  readonly heard: ServerPacket[] = [];
  readonly #onPacket: (packet: ServerPacket, before: ServerPacket | undefined) => void;
  #last: ServerPacket | undefined;

  /** `onPacket` sees each packet from the server, and the one before it. */
  constructor(protocol: MqttProtocol, number: number, onPacket: (packet: ServerPacket, before: ServerPacket | undefined) => void) {
    this.#onPacket = onPacket;
    this.wire = new FuzzWire(number);
    this.connection = protocol.connect(this.wire);
  }

  send(bytes: Uint8Array): void {
    if (this.gone || bytes.length === 0) return;
    if (!this.#connectSeen) this.#lookForConnect(bytes);
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

  #lookForConnect(bytes: Uint8Array): void {
    this.#sent = Buffer.concat([this.#sent, bytes]);
    const first = framesOf(this.#sent)[0];
    if (first === undefined || first.firstByte !== 0x10) return;
    const connect = decodeConnect(first.body, 0, first.body.length);
    this.version = connect.version;
    this.#connectSeen = !(connect instanceof DecodeError);
  }

  /** Takes what the server has written, and checks that it is MQTT as the standard wants it. */
  take(): ServerPacket[] {
    const { output } = this.wire;
    const wasCongested = output.pendingBytes > highWaterBytes;
    const bytes = Buffer.concat([this.#rest, ...output.takeChunks()]);
    const packets: ServerPacket[] = [];
    let at = 0;
    if (this.version !== undefined) {
      for (let next = decode(bytes, this.version); next !== undefined; next = decode(bytes.subarray(at), this.version)) {
        packets.push(next.packet);
        at += next.end;
      }
      assert.equal(at, bytes.length, 'the server has written half a packet');
      this.#rest = bytes.subarray(at);
    }
    for (const packet of packets) {
      this.#onPacket(packet, this.#last);
      this.#last = packet;
    }
    this.heard.push(...packets);
    if (wasCongested && !this.gone) this.connection.onDrained();
    return packets;
  }

  /** Answers everything heard as a good client does. */
  answerAll(): void {
    this.take();
    for (const { type, id = 0, qos } of this.heard.splice(0)) {
      if (type === 'publish' && qos === 1) this.#answer('puback', id);
      else if (type === 'publish' && qos === 2) this.#answer('pubrec', id);
      else if (type === 'pubrec') this.#answer('pubrel', id);
      else if (type === 'pubrel') this.#answer('pubcomp', id);
    }
  }

  #answer(type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp', id: number): void {
    this.send(encode({ type, id }, this.version!));
  }

  lose(): void {
    if (this.gone) return;
    this.gone = true;
    this.connection.onClosed();
  }
}

export type WorldOptions = {
  /** Full inboxes refuse the publisher, instead of dropping the oldest. */
  readonly rejectNew: boolean;
  /** Fuzzed clients may subscribe to what could show them the secrets. */
  readonly open: boolean;
};

export class World {
  test: TestBroker;
  witness: Peer;
  readonly peers: (Peer | undefined)[] = [undefined, undefined, undefined];
  /** What clients heard, two packets in a row, in words: the states that were reached. */
  readonly words = new Set<string>();
  readonly #options: WorldOptions;
  readonly #security: Security;
  #protocol: MqttProtocol;
  #connections = 0;

  private constructor(test: TestBroker, worldOptions: WorldOptions, security: Security) {
    this.test = test;
    this.#options = worldOptions;
    this.#security = security;
    this.#protocol = this.#newProtocol();
    this.witness = this.#newWitness();
    this.witness.send(encode({ type: 'publish', topic: 'secret/x', payload: 'secret', qos: 1, id: 1, retain: true }, 5));
    this.settle();
  }

  #newProtocol(): MqttProtocol {
    const { broker, clock } = this.test;
    return createMqttProtocol({ broker, security: this.#security, clock, random: new SeededRandom(1), log: silentLog, options });
  }

  #newWitness(): Peer {
    const witness = new Peer(this.#protocol, 0, () => {});
    witness.send(encode({ type: 'connect', clientId: 'witness', username: 'witness' }, 5));
    witness.send(encode({ type: 'subscribe', id: 1, subscriptions: [{ filter: 'witness/own', qos: 1 }] }, 5));
    return witness;
  }

  #hears(packet: ServerPacket, before: ServerPacket | undefined): void {
    const { type, reason, qos, topic } = packet;
    this.words.add(`${before?.type ?? 'nothing'}, ${type} ${reason ?? qos ?? ''}`);
    if (!this.#options.open) assert.ok(topic === undefined || !topic.startsWith('secret/'), 'a secret was delivered');
  }

  static async start(worldOptions: WorldOptions): Promise<World> {
    const security = securityOf(worldOptions);
    const test = await TestBroker.start({ security, limits: limitsOf(worldOptions) });
    return new World(test, worldOptions, security);
  }

  open(number: number): void {
    const peer = this.peers[number];
    if (peer === undefined || peer.gone)
      this.peers[number] = new Peer(this.#protocol, ++this.#connections, (...packets) => this.#hears(...packets));
  }

  /** The turn ends: connections that were closed are told, those whose time has come are called, paused ones may go on. */
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
    // Twice: what the first round made readable is read, and settled too.
    for (let i = 0; i < 2; i++) {
      this.endTurn();
      this.test.settle();
      this.witness.answerAll();
    }
    this.test.settle();
  }

  advance(ms: number): void {
    this.test.advance(ms);
    this.settle();
  }

  /** The power fails: what was not reported durable is lost, and a new broker starts on the rest. */
  async restart(): Promise<void> {
    for (const peer of this.#everybody()) peer.gone = true;
    this.test = await this.test.restart({ security: this.#security, limits: limitsOf(this.#options) });
    this.#protocol = this.#newProtocol();
    this.witness = this.#newWitness();
    this.settle();
  }

  /** Everything that must hold between any two steps. */
  check(): void {
    assert.equal(this.test.failed, undefined, 'the broker has failed');
    assert.equal(this.test.broker.total.imbalance(), 0, 'the books do not add up');
    for (const peer of this.#everybody()) {
      const pending = peer.wire.output.pendingBytes;
      assert.ok(pending <= maxOutputBytes + answersBytes, `${pending} bytes are held for a client that does not read`);
    }
    assert.equal(this.witness.gone, false, 'the witness was cut off');
  }

  /** The witness publishes to itself and must be answered, and hear it. */
  askWitness(): void {
    const { witness } = this;
    this.settle();
    witness.heard.length = 0;
    witness.send(encode({ type: 'publish', topic: 'witness/own', payload: 'am I heard?', qos: 1, id: 77 }, 5));
    for (let i = 0; i < 3; i++) {
      this.endTurn();
      this.test.settle();
    }
    witness.take();
    const answer = witness.heard.find(({ type, id }) => type === 'puback' && id === 77);
    assert.ok(answer !== undefined, 'the witness is not answered');
    if (this.#options.rejectNew && answer.reason === 0x97) return; // somebody's inbox is full, and that is the policy
    assert.equal(answer.reason, 0, 'the witness is refused');
    assert.ok(
      witness.heard.some(({ type, payload }) => type === 'publish' && payload === 'am I heard?'),
      'the witness does not hear itself',
    );
    this.settle();
  }

  /** Everybody but the witness goes, and what they left expires. */
  end(): void {
    for (const peer of this.peers) {
      peer?.take();
      peer?.lose();
    }
    this.settle();
    this.advance(7_200_000);
    this.check();
    assert.equal(this.test.broker.sessionCount, 1, 'sessions are left behind');
    this.askWitness();
    for (const space of this.test.broker.spaces.values()) {
      for (const session of space.sessions.values())
        assert.equal(session.inbox.ledger.imbalance(), 0, 'the books of an inbox do not add up');
    }
  }

  *#everybody(): Generator<Peer> {
    yield this.witness;
    for (const peer of this.peers) if (peer !== undefined) yield peer;
  }
}

function limitsOf({ rejectNew }: WorldOptions): Partial<BrokerLimits> {
  const queue = { maxMessages: 8, maxBytes: 16_384, onFull: rejectNew ? 'reject-new' : 'drop-oldest' } as const;
  return {
    durableInbox: queue,
    transientInbox: { ...queue, onFull: 'drop-oldest' },
    sharedQueue: queue,
    namedQueue: queue,
    maxSessions: 6,
    maxSessionsPerPrincipal: 1000,
    maxSubscriptionsPerSession: 10,
    maxSharedQueues: 3,
    maxNamedQueues: 3,
    maxRetainedMessages: 8,
    maxRetainedBytes: 16_384,
    maxTopicLevels: 16,
    payloadMemoryBytes: 2048,
    transientMemoryBytes: 1_000_000,
    maxUncommittedBytes: 4096,
    checkpointBytes: 8192,
  };
}

/** `witness` is itself; everybody else is one other principal, who must not see below `secret/`. */
function securityOf({ open }: WorldOptions): Security {
  return {
    ...allowAll,
    authenticate(credentials: Credentials, answer) {
      if (credentials.username === 'refused') return answer({ ok: false, reason: 'refused' });
      const id = credentials.remoteAddress === witnessAddress ? 'witness' : 'stranger';
      answer({ ok: true, principal: { tenant: 'main', id, kind: 'device', roles: [] } });
    },
    allows(principal, action, topic) {
      if (principal.id === 'witness' || open) return true;
      return !((action === 'subscribe' || action === 'consume') && seesSecrets(topic));
    },
  };
}
