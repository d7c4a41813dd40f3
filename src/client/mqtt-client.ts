// An MQTT client: connections come and go, the session stays. It keeps the client's half of the session, so that nothing is
// lost and nothing of QoS 2 comes twice across connections, as long as the server keeps its half.

import type {
  Connack,
  Connect,
  DisconnectProperties,
  Packet,
  Publish,
  ReasonCode,
  SubscribeProperties,
  Version,
} from '../protocols/mqtt/codec/index.ts';
import { ReasonCode as Reason } from '../protocols/mqtt/codec/index.ts';
import { ClientError, saidByServer } from './client-error.ts';
import { IncomingMessages } from './incoming-messages.ts';
import { Link, type Schedule } from './link.ts';
import { assumed, largestPacketBytes, systemSchedule, type ClientOptions, type Welcome } from './options.ts';
import { OutgoingMessages, type OutgoingMessage } from './outgoing-messages.ts';
import { PacketIds } from './packet-ids.ts';
import { Subscriptions, type SubscriptionRequest } from './subscriptions.ts';
import { wireTo, type OpenWire } from './wire.ts';

type State =
  | { readonly kind: 'new' }
  /** The wire is being made, or CONNACK awaited. */
  | { readonly kind: 'connecting'; readonly link: Link }
  | { readonly kind: 'connected'; readonly link: Link }
  /** Until the next attempt. */
  | { readonly kind: 'waiting'; readonly callOff: () => void }
  /** Told to stop; the wire may still be closing. */
  | { readonly kind: 'leaving'; readonly link: Link }
  | { readonly kind: 'ended' };

/** How long a server may take to close after DISCONNECT. */
const leaveTimeoutMs = 2000;

export class MqttClient {
  readonly #options: ClientOptions;
  readonly #version: Version;
  readonly #schedule: Schedule;
  readonly #outgoing: OutgoingMessages;
  readonly #incoming: IncomingMessages;
  readonly #subscriptions: Subscriptions;
  #openWire: OpenWire | undefined;
  #state: State = { kind: 'new' };
  #clientId: string;
  #wasConnected = false;
  #failedAttempts = 0;
  #starting: PromiseWithResolvers<Welcome> | undefined;
  readonly #left = Promise.withResolvers<void>();

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#version = options.version ?? assumed.version;
    this.#schedule = options.schedule ?? systemSchedule;
    this.#clientId = options.clientId ?? '';
    const ids = new PacketIds();
    this.#outgoing = new OutgoingMessages(this.#version, ids, options.maxWaiting ?? assumed.maxWaiting);
    this.#subscriptions = new Subscriptions(ids);
    const { receiveMaximum = assumed.receiveMaximum, topicAliasMaximum = assumed.topicAliasMaximum, onMessage = () => {} } = options;
    // Before version 5 the server cannot be told a maximum.
    this.#incoming = new IncomingMessages(
      { receiveMaximum: this.#version === 5 ? receiveMaximum : Infinity, topicAliasMaximum },
      onMessage,
    );
  }

  /** Also the one that the server chose. */
  get clientId(): string {
    return this.#clientId;
  }

  get isConnected(): boolean {
    return this.#state.kind === 'connected';
  }

  /** No own message waits or is unacknowledged. */
  get isIdle(): boolean {
    return this.#outgoing.isIdle;
  }

  /** Once. Resolves when the server has let the client in. @throws ClientError */
  async connect(): Promise<Welcome> {
    this.#openWire = this.#options.openWire ?? (await wireTo(this.#options.endpoint, this.#options.tls ?? {}));
    if (this.#state.kind !== 'new') throw new ClientError('closed', 'a client connects only once');
    this.#starting = Promise.withResolvers();
    this.#attempt();
    return this.#starting.promise;
  }

  /**
   * Resolves with the server's reason code: at QoS 0 once it is sent, at 1 with PUBACK, at 2 with PUBCOMP; across connections if
   * need be. @throws ClientError
   */
  publish(message: OutgoingMessage): Promise<ReasonCode> {
    if (this.#isOver) return Promise.reject(over());
    return this.#outgoing.publish(message);
  }

  /** Resolves with the server's code for each, in order: below 0x80 the QoS that is granted. @throws ClientError */
  subscribe(requests: readonly SubscriptionRequest[], properties?: SubscribeProperties): Promise<readonly ReasonCode[]> {
    if (this.#isOver) return Promise.reject(over());
    return this.#subscriptions.subscribe(requests, properties);
  }

  /** Resolves with the server's code for each, in order; none before version 5. @throws ClientError */
  unsubscribe(filters: readonly string[]): Promise<readonly ReasonCode[]> {
    if (this.#isOver) return Promise.reject(over());
    return this.#subscriptions.unsubscribe(filters);
  }

  /** Holds the server back, until `resume`. */
  pause(): void {
    if (this.#state.kind === 'connected') this.#state.link.pause();
  }

  resume(): void {
    if (this.#state.kind === 'connected') this.#state.link.resume();
  }

  /**
   * Says goodbye and closes. No message is delivered after the call; what is not acknowledged yet is rejected. With `reason`
   * disconnectWithWillMessage the will is published.
   */
  async disconnect(reason: ReasonCode = Reason.success, properties?: DisconnectProperties): Promise<void> {
    const state = this.#state;
    if (state.kind !== 'connected') {
      this.destroy();
      return this.#left.promise;
    }
    this.#state = { kind: 'leaving', link: state.link };
    // What a message's receiver decides while it has the message: the acknowledgement goes first.
    await Promise.resolve();
    state.link.send({ type: 'disconnect', reason, properties });
    state.link.end();
    this.#failAll(over());
    const callOff = this.#schedule(leaveTimeoutMs, () => state.link.drop(over()));
    await this.#left.promise;
    callOff();
  }

  /** Closes at once without a word: the server publishes the will. */
  destroy(): void {
    const state = this.#state;
    if (state.kind === 'ended') return;
    this.#state = { kind: 'ended' };
    if (state.kind === 'waiting') state.callOff();
    if (state.kind === 'connecting' || state.kind === 'connected' || state.kind === 'leaving') state.link.drop(over());
    this.#failAll(over());
    this.#left.resolve();
  }

  /** Cuts the connection as a broken network would; the client connects again if it is told to do so. */
  cut(): void {
    if (this.#state.kind === 'connected') this.#state.link.drop(new ClientError('disconnected', 'cut by its owner'));
  }

  get #isOver(): boolean {
    return this.#state.kind === 'ended' || this.#state.kind === 'leaving';
  }

  #attempt(): void {
    const { maxPacketBytes = largestPacketBytes, connectTimeoutMs = assumed.connectTimeoutMs } = this.#options;
    const callOffTimeout = this.#schedule(connectTimeoutMs, () =>
      link.drop(new ClientError('timeout', `no answer within ${connectTimeoutMs} ms`)),
    );
    const link: Link = new Link(
      this.#openWire!,
      { version: this.#version, maxPacketBytes, schedule: this.#schedule },
      {
        opened: () => link.send({ type: 'connect', ...this.#connectPacket() }),
        packet: (packet) => {
          if (this.#state.kind === 'connecting') callOffTimeout();
          this.#take(link, packet);
        },
        writable: () => this.#outgoing.pump(),
        closed: (error) => {
          callOffTimeout();
          this.#lost(link, error);
        },
      },
    );
    this.#state = { kind: 'connecting', link };
  }

  #connectPacket(): Connect {
    const { cleanStart = true, sessionExpirySec = 0, keepAliveSec = assumed.keepAliveSec, username, password, will } = this.#options;
    const {
      receiveMaximum = assumed.receiveMaximum,
      topicAliasMaximum = assumed.topicAliasMaximum,
      maxPacketBytes,
      userProperties,
    } = this.#options;
    const isFive = this.#version === 5;
    const properties = {
      ...(sessionExpirySec === 0 ? {} : { sessionExpiryInterval: sessionExpirySec }),
      ...(maxPacketBytes === undefined ? {} : { maximumPacketSize: maxPacketBytes }),
      receiveMaximum,
      topicAliasMaximum,
      userProperties,
    };
    return {
      version: this.#version,
      // A session that lives on is taken up again by the connections after the first.
      cleanStart: cleanStart && !(isFive && sessionExpirySec > 0 && this.#wasConnected),
      keepAlive: keepAliveSec,
      clientId: this.#clientId,
      will,
      username,
      password: typeof password === 'string' ? Buffer.from(password) : password,
      properties: isFive ? properties : undefined,
    };
  }

  #take(link: Link, packet: Packet): void {
    if (this.#state.kind === 'connecting' && this.#state.link === link) return this.#takeFirst(link, packet);
    if (this.#state.kind !== 'connected' || this.#state.link !== link) return;
    switch (packet.type) {
      case 'publish':
        return this.#deliver(link, packet);
      case 'pubrel':
        return this.#incoming.release(packet.packetId, (answer) => link.send(answer));
      case 'puback':
        this.#outgoing.acknowledged(packet.packetId, packet.reason, packet.properties?.reasonString);
        return;
      case 'pubrec': {
        const known = this.#outgoing.received(packet.packetId, packet.reason, packet.properties?.reasonString);
        const reason = known ? Reason.success : Reason.packetIdentifierNotFound;
        if (packet.reason < 0x80) link.send({ type: 'pubrel', packetId: packet.packetId, reason }); // [MQTT-4.3.3-4]
        return;
      }
      case 'pubcomp':
        this.#outgoing.completed(packet.packetId);
        return;
      case 'suback':
        this.#subscriptions.answered('subscribe', packet.packetId, packet.reasons);
        return;
      case 'unsuback':
        this.#subscriptions.answered('unsubscribe', packet.packetId, packet.reasons);
        return;
      case 'disconnect':
        return link.drop(saidByServer('disconnected', 'the server closes the connection', packet.reason, packet.properties?.reasonString));
      default:
        return link.drop(new ClientError('protocol', `the server sent ${packet.type.toUpperCase()}, which was not asked for`));
    }
  }

  #deliver(link: Link, packet: Publish): void {
    try {
      const mistake = this.#incoming.publish(packet, (answer) => link.send(answer));
      if (mistake !== undefined) link.refuse(mistake);
    } catch (error) {
      // Not acknowledged: whoever comes after gets it again.
      link.drop(new ClientError('closed', `a message could not be handled: ${(error as Error).message}`, { cause: error }));
    }
  }

  #takeFirst(link: Link, packet: Packet): void {
    if (packet.type === 'connack' && packet.reason === Reason.success) return this.#welcome(link, packet);
    if (packet.type === 'connack' || packet.type === 'disconnect') {
      return link.drop(saidByServer('refused', 'the server refuses the connection', packet.reason, packet.properties?.reasonString));
    }
    link.drop(new ClientError('protocol', `the server sent ${packet.type.toUpperCase()} before CONNACK`));
  }

  #welcome(link: Link, { properties = {}, ...connack }: Connack): void {
    const { keepAliveSec = assumed.keepAliveSec, cleanStart = true, maxInFlight = assumed.maxInFlight } = this.#options;
    // Version 3.1 does not say it; a session that was not to be cleaned is there.
    const sessionPresent = connack.sessionPresent || (this.#version === 3 && !cleanStart);
    this.#clientId = properties.assignedClientIdentifier ?? this.#clientId; // [MQTT-3.2.2-16]
    this.#state = { kind: 'connected', link };
    this.#wasConnected = true;
    this.#failedAttempts = 0;
    const maxPacketBytes = properties.maximumPacketSize ?? Infinity;
    link.maxOutBytes = maxPacketBytes;
    link.connected(properties.serverKeepAlive ?? keepAliveSec); // [MQTT-3.2.2-21]
    this.#options.onConnect?.({ sessionPresent, clientId: this.#clientId });
    this.#incoming.attach(sessionPresent);
    this.#subscriptions.attach((packet) => link.send(packet), sessionPresent);
    const limits = {
      window: Math.min(maxInFlight, properties.receiveMaximum ?? 0xffff),
      maxPacketBytes,
      maxQos: properties.maximumQos ?? assumed.maxQos,
      retainAvailable: properties.retainAvailable ?? true,
    };
    this.#outgoing.attach(link, limits, sessionPresent);
    this.#starting?.resolve({ sessionPresent, clientId: this.#clientId });
    this.#starting = undefined;
  }

  #lost(link: Link, error: ClientError): void {
    const state = this.#state;
    if (state.kind === 'leaving') {
      this.#state = { kind: 'ended' };
      this.#left.resolve();
    }
    if ((state.kind !== 'connecting' && state.kind !== 'connected') || state.link !== link) return;
    this.#outgoing.detach();
    this.#subscriptions.detach();
    const { reconnect, retryFirst = false } = this.#options;
    if (reconnect === undefined || error.isFinal || !(this.#wasConnected || retryFirst)) return this.#end(error);
    const full = Math.min(reconnect.maxMs, reconnect.minMs * 2 ** this.#failedAttempts++);
    // So that many clients that lost the same server do not come back at the same moment.
    const inMs = Math.round(full * (0.5 + Math.random() / 2));
    this.#state = { kind: 'waiting', callOff: this.#schedule(inMs, () => this.#attempt()) };
    this.#options.onRetry?.(error, inMs);
  }

  #end(error: ClientError): void {
    this.#state = { kind: 'ended' };
    const isStart = this.#starting !== undefined;
    this.#failAll(error);
    this.#left.resolve();
    if (!isStart) this.#options.onEnd?.(error);
  }

  #failAll(error: ClientError): void {
    this.#starting?.reject(error);
    this.#starting = undefined;
    this.#outgoing.fail(error);
    this.#subscriptions.fail(error);
  }
}

function over(): ClientError {
  return new ClientError('closed', 'the client was closed');
}
