// A simulated MQTT client that follows the standard to the letter: it keeps its half of the session in memory that survives
// its connections, sends again what was not acknowledged, and weeds out repetitions of QoS 2.

import { Output } from '../src/base/output.ts';
import {
  DecodeError,
  FrameReader,
  ReasonCode,
  decodePacket,
  firstBytesOfConnack,
  firstBytesFrom,
  writePacket,
} from '../src/protocols/mqtt/codec/index.ts';
import type { Packet, Publish, Qos, Version } from '../src/protocols/mqtt/codec/index.ts';
import type { Facts, SentMessage, SubscriberFacts } from './facts.ts';
import { between, chance } from './random-choices.ts';
import type { LinkEnd, SimLink } from './sim-link.ts';
import type { World } from './world.ts';

export type SimClientOptions = {
  readonly clientId: string;
  readonly version: Version;
  readonly durable: boolean;
  readonly username: string;
  readonly receiveMaximum: number;
};

type Outgoing = { readonly message: SentMessage; readonly publish: Publish; state: 'publish' | 'release' };

const text = new TextEncoder();
const fromText = new TextDecoder();
const maxUnacknowledged = 8;

export class SimClient implements LinkEnd {
  readonly options: SimClientOptions;
  readonly subscriptions: SubscriberFacts[] = [];
  readonly #world: World;
  readonly #facts: Facts;
  #link: SimLink | undefined = undefined;
  #reader: FrameReader | undefined = undefined;
  #connected = false;
  /** It wants to be connected. */
  active = true;
  /** The node has confirmed a durable session: it must know it ever after. */
  #sessionConfirmed = false;
  readonly #outgoing = new Map<number, Outgoing>();
  /** Packet ids of QoS 2 messages received and not yet released: the application has them. */
  readonly #received = new Set<number>();
  readonly #sequences = new Map<string, number>();
  #lastId = 0;
  #count = 0;
  #connection = 0;

  constructor(world: World, facts: Facts, options: SimClientOptions) {
    this.#world = world;
    this.#facts = facts;
    this.options = options;
  }

  get connected(): boolean {
    return this.#connected;
  }

  get idle(): boolean {
    return this.#outgoing.size === 0;
  }

  get link(): SimLink | undefined {
    return this.#link;
  }

  connect(): void {
    if (!this.active || this.#link?.open === true) return;
    const link = this.#world.connect(this);
    if (link === undefined) return this.#retry();
    this.#link = link;
    this.#connection++;
    this.#connected = false;
    const { clientId, version, durable, username, receiveMaximum } = this.options;
    this.#reader = new FrameReader(firstBytesOfConnack(version), 1024 * 1024);
    this.#send({
      type: 'connect',
      version,
      cleanStart: !durable,
      keepAlive: 60,
      clientId,
      username,
      password: version === 5 || durable ? text.encode('secret') : undefined,
      properties: version === 5 ? { sessionExpiryInterval: durable ? 86_400 : 0, receiveMaximum } : undefined,
    });
    const connection = this.#connection;
    this.#world.after(5000, () => {
      if (this.#connection === connection && !this.#connected && link.open) link.drop();
    });
    this.#keepAlive(connection);
  }

  #keepAlive(connection: number): void {
    this.#world.after(30_000, () => {
      if (this.#connection !== connection || this.#link?.open !== true) return;
      if (this.#connected) this.#send({ type: 'pingreq' });
      this.#keepAlive(connection);
    });
  }

  lost(): void {
    this.#connected = false;
    // A session that ends with its connection takes the exchange with it.
    if (!this.options.durable) {
      this.#outgoing.clear();
      this.#received.clear();
    }
    this.#retry();
  }

  #retry(): void {
    if (this.active) this.#world.after(between(this.#world.random, 1, 1000), () => this.connect());
  }

  drop(): void {
    this.#link?.drop();
  }

  /** Publishes one message, if the window allows. */
  publish(topic: string, qos: Qos, retain: boolean): void {
    if (!this.#connected || (qos > 0 && this.#outgoing.size >= maxUnacknowledged)) return;
    const sequence = (this.#sequences.get(topic) ?? 0) + 1;
    this.#sequences.set(topic, sequence);
    const key = `${this.options.clientId}#${++this.#count}`;
    const message: SentMessage = {
      key,
      publisher: this.options.clientId,
      topic,
      sequence,
      qos,
      retain,
      sentAtMs: this.#world.nowMs,
      acknowledgedAtMs: undefined,
      attempts: 1,
      refused: false,
    };
    this.#facts.sent.set(key, message);
    const payload = text.encode(`${key}|${'x'.repeat(this.#world.random.below(200))}`);
    const packetId = qos === 0 ? 0 : this.#nextId();
    const publish: Publish = { topic, payload, qos, packetId, dup: false, retain };
    if (qos > 0) this.#outgoing.set(packetId, { message, publish, state: 'publish' });
    this.#send({ type: 'publish', ...publish });
  }

  #nextId(): number {
    do this.#lastId = (this.#lastId % 65_535) + 1;
    while (this.#outgoing.has(this.#lastId));
    return this.#lastId;
  }

  #subscribeAll(): void {
    for (const i of this.subscriptions.keys()) this.#subscribe(i);
  }

  /** The node's disk was full, or a limit reached: it may not be so for ever. */
  #askAgain(i: number): void {
    const connection = this.#connection;
    this.#world.after(1000, () => {
      if (connection === this.#connection && this.#connected) this.#subscribe(i);
    });
  }

  #subscribe(i: number): void {
    const { group, subscribeAs, filter: topics, qos } = this.subscriptions[i]!;
    const filter = group === undefined ? (subscribeAs ?? topics) : `$share/${group}/${topics}`;
    this.#send({
      type: 'subscribe',
      packetId: 60_000 + i,
      subscriptions: [{ filter, qos, noLocal: false, retainAsPublished: false, retainHandling: 2 }],
    });
  }

  receive(bytes: Uint8Array): void {
    const problem = this.#reader!.push(bytes, { packet: (first, body, start, end) => this.#packet(first, body, start, end) });
    if (problem !== undefined) this.#complain(`cannot read what the node sent: ${problem.message}`);
  }

  #packet(first: number, body: Uint8Array, start: number, end: number): boolean {
    const packet = decodePacket(first, body, start, end, this.options.version, 'server');
    if (packet instanceof DecodeError) {
      this.#complain(`cannot decode a packet of the node: ${packet.message}`);
      return false;
    }
    this.#handle(packet);
    return this.#link?.open === true;
  }

  #handle(packet: Packet): void {
    switch (packet.type) {
      case 'connack':
        return this.#welcome(packet.reason, packet.sessionPresent);
      case 'publish':
        return this.#take(packet);
      case 'puback':
      case 'pubrec':
        return this.#acknowledged(packet.packetId, packet.reason, packet.type);
      case 'pubcomp':
        this.#outgoing.delete(packet.packetId);
        return;
      case 'pubrel':
        this.#received.delete(packet.packetId);
        this.#later(() => this.#send({ type: 'pubcomp', packetId: packet.packetId, reason: ReasonCode.success }));
        return;
      case 'suback': {
        const subscription = this.subscriptions[packet.packetId - 60_000]!;
        if (packet.reasons[0]! < 0x80) subscription.subscribedAtMs ??= this.#world.nowMs;
        else if (packet.reasons[0] !== ReasonCode.notAuthorized) this.#askAgain(packet.packetId - 60_000);
        return;
      }
      default:
        return;
    }
  }

  #welcome(reason: number, sessionPresent: boolean): void {
    if (reason !== 0) {
      this.#link!.drop();
      return;
    }
    this.#connected = true;
    const { durable, version } = this.options;
    this.#reader!.accept = firstBytesFrom('server', version);
    if (this.#sessionConfirmed && !sessionPresent) this.#complain('the node has forgotten a session that it had confirmed');
    if (durable) this.#sessionConfirmed = true;
    if (!sessionPresent) {
      this.#received.clear();
      for (const subscription of this.subscriptions) if (!durable) subscription.subscribedAtMs = undefined;
    }
    for (const { message, publish, state } of this.#outgoing.values()) {
      message.attempts++;
      if (state === 'publish') this.#send({ type: 'publish', ...publish, dup: true });
      else this.#send({ type: 'pubrel', packetId: publish.packetId, reason: ReasonCode.success });
    }
    if (!sessionPresent || this.subscriptions.some(({ subscribedAtMs }) => subscribedAtMs === undefined)) this.#subscribeAll();
  }

  #acknowledged(packetId: number, reason: number, type: 'puback' | 'pubrec'): void {
    const outgoing = this.#outgoing.get(packetId);
    if (outgoing === undefined) return;
    if (reason >= 0x80) {
      outgoing.message.refused = true;
      this.#outgoing.delete(packetId);
      return;
    }
    outgoing.message.acknowledgedAtMs ??= this.#world.nowMs;
    if (type === 'puback') {
      this.#outgoing.delete(packetId);
      return;
    }
    outgoing.state = 'release';
    this.#send({ type: 'pubrel', packetId, reason: ReasonCode.success });
  }

  #take(publish: Publish): void {
    const key = fromText.decode(publish.payload).split('|')[0]!;
    if (publish.qos === 2 && this.#received.has(publish.packetId)) {
      if (!publish.dup) this.#complain(`packet id ${publish.packetId} is used for ${key} before its last message was released`);
    } else {
      const subscription = this.subscriptions.find(({ filter }) => matchesRoughly(filter, publish.topic));
      if (subscription === undefined) this.#complain(`got ${publish.topic}, to which it does not subscribe`);
      else if (!publish.retain) {
        const { topic, qos, dup } = publish;
        subscription.received.push({ key, topic, qos, dup, connection: this.#connection, atMs: this.#world.nowMs });
      }
    }
    if (publish.qos === 1) this.#later(() => this.#send({ type: 'puback', packetId: publish.packetId, reason: ReasonCode.success }));
    if (publish.qos === 2) {
      this.#received.add(publish.packetId);
      this.#later(() => this.#send({ type: 'pubrec', packetId: publish.packetId, reason: ReasonCode.success }));
    }
  }

  /** Answers at once or after a while, in order, on the same connection. */
  #later(task: () => void): void {
    const connection = this.#connection;
    if (chance(this.#world.random, 0.8)) return task();
    this.#world.after(between(this.#world.random, 0, 200), () => {
      if (connection === this.#connection) task();
    });
  }

  #send(packet: Packet): void {
    if (this.#link?.open !== true) return;
    const output = new Output(() => {});
    writePacket(output, this.options.version, packet);
    this.#link.send(Buffer.concat(output.takeChunks()));
  }

  #complain(what: string): void {
    this.#facts.complain(`${this.options.clientId}: ${what}`);
  }
}

/** `a/+` and `a/#` suffice for the simulation's topics. */
function matchesRoughly(filter: string, topic: string): boolean {
  return filter === topic || ((filter.endsWith('/+') || filter.endsWith('/#')) && topic.startsWith(filter.slice(0, -1)));
}
