// Messages from the server: the client's half of the session for what it receives. It outlives connections, but for aliases.

import {
  type DecodeError,
  ReasonCode,
  type Packet,
  type Publish,
  type PublishProperties,
  type Qos,
} from '../protocols/mqtt/codec/index.ts';
import { serverMistake } from './link.ts';

export type IncomingMessage = {
  readonly topic: string;
  /** The receiver's own. */
  readonly payload: Uint8Array;
  readonly qos: Qos;
  readonly retain: boolean;
  /** The server has sent it before, perhaps on an earlier connection. */
  readonly dup: boolean;
  readonly properties: PublishProperties | undefined;
};

export type IncomingLimits = { readonly receiveMaximum: number; readonly topicAliasMaximum: number };

export class IncomingMessages {
  readonly #limits: IncomingLimits;
  readonly #deliver: (message: IncomingMessage) => void;
  /** Of QoS 2, delivered and not released by the server yet. */
  readonly #unreleased = new Set<number>();
  readonly #aliases = new Map<number, string>();

  constructor(limits: IncomingLimits, deliver: (message: IncomingMessage) => void) {
    this.#limits = limits;
    this.#deliver = deliver;
  }

  /** A new connection. */
  attach(sessionPresent: boolean): void {
    this.#aliases.clear(); // [MQTT-3.3.2-7]
    if (!sessionPresent) this.#unreleased.clear();
  }

  /** Hands the message over, then answers: what is acknowledged was delivered. Returns what the server did wrong, if it did. */
  publish(publish: Publish, send: (packet: Packet) => void): DecodeError | undefined {
    const { packetId, qos } = publish;
    const topic = this.#topicOf(publish);
    if (typeof topic !== 'string') return topic;
    const isRepetition = qos === 2 && this.#unreleased.has(packetId);
    if (qos === 2 && !isRepetition && this.#unreleased.size >= this.#limits.receiveMaximum) {
      return serverMistake(ReasonCode.receiveMaximumExceeded, 'more messages at a time than this client takes');
    }
    // §4.3.3 Method B: delivered with PUBLISH, known by its identifier until PUBREL.
    if (!isRepetition) {
      const { payload, retain, dup, properties } = publish;
      this.#deliver({ topic, payload, qos, retain, dup, properties });
    }
    if (qos === 1) send({ type: 'puback', packetId, reason: ReasonCode.success }); // [MQTT-4.3.2-4]
    if (qos === 2) {
      this.#unreleased.add(packetId);
      send({ type: 'pubrec', packetId, reason: ReasonCode.success }); // [MQTT-4.3.3-8]
    }
    return undefined;
  }

  release(packetId: number, send: (packet: Packet) => void): void {
    const known = this.#unreleased.delete(packetId);
    send({ type: 'pubcomp', packetId, reason: known ? ReasonCode.success : ReasonCode.packetIdentifierNotFound }); // [MQTT-4.3.3-11]
  }

  #topicOf({ topic, properties }: Publish): string | DecodeError {
    const alias = properties?.topicAlias;
    if (alias === undefined) return topic;
    if (alias > this.#limits.topicAliasMaximum) {
      return serverMistake(ReasonCode.topicAliasInvalid, 'a topic alias above the maximum'); // [MQTT-3.1.2-26]
    }
    if (topic !== '') {
      this.#aliases.set(alias, topic);
      return topic;
    }
    return this.#aliases.get(alias) ?? serverMistake(ReasonCode.protocolError, 'a topic alias that was never set');
  }
}
