// Deliveries to one client, and what the client says of them.

import type { Session } from '../../broker/port.ts';
import type { Guarantee, Message } from '../../message/message.ts';
import { type ClientWriter, largestPacketBytes } from './client-writer.ts';
import { type AckFields, type AckType, PacketType, publishBytes, ReasonCode } from './codec/index.ts';
import type { MqttServer } from './server.ts';
import { OutboundAliases } from './topic-aliases.ts';

/** A shorter topic costs no more than its alias. */
const shortTopicBytes = 3;

export class Deliverer {
  readonly #server: MqttServer;
  readonly #writer: ClientWriter;
  readonly #session: Session;
  /** Undefined: the client takes no topic aliases [MQTT-3.1.2-27]. */
  readonly #aliases: OutboundAliases | undefined;

  /** `topicAliasMaximum`: how many the client takes. */
  constructor(server: MqttServer, writer: ClientWriter, session: Session, topicAliasMaximum: number) {
    this.#server = server;
    this.#writer = writer;
    this.#session = session;
    const maximum = Math.min(topicAliasMaximum, server.options.outboundTopicAliasMaximum); // [MQTT-3.1.2-26]
    this.#aliases = maximum > 0 ? new OutboundAliases(maximum) : undefined;
  }

  get congested(): boolean {
    return this.#writer.output.pendingBytes > this.#server.options.outputHighWaterBytes;
  }

  /** See Consumer.send. [MQTT-4.3.1-1] */
  send(message: Message, retained: boolean, subscriptionIds: readonly number[] | undefined): boolean {
    if (this.#writer.output.pendingBytes > this.#server.options.maxOutputBytes) {
      this.#server.counters.dropped['output full']++;
      return false;
    }
    return this.#write(message, 0, 0, false, retained, subscriptionIds);
  }

  /** See Consumer.transfer. */
  transfer(
    deliveryId: number,
    guarantee: 1 | 2,
    message: Message,
    retained: boolean,
    redelivered: boolean,
    subscriptionIds: readonly number[] | undefined,
  ): boolean {
    return this.#write(message, guarantee, deliveryId, redelivered, retained, subscriptionIds); // [MQTT-3.3.1-1] [MQTT-3.3.1-3]
  }

  /** See Consumer.releaseDelivery. [MQTT-4.3.3-4] */
  release(deliveryId: number): void {
    this.#writer.ack(PacketType.pubrel, deliveryId, ReasonCode.success);
  }

  /** The client's PUBACK, PUBREC or PUBCOMP. */
  answered(type: AckType, { packetId, reason }: AckFields): void {
    if (type === PacketType.pubrec && reason < 0x80) {
      if (this.#session.settle(packetId, 'received')) return;
      this.#server.counters.strayAcks++;
      // It is told to forget the message, or it would ask for ever. In version 5 it also learns why.
      this.#writer.ack(PacketType.pubrel, packetId, ReasonCode.packetIdentifierNotFound);
      return;
    }
    // A PUBCOMP ends an exactly-once delivery whatever it says: 0x92 means that the client has forgotten it already.
    const refused = reason >= 0x80 && type !== PacketType.pubcomp;
    if (!this.#session.settle(packetId, refused ? 'rejected' : 'accepted')) this.#server.counters.strayAcks++; // [MQTT-4.4.0-2]
  }

  #write(
    message: Message,
    qos: Guarantee,
    packetId: number,
    dup: boolean,
    retain: boolean,
    subscriptionIds: readonly number[] | undefined,
  ): boolean {
    const writer = this.#writer;
    const aliases = this.#aliases;
    let alias = 0;
    let isKnown = false;
    if (aliases !== undefined && message.topicBytes.length > shortTopicBytes) {
      alias = aliases.known(message.topic);
      isKnown = alias !== 0;
      if (!isKnown) alias = aliases.free();
    }
    if (writer.maxPacketBytes < largestPacketBytes) {
      const fits = publishBytes(writer.version, message, qos, alias, !isKnown, subscriptionIds) <= writer.maxPacketBytes;
      if (!fits && (isKnown || alias === 0 || !this.#fitsBare(message, qos, subscriptionIds))) {
        this.#server.counters.dropped['packet too large']++; // [MQTT-3.1.2-25]
        return false;
      }
      if (!fits) alias = 0;
    }
    writer.publish(message, qos, packetId, dup, retain, alias, !isKnown, subscriptionIds, this.#server.clock.wallMs());
    if (alias !== 0 && !isKnown) aliases!.set(message.topic, alias);
    return true;
  }

  /** Without the alias that made it too large. */
  #fitsBare(message: Message, qos: Guarantee, subscriptionIds: readonly number[] | undefined): boolean {
    return publishBytes(this.#writer.version, message, qos, 0, true, subscriptionIds) <= this.#writer.maxPacketBytes;
  }
}
