// A broker with AMQP connections, without a network, a disk or a clock that moves by itself: what the target amqp-connection plays
// with. Beside the fuzzed connections there is a witness, a peer that only ever does what is right.

import assert from 'node:assert/strict';
import { silentLog } from '../../src/base/log.ts';
import { SeededRandom } from '../../src/base/random.ts';
import type { BrokerLimits } from '../../src/broker/limits.ts';
import { allowAll, TestBroker } from '../../src/broker/testing/test-broker.ts';
import * as codec from '../../src/protocols/amqp/codec/index.ts';
import { type AmqpProtocol, createAmqpProtocol } from '../../src/protocols/amqp/index.ts';
import { defaultAmqpOptions } from '../../src/protocols/amqp/testing/options.ts';
import * as frames from '../../src/protocols/amqp/testing/peer-frames.ts';
import type { Connection } from '../../src/protocols/protocol.ts';
import type { Credentials, Security } from '../../src/security/security.ts';
import { FuzzWire, witnessAddress } from './fuzz-wire.ts';
import { seesSecrets } from './secrets.ts';

const highWaterBytes = 1024;
const maxOutputBytes = 4 * 1024;
/** What the answers to one piece of input may add to a full output. */
const answersBytes = 24 * 1024;
const maxFrameBytes = 4096;
const maxLinkExpiryMs = 3_600_000;

const options = {
  ...defaultAmqpOptions,
  maxFrameBytes,
  maxConnectFrameBytes: 1024,
  maxEarlyBytes: 1024,
  channelMax: 3,
  handleMax: 5,
  maxLinks: 6,
  idleTimeoutMs: 0, // the witness may be silent for hours
  incomingWindow: 16,
  linkCredit: 10,
  maxMessageBytes: 8192,
  maxUnsettledPerLink: 10,
  maxLinkExpiryMs,
  outputHighWaterBytes: highWaterBytes,
  maxOutputBytes,
  topicCacheEntries: 4,
};

/** Nobody who does not receive it knows it. */
const secret = 'a secret that nobody guesses: 5f1d';
const isHeard = 'am I heard?';

export type Heard =
  | codec.SaslFrame
  | { readonly type: 'header'; readonly id: number }
  | { readonly type: 'empty' }
  | (codec.Performative & { readonly channel: number; readonly payload: Uint8Array });

/** One connection, seen from its peer's side. */
export class AmqpPeer {
  readonly wire: FuzzWire;
  readonly connection: Connection;
  gone = false;
  /** Sent by the peer, not yet read by the server, which has paused. */
  #unread: Uint8Array[] = [];
  readonly #reader = new codec.FrameReader(0xffff_ffff);
  /** What the server said and nobody has answered yet. */
  readonly heard: Heard[] = [];
  readonly #onFrame: (frame: Heard, before: Heard | undefined) => void;
  #last: Heard | undefined;

  /** `onFrame` sees each frame from the server, and the one before it. */
  constructor(protocol: AmqpProtocol, number: number, onFrame: (frame: Heard, before: Heard | undefined) => void) {
    this.#onFrame = onFrame;
    this.wire = new FuzzWire(number);
    this.connection = protocol.connect(this.wire);
  }

  send(...pieces: readonly Uint8Array[]): void {
    const bytes = new Uint8Array(Buffer.concat(pieces));
    if (this.gone || bytes.length === 0) return;
    this.#unread.push(bytes);
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

  /** Takes what the server has written, and checks that it is AMQP. */
  take(): void {
    const { output } = this.wire;
    const wasCongested = output.pendingBytes > highWaterBytes;
    const fault = this.#reader.push(Buffer.concat(output.takeChunks()), {
      protocolHeader: (id) => this.#hears({ type: 'header', id }),
      frame: (type, channel, bytes, start, end) => this.#hearsFrame(type, channel, bytes, start, end),
    });
    assert.equal(fault?.message, undefined, 'the server has written what is no frame');
    assert.equal(this.#reader.bufferedBytes, 0, 'the server has written half a frame');
    if (wasCongested && !this.gone) this.connection.onDrained();
  }

  #hears(frame: Heard): boolean {
    this.#onFrame(frame, this.#last);
    this.#last = frame;
    this.heard.push(frame);
    return true;
  }

  #hearsFrame(type: number, channel: number, bytes: Uint8Array, start: number, end: number): boolean {
    if (start === end) return this.#hears({ type: 'empty' });
    assert.ok(end - start + 8 <= maxFrameBytes, 'a frame is larger than was agreed');
    if (type === codec.FrameType.sasl) {
      const frame = codec.decodeSaslFrame(bytes, start, end);
      assert.ok(!(frame instanceof codec.AmqpFault), 'the server has written a SASL frame that is none');
      if (frame.type === 'sasl-outcome') this.#reader.expectHeader();
      return this.#hears(frame);
    }
    const performative = codec.decodePerformative(bytes, start, end);
    assert.ok(!(performative instanceof codec.AmqpFault), 'the server has written what cannot be read');
    const fields = new codec.TransferFields();
    if (performative.type === 'transfer') assert.equal(codec.decodeTransfer(bytes, start, end, fields), undefined);
    const payload = performative.type === 'transfer' ? bytes.slice(fields.payloadStart, fields.payloadEnd) : new Uint8Array(0);
    return this.#hears({ ...performative, channel, payload });
  }

  /** Answers everything heard as a good peer does: takes deliveries, and settles where it is its turn. */
  answerAll(): void {
    this.take();
    for (const frame of this.heard.splice(0)) {
      if (frame.type === 'transfer' && frame.settled !== true && frame.deliveryId !== undefined) {
        const { deliveryId: first, rcvSettleMode } = frame;
        const settled = rcvSettleMode !== codec.ReceiverSettleMode.second;
        this.send(frames.frame(frame.channel, { type: 'disposition', role: 'receiver', first, settled, state: { type: 'accepted' } }));
      } else if (frame.type === 'disposition' && frame.settled !== true) {
        const { first, last, role } = frame;
        const other = role === 'sender' ? 'receiver' : 'sender';
        this.send(frames.frame(frame.channel, { type: 'disposition', role: other, first, last, settled: true }));
      }
    }
  }

  lose(): void {
    if (this.gone) return;
    this.gone = true;
    this.connection.onClosed();
  }
}

export type AmqpWorldOptions = {
  /** Full queues refuse the publisher, instead of dropping the oldest. */
  readonly rejectNew: boolean;
  /** Fuzzed peers may receive what could show them the secrets. */
  readonly open: boolean;
};

export class AmqpWorld {
  test: TestBroker;
  witness: AmqpPeer;
  readonly peers: (AmqpPeer | undefined)[] = [undefined, undefined, undefined];
  /** What peers heard, two frames in a row, in words: the states that were reached. */
  readonly words = new Set<string>();
  readonly #options: AmqpWorldOptions;
  readonly #security: Security;
  #protocol: AmqpProtocol;
  #connections = 0;
  #nextDeliveryId = 0;

  private constructor(test: TestBroker, worldOptions: AmqpWorldOptions, security: Security) {
    this.test = test;
    this.#options = worldOptions;
    this.#security = security;
    this.#protocol = this.#newProtocol();
    this.witness = this.#newWitness();
    this.#publishSecret();
  }

  #newProtocol(): AmqpProtocol {
    const { broker, clock, turn } = this.test;
    return createAmqpProtocol({
      broker,
      security: this.#security,
      clock,
      random: new SeededRandom(1),
      log: silentLog,
      turn,
      options,
      accepts: () => ['anonymous', 'password'],
    });
  }

  /** It publishes to and hears its own topic, and publishes to the secret one. */
  #newWitness(): AmqpPeer {
    const witness = new AmqpPeer(this.#protocol, 0, () => {});
    const attach = (handle: number, address: string) =>
      frames.frame(0, frames.senderAttach({ handle, name: `s${handle}`, target: { type: 'target', address } }));
    witness.send(frames.header(), frames.frame(0, { ...frames.open, containerId: 'witness' }), frames.frame(0, frames.begin));
    witness.send(attach(0, 'witness/own'), attach(1, 'secret/x'));
    const source = { type: 'source', address: 'witness/own' } as const;
    witness.send(
      frames.frame(0, { type: 'attach', name: 'r', handle: 2, role: 'receiver', source, target: { type: 'target' } }),
      frames.frame(0, {
        type: 'flow',
        nextIncomingId: 0,
        incomingWindow: 1e6,
        nextOutgoingId: 0,
        outgoingWindow: 1e6,
        handle: 2,
        deliveryCount: 0,
        linkCredit: 1e6,
      }),
    );
    this.#nextDeliveryId = 0;
    return witness;
  }

  #publishSecret(): void {
    this.settle();
    const annotations: codec.ValueWriter = new codec.ValueWriter();
    codec.writeMapSection(annotations, codec.SectionCode.messageAnnotations, [[codec.symbolValue('x-opt-retain'), codec.trueValue]]);
    this.#witnessPublishes(1, Buffer.concat([annotations.copy(), frames.dataMessage(secret)]));
    this.settle();
  }

  #witnessPublishes(handle: number, message: Uint8Array): number {
    const deliveryId = this.#nextDeliveryId++;
    const deliveryTag = Uint8Array.of(deliveryId);
    this.witness.send(frames.frame(0, { type: 'transfer', handle, deliveryId, deliveryTag, messageFormat: 0 }, message));
    return deliveryId;
  }

  #hears(frame: Heard, before: Heard | undefined): void {
    this.words.add(`${before?.type ?? 'nothing'}, ${frame.type} ${detailOf(frame)}`);
    if (!this.#options.open && frame.type === 'transfer') {
      assert.equal(Buffer.from(frame.payload).includes(secret), false, 'a secret was delivered');
    }
  }

  static async start(worldOptions: AmqpWorldOptions): Promise<AmqpWorld> {
    const security = securityOf(worldOptions);
    const test = await TestBroker.start({ security, limits: limitsOf(worldOptions) });
    return new AmqpWorld(test, worldOptions, security);
  }

  open(number: number): void {
    const peer = this.peers[number];
    if (peer === undefined || peer.gone)
      this.peers[number] = new AmqpPeer(this.#protocol, ++this.#connections, (...frames) => this.#hears(...frames));
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
      assert.ok(pending <= maxOutputBytes + answersBytes, `${pending} bytes are held for a peer that does not read`);
    }
    assert.equal(this.witness.gone, false, 'the witness was cut off');
  }

  /** The witness publishes to itself and must be answered, and hear it. */
  askWitness(): void {
    const { witness } = this;
    this.settle();
    witness.heard.length = 0;
    const deliveryId = this.#witnessPublishes(0, frames.dataMessage(isHeard));
    for (let i = 0; i < 3; i++) {
      this.endTurn();
      this.test.settle();
    }
    witness.take();
    const answer = witness.heard.find(
      (frame) =>
        frame.type === 'disposition' && frame.role === 'receiver' && frame.first <= deliveryId && deliveryId <= (frame.last ?? frame.first),
    );
    assert.ok(answer?.type === 'disposition', 'the witness is not answered');
    if (this.#options.rejectNew && answer.state?.type === 'rejected') return; // somebody's inbox is full, and that is the policy
    assert.equal(answer.state?.type, 'accepted', 'the witness is refused');
    const heard = witness.heard.some((frame) => frame.type === 'transfer' && Buffer.from(frame.payload).includes(isHeard));
    assert.ok(heard, 'the witness does not hear itself');
    this.settle();
  }

  /** Everybody but the witness goes, and what they left expires. */
  end(): void {
    for (const peer of this.peers) {
      peer?.take();
      peer?.lose();
    }
    this.settle();
    this.advance(2 * maxLinkExpiryMs);
    this.check();
    // The witness has a connection and three links.
    assert.equal(this.test.broker.sessionCount, 4, 'sessions are left behind');
    this.askWitness();
    for (const space of this.test.broker.spaces.values()) {
      for (const session of space.sessions.values())
        assert.equal(session.inbox.ledger.imbalance(), 0, 'the books of an inbox do not add up');
    }
  }

  *#everybody(): Generator<AmqpPeer> {
    yield this.witness;
    for (const peer of this.peers) if (peer !== undefined) yield peer;
  }
}

function detailOf(frame: Heard): string {
  switch (frame.type) {
    case 'disposition':
      return `${frame.role} ${frame.settled === true} ${frame.state?.type ?? ''}`;
    case 'detach':
    case 'end':
    case 'close':
      return frame.error?.condition ?? '';
    case 'transfer':
      return `${frame.settled === true} ${frame.more === true} ${frame.resume === true}`;
    case 'attach':
      return `${frame.role} ${frame.source === undefined} ${frame.target?.type ?? ''}`;
    case 'sasl-outcome':
      return `${frame.code}`;
    default:
      return '';
  }
}

function limitsOf({ rejectNew }: AmqpWorldOptions): Partial<BrokerLimits> {
  const queue = { maxMessages: 8, maxBytes: 16_384, onFull: rejectNew ? 'reject-new' : 'drop-oldest' } as const;
  return {
    durableInbox: queue,
    transientInbox: { ...queue, onFull: 'drop-oldest' },
    sharedQueue: queue,
    namedQueue: queue,
    delayedQueue: queue,
    maxDeliveries: 3,
    maxTemporaryQueuesPerPrincipal: 3,
    maxSessions: 24,
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
    transactions: { maxOpenPerPrincipal: 3, maxMessages: 5, maxBytes: 8192, timeoutMs: 60_000 },
  };
}

/** `witness` is itself; everybody else is one other principal, who must not see below `secret/`. */
function securityOf({ open }: AmqpWorldOptions): Security {
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
