// One MQTT connection: which state it is in, what may happen there, and how it ends. What a connected client may say is in
// connected.ts; what CONNECT asks for in handshake.ts.
//
//   awaitingConnect → authenticating or exchanging → attaching → connected → closed
//
// From every state but the last a fault, a deadline, the broker or the wire leads to `closed`; by way of `closing` where the
// broker itself made the fault known, because it must not be called back.

import type { Consumer, CloseReason, SubscribeResult } from '../../broker/port.ts';
import { Outcome, type Session } from '../../broker/port.ts';
import type { Message } from '../../message/message.ts';
import type { Principal } from '../../security/security.ts';
import type { Connection, Wire } from '../protocol.ts';
import { AuthExchange } from './auth-exchange.ts';
import { ClientWriter, largestPacketBytes } from './client-writer.ts';
import {
  type AuthProperties,
  decodeAuth,
  decodeConnect,
  decodeDisconnect,
  DecodeError,
  type Disconnect,
  firstBytesFrom,
  firstBytesOfAuthentication,
  firstBytesOfConnect,
  FrameReader,
  type FrameSink,
  PacketType,
  protocolError,
  ReasonCode,
  writeConnack,
} from './codec/index.ts';
import { Connected } from './connected.ts';
import type { Handshake, State } from './connection-state.ts';
import { EarlyPackets } from './early-packets.ts';
import { attachRequestOf, connackOf, credentialsOf, expiryMs, faultOf, grantedExpirySec, type Terms, termsOf } from './handshake.ts';
import type { ProvenBy } from './reauthentication.ts';
import { Brake, ReadingBrake } from '../reading-brake.ts';
import { closeReasons, connectReason, credentialsFault } from './reasons.ts';
import type { MqttServer } from './server.ts';

const awaitingConnect: State = { kind: 'awaitingConnect' };
const closed: State = { kind: 'closed' };

export class MqttConnection implements Connection, Consumer, FrameSink {
  readonly #server: MqttServer;
  readonly #wire: Wire;
  readonly #brake: ReadingBrake;
  readonly #reader: FrameReader;
  #state: State = awaitingConnect;
  /** The state, while it is `connected`: the way of nearly every call. */
  #live: Connected | undefined = undefined;
  #heard = false;

  constructor(server: MqttServer, wire: Wire) {
    this.#server = server;
    this.#wire = wire;
    this.#brake = new ReadingBrake(wire, server.counters);
    this.#reader = new FrameReader(firstBytesOfConnect, server.options.maxConnectPacketBytes);
    server.counters.connections++;
    wire.setDeadline(server.clock.monotonicMs() + server.options.connectTimeoutMs);
  }

  get state(): State['kind'] {
    return this.#state.kind;
  }

  // ---- From the wire

  receive(bytes: Uint8Array): void {
    this.#doEarlyPackets();
    if (this.#isOver()) return;
    this.#server.counters.receivedBytes += bytes.length;
    const fault = this.#reader.push(bytes, this);
    if (fault !== undefined) this.#fail(fault);
    const live = this.#live;
    if (live === undefined) return;
    if (this.#heard) {
      this.#heard = false;
      live.keepAlive.heard(this.#server.clock.monotonicMs());
    }
    this.#checkLoad(live);
  }

  /** See FrameSink: one whole packet of a type that may come in this state. */
  packet(firstByte: number, bytes: Uint8Array, start: number, end: number): boolean {
    this.#server.counters.received[firstByte >> 4]!++;
    const live = this.#live;
    if (live === undefined) return this.#packetOfHandshake(firstByte, bytes, start, end);
    this.#heard = true;
    if (live.writer.watched) live.writer.showReceived(firstByte, bytes, start, end);
    const type = firstByte >> 4;
    if (type >= PacketType.disconnect) return this.#disconnectOrAuth(live, type, bytes, start, end);
    const fault = live.packet(firstByte, bytes, start, end);
    if (fault !== undefined) this.#fail(fault);
    return this.#live === live;
  }

  onDrained(): void {
    if (this.#isOver()) return;
    this.#brake.release(Brake.output);
    this.#live?.session.resume();
  }

  onDeadline(): void {
    const live = this.#live;
    if (live === undefined) {
      if (!this.#isOver()) this.#handshakeTookTooLong();
      return;
    }
    this.#doEarlyPackets();
    if (this.#live !== live) return;
    const fault = live.overdue(this.#brake.excusesSilence);
    if (fault === undefined) this.#wire.setDeadline(live.deadlineMs);
    else this.#fail(fault);
  }

  onClosed(): void {
    const state = this.#state;
    const { counters } = this.#server;
    counters.connections--;
    this.#move(closed);
    if (state.kind === 'connected') {
      counters.lost++;
      state.session.detach(true); // [MQTT-3.1.2-8]
    } else if (state.kind === 'closing') {
      state.session.detach(state.publishWill);
    } else if (state.kind !== 'closed') {
      counters.connectsAbandoned++;
    }
  }

  shutDown(): void {
    const shuttingDown = closeReasons.shuttingDown;
    const reason = this.#live === undefined ? ReasonCode.serverUnavailable : shuttingDown.reason;
    if (!this.#isOver()) this.#fail(new DecodeError(reason, shuttingDown.words));
  }

  // ---- From the broker. Nothing here may call it back.

  get congested(): boolean {
    return this.#live === undefined || this.#live.deliverer.congested;
  }

  attached(outcome: Outcome, session: Session | undefined, sessionPresent: boolean): void {
    const state = this.#state;
    if (state.kind !== 'attaching') {
      // The connection ended in the meantime, without a CONNACK: its will is not owed to anybody.
      session?.detach(false);
      return;
    }
    if (outcome !== Outcome.accepted || session === undefined) {
      this.#refuse(state.writer, new DecodeError(connectReason(outcome), 'the session could not be opened'));
      return;
    }
    const { terms, writer, early } = state;
    const connack = connackOf(terms, sessionPresent, this.#server.options, state.authentication);
    if (!writer.connack(connack)) {
      // Not even a CONNACK fits into what the client takes.
      this.#server.counters.connectsRefused[ReasonCode.packetTooLarge]!++;
      this.#move({ kind: 'closing', session, publishWill: false });
      this.#wire.close();
      return;
    }
    this.#server.counters.connectsAccepted++;
    const live = new Connected(this.#server, session, state, {
      fail: (fault) => this.#fail(fault),
      setDeadline: (atMs) => this.#wire.setDeadline(atMs),
    });
    this.#move(live);
    this.#reader.accept = firstBytesFrom('client', writer.version);
    this.#reader.maxPacketBytes = this.#server.options.maxPacketBytes;
    this.#brake.release(Brake.handshake);
    // What came early calls the broker, so it has to wait until this call of the broker's is over.
    this.#wire.setDeadline(early === undefined ? live.deadlineMs : this.#server.clock.monotonicMs());
    this.#server.log.debug('mqtt client connected', {
      client: terms.clientId,
      version: writer.version,
      address: this.#wire.facts.remoteAddress,
    });
  }

  send(message: Message, retained: boolean, subscriptionIds: readonly number[] | undefined): boolean {
    if (this.#live !== undefined) return this.#live.deliverer.send(message, retained, subscriptionIds);
    this.#server.counters.dropped['connection closing']++;
    return false;
  }

  transfer(
    deliveryId: number,
    guarantee: 1 | 2,
    message: Message,
    retained: boolean,
    redelivered: boolean,
    subscriptionIds: readonly number[] | undefined,
  ): boolean {
    // While closing it is as good as sent: it is outstanding, and comes again on the next connection.
    return this.#live?.deliverer.transfer(deliveryId, guarantee, message, retained, redelivered, subscriptionIds) ?? true;
  }

  releaseDelivery(deliveryId: number): void {
    this.#live?.deliverer.release(deliveryId);
  }

  published(token: number, outcome: Outcome): void {
    const live = this.#live;
    if (live !== undefined) this.#failLater(live, live.publisher.published(token, outcome));
  }

  released(token: number): void {
    this.#live?.publisher.released(token);
  }

  subscribed(token: number, results: readonly SubscribeResult[]): void {
    const live = this.#live;
    if (live !== undefined) this.#failLater(live, live.subscriber.subscribed(token, results));
  }

  unsubscribed(token: number, outcomes: readonly Outcome[]): void {
    const live = this.#live;
    if (live !== undefined) this.#failLater(live, live.subscriber.unsubscribed(token, outcomes));
  }

  hold(on: boolean): void {
    if (this.#isOver()) return;
    if (on) this.#brake.pull(Brake.broker);
    else this.#brake.release(Brake.broker);
  }

  detached(reason: CloseReason): void {
    const state = this.#state;
    const why = closeReasons[reason];
    switch (state.kind) {
      case 'connected':
        this.#sayGoodbye(state, new DecodeError(why.reason, why.words));
        this.#move(closed);
        this.#wire.close();
        return;
      case 'attaching':
        // No DISCONNECT before a CONNACK [MQTT-3.14.0-1].
        this.#refuse(state.writer, new DecodeError(ReasonCode.serverUnavailable, why.words));
        return;
      case 'closing':
        this.#move(closed); // the session is somebody else's now
        return;
      default:
    }
  }

  // ---- The handshake

  #packetOfHandshake(firstByte: number, bytes: Uint8Array, start: number, end: number): boolean {
    const state = this.#state;
    switch (state.kind) {
      case 'awaitingConnect':
        this.#connect(firstByte, bytes, start, end);
        return !this.#isOver();
      case 'exchanging':
        return this.#packetOfExchange(state, firstByte, bytes, start, end);
      case 'authenticating':
      case 'attaching':
        state.early ??= new EarlyPackets();
        if (state.early.add(firstByte, bytes, start, end, this.#server.options.maxEarlyBytes)) return true;
        this.#fail(new DecodeError(ReasonCode.quotaExceeded, 'too much was sent before CONNACK'));
        return false;
      default:
        return false; // the connection has ended within this chunk
    }
  }

  #connect(firstByte: number, bytes: Uint8Array, start: number, end: number): void {
    const connect = decodeConnect(bytes, start, end);
    if (connect instanceof DecodeError) {
      this.#fail(connect);
      return;
    }
    const { options, random } = this.#server;
    const { version, properties } = connect;
    const terms = termsOf(connect, options, (length) => random.bytes(length));
    const explains = version === 5 && properties?.requestProblemInformation !== false;
    const maxPacketBytes = properties?.maximumPacketSize ?? largestPacketBytes;
    const writer = new ClientWriter(this.#server, this.#wire.output, version, terms.clientId, maxPacketBytes, explains);
    if (writer.watched) writer.showReceived(firstByte, bytes, start, end);
    const fault = faultOf(connect, options);
    if (fault !== undefined) {
      this.#refuse(writer, fault);
      return;
    }
    this.#reader.accept = firstBytesFrom('client', version);
    const method = properties?.authenticationMethod;
    if (method === undefined) this.#authenticate(terms, writer);
    else this.#startExchange(terms, writer, method, properties?.authenticationData);
  }

  #authenticate(terms: Terms, writer: ClientWriter): void {
    const state: State = { kind: 'authenticating', terms, writer, early: undefined };
    this.#move(state);
    this.#server.security.authenticate(credentialsOf(terms, this.#wire.facts), (result) => {
      if (this.#state !== state) return; // the connection has ended
      if (result.ok) this.#attach(state, result.principal, result.expiresAtMs, undefined, undefined);
      else this.#refuse(writer, credentialsFault(result.reason));
    });
    if (this.#state === state) this.#brake.pull(Brake.handshake);
  }

  /** [MQTT-4.12.0-1] */
  #startExchange(terms: Terms, writer: ClientWriter, method: string, data: Uint8Array | undefined): void {
    const credentials = credentialsOf(terms, this.#wire.facts);
    const exchange = this.#server.security.startExchange(method, credentials);
    if (exchange === undefined) {
      this.#refuse(writer, new DecodeError(ReasonCode.badAuthenticationMethod, 'the authentication method is not offered'));
      return;
    }
    this.#reader.accept = firstBytesOfAuthentication; // [MQTT-3.1.2-30]
    const handshake: Handshake = { terms, writer, early: undefined };
    const conversation = new AuthExchange(method, exchange, writer, {
      done: (principal, properties, expiresAtMs) => {
        this.#reader.accept = firstBytesFrom('client', writer.version);
        this.#attach(handshake, principal, expiresAtMs, { method, credentials }, properties);
      },
      failed: (fault) => this.#refuse(writer, fault),
    });
    this.#move({ ...handshake, kind: 'exchanging', exchange: conversation });
    conversation.begin(data);
  }

  #packetOfExchange(state: State & { kind: 'exchanging' }, firstByte: number, bytes: Uint8Array, start: number, end: number): boolean {
    if (state.writer.watched) state.writer.showReceived(firstByte, bytes, start, end);
    const isGoodbye = firstByte >> 4 === PacketType.disconnect;
    const packet = isGoodbye
      ? decodeDisconnect(bytes, start, end, state.writer.version, 'client')
      : decodeAuth(bytes, start, end, 'client');
    const fault = packet instanceof DecodeError ? packet : isGoodbye ? undefined : state.exchange.proceed(packet);
    if (fault !== undefined) this.#fail(fault);
    else if (isGoodbye) this.#abandonHandshake();
    return !this.#isOver();
  }

  #attach(
    { terms, writer, early }: Handshake,
    principal: Principal,
    expiresAtMs: number | undefined,
    provenBy: ProvenBy | undefined,
    authentication: AuthProperties | undefined,
  ): void {
    const { broker, security, clock } = this.#server;
    // The broker asks the same of the will.
    if (!security.allows(principal, 'connect', terms.clientId)) {
      this.#refuse(writer, new DecodeError(ReasonCode.notAuthorized, 'not authorized'));
      return;
    }
    const state: State = { kind: 'attaching', terms, writer, early, principal, expiresAtMs, provenBy, authentication };
    this.#move(state);
    broker.attach(attachRequestOf(terms, principal, this.#wire.facts, clock.wallMs()), this);
    // When security answered late, what came early is here; when it answered at once, it is still in the frame reader.
    this.#doEarlyPackets();
    if (this.#state === state) this.#brake.pull(Brake.handshake);
  }

  #doEarlyPackets(): void {
    const live = this.#live;
    const early = live?.early;
    if (live === undefined || early === undefined) return;
    live.early = undefined;
    for (const { firstByte, body } of early.packets) {
      this.#server.counters.received[firstByte >> 4]!--; // counted when it came
      if (!this.packet(firstByte, body, 0, body.length)) return;
    }
  }

  #handshakeTookTooLong(): void {
    const state = this.#state;
    if (state.kind === 'awaitingConnect') this.#abandonHandshake();
    else {
      const ours = state.kind !== 'exchanging';
      this.#fail(new DecodeError(ours ? ReasonCode.serverBusy : ReasonCode.notAuthorized, 'the handshake took too long'));
    }
  }

  /** Nothing is owed to who did not say CONNECT, or took it back. */
  #abandonHandshake(): void {
    this.#server.counters.connectsAbandoned++;
    this.#move(closed);
    this.#wire.close();
  }

  // ---- The connected client

  #disconnectOrAuth(live: Connected, type: number, bytes: Uint8Array, start: number, end: number): boolean {
    let fault: DecodeError | undefined;
    if (type === PacketType.disconnect) {
      const disconnect = decodeDisconnect(bytes, start, end, live.writer.version, 'client');
      fault = disconnect instanceof DecodeError ? disconnect : this.#goodbye(live, disconnect);
    } else {
      const auth = decodeAuth(bytes, start, end, 'client');
      fault = auth instanceof DecodeError ? auth : live.authenticateAgain(auth);
    }
    if (fault !== undefined) this.#fail(fault);
    return this.#live === live;
  }

  #goodbye(live: Connected, { reason, properties }: Disconnect): DecodeError | undefined {
    const askedSec = properties?.sessionExpiryInterval;
    if (askedSec !== undefined && askedSec !== 0 && live.askedExpirySec === 0) {
      return protocolError('DISCONNECT makes a session last that was to end'); // §3.14.2.2.2
    }
    this.#server.counters.disconnects[reason]!++;
    this.#move(closed);
    const newExpiryMs = askedSec === undefined ? undefined : expiryMs(grantedExpirySec(askedSec, this.#server.options));
    live.session.detach(reason !== ReasonCode.success, newExpiryMs); // [MQTT-3.14.4-3] [MQTT-3.1.2-10]
    this.#wire.close();
    return undefined;
  }

  /** Stops reading from a client that has too much to come, or does not read itself. */
  #checkLoad(live: Connected): void {
    const { receiveMaximum, maxOutputBytes } = this.#server.options;
    if (live.waiting >= receiveMaximum) this.#brake.pull(Brake.answers);
    if (this.#wire.output.pendingBytes > maxOutputBytes) this.#brake.pull(Brake.output);
  }

  // ---- The end

  /** Ends the connection with the reason in the protocol's words. Not for calls that come from the broker. */
  #fail(fault: DecodeError): void {
    const state = this.#state;
    switch (state.kind) {
      case 'awaitingConnect':
        this.#refuseUnknown(fault);
        return;
      case 'authenticating':
      case 'exchanging':
      case 'attaching':
        this.#refuse(state.writer, fault);
        return;
      case 'connected':
        this.#sayGoodbye(state, fault);
        this.#move(closed);
        state.session.detach(true);
        this.#wire.close(); // [MQTT-3.14.4-2] [MQTT-4.13.1-1]
        return;
      default:
    }
  }

  /** The same, where the broker is calling and must not be called: the session is given back when the wire is gone. */
  #failLater(live: Connected, fault: DecodeError | undefined): void {
    if (live.waiting * 2 <= this.#server.options.receiveMaximum) this.#brake.release(Brake.answers);
    if (fault === undefined || this.#live !== live) return;
    this.#sayGoodbye(live, fault);
    this.#move({ kind: 'closing', session: live.session, publishWill: true });
    this.#wire.close();
  }

  #sayGoodbye(live: Connected, { reason, message }: DecodeError): void {
    this.#server.counters.closed[reason]!++;
    if (live.writer.version === 5) live.writer.disconnect(reason, message);
    this.#server.log.debug('mqtt connection closed', { client: live.writer.clientId, reason, why: message });
  }

  /** A CONNECT that is not accepted. [MQTT-3.2.2-7] [MQTT-4.13.2-1] */
  #refuse(writer: ClientWriter, { reason, message }: DecodeError): void {
    this.#server.counters.connectsRefused[reason]!++;
    this.#server.log.debug('mqtt client refused', {
      client: writer.clientId,
      address: this.#wire.facts.remoteAddress,
      reason,
      why: message,
    });
    writer.connack({ sessionPresent: false, reason, properties: { reasonString: message } }); // [MQTT-3.2.2-6]
    this.#move(closed);
    this.#wire.close();
  }

  /** Something that is not a CONNECT, or not one that can be read. */
  #refuseUnknown({ reason, message, version }: DecodeError): void {
    this.#server.counters.connectsRefused[reason]!++;
    this.#server.log.debug('mqtt handshake refused', { address: this.#wire.facts.remoteAddress, reason, why: message });
    if (version !== undefined && writeConnack(this.#wire.output, version, { sessionPresent: false, reason })) {
      this.#server.counters.sent[PacketType.connack]!++;
    }
    this.#move(closed);
    this.#wire.close();
  }

  #isOver(): boolean {
    return this.#state.kind === 'closed' || this.#state.kind === 'closing';
  }

  /** The only place where the state changes. */
  #move(state: State): void {
    if (this.#state.kind === 'exchanging') this.#state.exchange.abandon();
    else this.#live?.reauthentication?.abandon();
    this.#state = state;
    this.#live = state.kind === 'connected' ? state : undefined;
    if (this.#live === undefined && this.#isOver()) this.#wire.setDeadline(Infinity);
  }
}
