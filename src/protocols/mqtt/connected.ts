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
  ReasonCode,
} from './codec/index.ts';
import { Deliverer } from './deliverer.ts';
import type { State } from './connection-state.ts';
import type { EarlyPackets } from './early-packets.ts';
import { askedExpirySec } from './handshake.ts';
import { KeepAlive } from './keep-alive.ts';
import { Publisher } from './publisher.ts';
import { Reauthentication } from './reauthentication.ts';
import type { MqttServer } from './server.ts';
import { Subscriber } from './subscriber.ts';

/** What the handshake has led to. */
type Admitted = Extract<State, { readonly kind: 'attaching' }>;

/** What it may do to its connection. */
type Door = {
  /** Ends the connection, if it is still open. */
  fail(fault: DecodeError): void;
  setDeadline(atMs: number): void;
};

/** Between two looks at the wall clock, where something ends on it. */
const longestLookMs = 3_600_000;

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
  /** On the wall clock: what proved who the client is ends then. */
  #expiresAtMs: number;
  readonly #server: MqttServer;
  readonly #door: Door;

  constructor(server: MqttServer, session: Session, admitted: Admitted, door: Door) {
    const { writer, principal, expiresAtMs, provenBy, terms, early } = admitted;
    this.#server = server;
    this.#door = door;
    this.#expiresAtMs = expiresAtMs ?? Infinity;
    this.writer = writer;
    this.session = session;
    this.askedExpirySec = askedExpirySec(terms.connect);
    this.reauthentication =
      provenBy &&
      new Reauthentication(server, writer, provenBy, principal, {
        renewed: (renewed, endMs) => this.#renew(renewed, endMs),
        failed: (fault) => door.fail(fault),
      });
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

  /** The client has proved anew that it is who it was. */
  #renew(principal: Principal, expiresAtMs: number | undefined): void {
    this.#expiresAtMs = expiresAtMs ?? Infinity;
    this.session.renew(principal);
    this.#door.setDeadline(this.deadlineMs);
  }

  /** When to look at `overdue`, at the latest. */
  get deadlineMs(): number {
    const { clock } = this.#server;
    if (this.#expiresAtMs === Infinity) return this.keepAlive.deadlineMs;
    // The wall clock may be set meanwhile.
    const leftMs = Math.min(this.#expiresAtMs - clock.wallMs(), longestLookMs);
    return Math.min(this.keepAlive.deadlineMs, clock.monotonicMs() + leftMs);
  }

  /** Why the connection must end by now, if it must. `excused`: that it was silent is our doing. */
  overdue(excused: boolean): DecodeError | undefined {
    const { clock } = this.#server;
    const nowMs = clock.monotonicMs();
    if (excused) this.keepAlive.heard(nowMs);
    // [MQTT-3.1.2-22]
    if (this.keepAlive.deadlineMs <= nowMs)
      return new DecodeError(ReasonCode.keepAliveTimeout, 'nothing was heard for one and a half keep-alive times');
    // §4.13: the one reason code for a time that was granted and is over. Who asks at connect is told 0x87 by security.
    if (this.#expiresAtMs <= clock.wallMs())
      return new DecodeError(ReasonCode.maximumConnectTime, 'what proved who the client is has expired');
    return undefined;
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
