// A client whose CONNECT was accepted: its session, and what it may say. One object for each, so that a state that is not this one
// holds none of them.

import type { Session } from '../../broker/port.ts';
import type { Principal } from '../../security/security.ts';
import type { ClientWriter } from './client-writer.ts';
import {
  type AckType,
  type Auth,
  decodeAck,
  decodeEmpty,
  DecodeError,
  decodePublish,
  decodeSubscribe,
  decodeUnsubscribe,
  PacketType,
  protocolError,
} from './codec/index.ts';
import { Deliverer } from './deliverer.ts';
import type { EarlyPackets } from './early-packets.ts';
import { askedExpirySec, type Terms } from './handshake.ts';
import { KeepAlive } from './keep-alive.ts';
import { Publisher } from './publisher.ts';
import type { Reauthentication } from './reauthentication.ts';
import type { MqttServer } from './server.ts';
import { Subscriber } from './subscriber.ts';

export class Connected {
  readonly kind = 'connected';
  readonly session: Session;
  readonly writer: ClientWriter;
  readonly publisher: Publisher;
  readonly subscriber: Subscriber;
  readonly deliverer: Deliverer;
  readonly keepAlive: KeepAlive;
  /** What CONNECT asked for: 0 may not become more by DISCONNECT. */
  readonly askedExpirySec: number;
  /** Undefined: CONNECT named no authentication method. */
  readonly reauthentication: Reauthentication | undefined;
  /** What came before CONNACK and is still to be done. */
  early: EarlyPackets | undefined;
  readonly #server: MqttServer;

  constructor(
    server: MqttServer,
    writer: ClientWriter,
    session: Session,
    principal: Principal,
    terms: Terms,
    reauthentication: Reauthentication | undefined,
    early: EarlyPackets | undefined,
  ) {
    this.#server = server;
    this.writer = writer;
    this.session = session;
    this.askedExpirySec = askedExpirySec(terms.connect);
    this.reauthentication = reauthentication;
    this.early = early;
    this.publisher = new Publisher(server, writer, session, principal);
    this.subscriber = new Subscriber(server, writer, session);
    this.deliverer = new Deliverer(server, writer, session, terms.connect.properties?.topicAliasMaximum ?? 0);
    this.keepAlive = new KeepAlive(terms.keepAlive.silenceMs, server.clock.monotonicMs());
  }

  /** Any packet but DISCONNECT and AUTH. Returns why the connection must end, if it must. */
  packet(firstByte: number, bytes: Uint8Array, start: number, end: number): DecodeError | undefined {
    const type = firstByte >> 4;
    switch (type) {
      case PacketType.publish: {
        const fields = this.#server.publishFields;
        return decodePublish(bytes, start, end, firstByte & 0x0f, this.writer.version, fields) ?? this.publisher.publish(bytes, fields);
      }
      case PacketType.puback:
      case PacketType.pubrec:
      case PacketType.pubrel:
      case PacketType.pubcomp:
        return this.#ack(type, bytes, start, end);
      case PacketType.subscribe: {
        const subscribe = decodeSubscribe(bytes, start, end, this.writer.version);
        return subscribe instanceof DecodeError ? subscribe : this.subscriber.subscribe(subscribe);
      }
      case PacketType.unsubscribe: {
        const unsubscribe = decodeUnsubscribe(bytes, start, end, this.writer.version);
        return unsubscribe instanceof DecodeError ? unsubscribe : this.subscriber.unsubscribe(unsubscribe);
      }
      case PacketType.pingreq:
        return this.#ping(start, end);
      default:
        // The frame reader lets nothing else through; a packet kept from before CONNACK was let through by the same table.
        return protocolError('a packet that is not expected here'); // [MQTT-3.1.0-2]
    }
  }

  /** The client's AUTH. Returns why the connection must end, if it must. [MQTT-4.12.0-7] */
  authenticateAgain(auth: Auth): DecodeError | undefined {
    return this.reauthentication === undefined
      ? protocolError('AUTH, but CONNECT named no authentication method')
      : this.reauthentication.auth(auth);
  }

  /** Requests whose answer the client waits for. */
  get waiting(): number {
    return this.publisher.waiting + this.subscriber.waiting;
  }

  #ack(type: AckType, bytes: Uint8Array, start: number, end: number): DecodeError | undefined {
    const fields = this.#server.ackFields;
    const fault = decodeAck(type, bytes, start, end, this.writer.version, fields);
    if (fault !== undefined) return fault;
    if (type === PacketType.pubrel) this.publisher.release(fields.packetId);
    else this.deliverer.answered(type, fields);
    return undefined;
  }

  /** [MQTT-3.12.4-1] */
  #ping(start: number, end: number): DecodeError | undefined {
    const fault = decodeEmpty(start, end);
    if (fault !== undefined) return fault;
    this.publisher.idle();
    this.writer.pingresp();
    return undefined;
  }
}
