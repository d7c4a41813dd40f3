// What one client publishes: from the packet to the broker, and the acknowledgement back.
//
// The hot path. A PUBLISH whose topic is known costs one message object and one call of the broker; an answer that is known
// at once is written at once. Nothing here builds a positive acknowledgement but from the broker's outcome.

import { type Address, Outcome, type Session } from '../../broker/port.ts';
import { defaultPriority, Message } from '../../message/message.ts';
import type { Principal } from '../../security/security.ts';
import { ackKey, AckOrder, packetIdOf, qosOf, reasonOf } from './ack-order.ts';
import type { ClientWriter } from './client-writer.ts';
import {
  DecodeError,
  isMqttText,
  isUtf8,
  malformed,
  PacketType,
  protocolError,
  type PublishFields,
  ReasonCode,
  textOf,
} from './codec/index.ts';
import { type NeutralFields, toNeutral } from './convert.ts';
import { publishAnswer, wordsOf } from './reasons.ts';
import type { MqttServer } from './server.ts';
import { InboundAliases } from './topic-aliases.ts';
import { hashOf, KnownTopic, RetainRight, TopicCache } from './topic-cache.ts';

const slash = 0x2f;
const plus = 0x2b;
const hash = 0x23;
const noFields: NeutralFields = toNeutral(undefined);

export class Publisher {
  readonly #server: MqttServer;
  readonly #writer: ClientWriter;
  readonly #session: Session;
  readonly #principal: Principal;
  readonly #topics: TopicCache;
  #aliases: InboundAliases | undefined = undefined;
  readonly #acks = new AckOrder();
  /** QoS 1 publishes that wait for their PUBACK. */
  #unacknowledged = 0;
  /** Packet ids of QoS 2 publishes from this connection whose PUBCOMP has not been sent. */
  #unreleased: Set<number> | undefined = undefined;
  #publishedSincePing = false;

  constructor(server: MqttServer, writer: ClientWriter, session: Session, principal: Principal) {
    this.#server = server;
    this.#writer = writer;
    this.#session = session;
    this.#principal = principal;
    this.#topics = new TopicCache(server.options.topicCacheEntries);
  }

  /** Publishes that wait for their PUBACK or PUBREC. */
  get waiting(): number {
    return this.#acks.length;
  }

  /** Returns why the connection must end, if it must. `bytes` holds the packet that `fields` describe. */
  publish(bytes: Uint8Array, fields: PublishFields): DecodeError | undefined {
    const { qos, packetId, retain, payloadStart, payloadEnd } = fields;
    const { options } = this.#server;
    this.#publishedSincePing = true;
    if (qos !== 0) {
      const fault = this.#admit(qos, packetId);
      if (fault !== undefined) return fault;
    }
    if (retain && !options.retainAvailable) return new DecodeError(ReasonCode.retainNotSupported, 'retained messages are not offered');

    let known = fields.topicAlias === 0 ? this.#topics.find(bytes, fields.topicStart, fields.topicEnd) : undefined;
    if (known === undefined) {
      const found = this.#learn(bytes, fields);
      if (found instanceof DecodeError) return found;
      known = found;
    }
    if (known.addressVersion !== this.#session.addressVersion) this.#renew(known);
    const { address } = known;
    if (address.outcome !== Outcome.accepted) return this.#answer(qos, packetId, address.outcome);
    if (retain && !this.#mayRetain(known)) return this.#answer(qos, packetId, Outcome.notAuthorized);

    let neutral = noFields;
    const { properties } = fields;
    if (properties !== undefined) {
      // [MQTT-3.3.2-14]
      if (properties.responseTopic !== undefined && hasWildcard(properties.responseTopic))
        return protocolError('wildcard in a response topic');
      if (properties.payloadFormatIndicator === 1 && options.payloadFormatCheck && !isUtf8(bytes, payloadStart, payloadEnd)) {
        return this.#answer(qos, packetId, Outcome.payloadFormatInvalid);
      }
      neutral = toNeutral(properties);
    }
    const nowMs = this.#server.clock.wallMs();
    const expiry = fields.messageExpiryInterval;
    const message = new Message(
      address.topic,
      address.topicBytes,
      bytes,
      payloadStart,
      payloadEnd,
      qos,
      retain,
      properties === undefined ? defaultPriority : neutral.priority,
      expiry < 0 ? 0 : nowMs + expiry * 1000,
      nowMs,
      this.#principal.id,
      neutral.attributes,
    );
    if (qos === 0) {
      if (this.#session.publish(address, message, 0) > Outcome.pending) this.#server.counters.publishesDropped++;
      return undefined;
    }
    return this.#answer(qos, packetId, this.#session.publish(address, message, ackKey(qos, packetId)));
  }

  /** The client's PUBREL. [MQTT-4.3.3-11] */
  release(packetId: number): void {
    const outcome = this.#session.release(packetId);
    if (outcome === Outcome.pending) return;
    this.#complete(packetId, outcome === Outcome.accepted ? ReasonCode.success : ReasonCode.packetIdentifierNotFound);
  }

  /** See Consumer.released. */
  released(packetId: number): void {
    this.#complete(packetId, ReasonCode.success);
  }

  /** See Consumer.published. Returns why the connection must end, if it must. */
  published(token: number, outcome: Outcome): DecodeError | undefined {
    if (!this.#acks.decide(token, publishAnswer(outcome).reason)) return undefined;
    for (let answer = this.#acks.next(); answer >= 0; answer = this.#acks.next()) {
      const reason = reasonOf(answer) as ReasonCode;
      const fault = this.#acknowledge(qosOf(answer), packetIdOf(answer), reason, wordsOf(reason));
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  /** The client has nothing better to do than to ping: what a busy time left behind is given back. */
  idle(): void {
    if (!this.#publishedSincePing) {
      this.#acks.shrink();
      this.#topics.forgetAll();
    }
    this.#publishedSincePing = false;
  }

  /** Whether one more publish above QoS 0 may come now. */
  #admit(qos: 1 | 2, packetId: number): DecodeError | undefined {
    const { options } = this.#server;
    if (qos > options.maxQos) return new DecodeError(ReasonCode.qosNotSupported, `QoS above ${options.maxQos} is not offered`);
    if (qos === 2 && this.#unreleased?.has(packetId) === true) return undefined; // a repetition takes no more room
    // 3.1 and 3.1.1 know no such limit: their connections are held back instead.
    if (this.#writer.version === 5 && this.#unacknowledged + (this.#unreleased?.size ?? 0) >= options.receiveMaximum) {
      return new DecodeError(ReasonCode.receiveMaximumExceeded, `more than ${options.receiveMaximum} unacknowledged publishes`);
    }
    if (qos === 2) (this.#unreleased ??= new Set()).add(packetId);
    return undefined;
  }

  /** A topic that comes by an alias, or for the first time. */
  #learn(bytes: Uint8Array, fields: PublishFields): KnownTopic | DecodeError {
    const { topicAlias, topicStart, topicEnd } = fields;
    if (topicAlias === 0) return this.#remember(bytes, topicStart, topicEnd);
    const aliases = (this.#aliases ??= new InboundAliases(this.#writer.version === 5 ? this.#server.options.topicAliasMaximum : 0));
    if (!aliases.allows(topicAlias)) return new DecodeError(ReasonCode.topicAliasInvalid, 'topic alias above the maximum');
    if (topicStart === topicEnd) return aliases.topic(topicAlias) ?? protocolError('topic alias that stands for nothing');
    const known = this.#topics.find(bytes, topicStart, topicEnd) ?? this.#remember(bytes, topicStart, topicEnd);
    if (known instanceof KnownTopic) aliases.set(topicAlias, known);
    return known;
  }

  #remember(bytes: Uint8Array, start: number, end: number): KnownTopic | DecodeError {
    if (!isMqttText(bytes, start, end)) return malformed('a topic is not well-formed UTF-8, or holds U+0000'); // [MQTT-3.3.2-1]
    for (let i = start; i < end; i++) {
      // [MQTT-3.3.2-2] [MQTT-4.7.0-1]
      if (bytes[i] === plus || bytes[i] === hash) return new DecodeError(ReasonCode.topicNameInvalid, 'wildcard in a topic name');
    }
    const address = this.#addressOf(textOf(bytes, start, end), new Uint8Array(bytes.subarray(start, end)));
    const known = new KnownTopic(hashOf(bytes, start, end), address, this.#session.addressVersion);
    this.#topics.remember(known);
    return known;
  }

  #addressOf(topic: string, topicBytes: Uint8Array): Address {
    const { maxTopicBytes, maxTopicLevels } = this.#server.options;
    let levels = 1;
    for (const byte of topicBytes) if (byte === slash) levels++;
    if (topicBytes.length > maxTopicBytes || levels > maxTopicLevels) return { topic, topicBytes, outcome: Outcome.topicInvalid };
    return this.#session.address(topic, topicBytes);
  }

  #renew(known: KnownTopic): void {
    known.addressVersion = this.#session.addressVersion;
    known.address = this.#addressOf(known.address.topic, known.address.topicBytes);
  }

  #mayRetain(known: KnownTopic): boolean {
    const session = this.#session;
    if (known.retainRight === RetainRight.unknown || known.retainVersion !== session.addressVersion) {
      known.retainVersion = session.addressVersion;
      known.retainRight = this.#server.security.allows(session.principal, 'retain', known.address.topic) ? RetainRight.yes : RetainRight.no;
    }
    return known.retainRight === RetainRight.yes;
  }

  /** Answers now, or in its turn. [MQTT-4.6.0-2] [MQTT-4.6.0-3] */
  #answer(qos: 0 | 1 | 2, packetId: number, outcome: Outcome): DecodeError | undefined {
    if (qos === 0) {
      this.#server.counters.publishesDropped++;
      return undefined;
    }
    const acks = this.#acks;
    if (qos === 1) this.#unacknowledged++;
    if (outcome === Outcome.pending) {
      // A repetition of what still waits is answered together with it.
      if (qos === 1 || !acks.isWaiting(ackKey(qos, packetId))) acks.wait(ackKey(qos, packetId));
      return undefined;
    }
    if (acks.length === 0) return this.#acknowledge(qos, packetId, publishAnswer(outcome).reason, publishAnswer(outcome).words);
    acks.follow(ackKey(qos, packetId), publishAnswer(outcome).reason);
    return undefined;
  }

  /** Writes the PUBACK or PUBREC. [MQTT-4.3.2-4] [MQTT-4.3.3-8] */
  #acknowledge(qos: 1 | 2, packetId: number, reason: ReasonCode, words: string | undefined): DecodeError | undefined {
    if (qos === 1) this.#unacknowledged--;
    else if (reason >= 0x80) this.#unreleased?.delete(packetId); // [MQTT-4.3.3-9]
    if (reason >= 0x80) {
      this.#server.counters.publishesRefused[reason]!++;
      // 3.1.1 has no way to refuse, and what was not taken is never acknowledged: [MQTT-3.3.5-2] leaves closing.
      if (this.#writer.version !== 5) return new DecodeError(reason, 'a publish was refused');
    }
    this.#writer.ack(qos === 1 ? PacketType.puback : PacketType.pubrec, packetId, reason, words);
    return undefined;
  }

  #complete(packetId: number, reason: ReasonCode): void {
    this.#unreleased?.delete(packetId);
    if (reason !== ReasonCode.success) this.#server.counters.strayAcks++;
    this.#writer.ack(PacketType.pubcomp, packetId, reason);
  }
}

export function hasWildcard(topic: string): boolean {
  return topic.includes('+') || topic.includes('#');
}
