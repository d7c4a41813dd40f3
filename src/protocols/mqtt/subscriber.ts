// SUBSCRIBE and UNSUBSCRIBE of one client. What MQTT itself refuses is answered here, the rest by the broker; both meet in one
// SUBACK or UNSUBACK, in the order of the filters [MQTT-3.9.3-1] [MQTT-3.11.3-1].

import { Outcome, type Session, type SubscribeRequest, type SubscribeResult } from '../../broker/port.ts';
import type { ClientWriter } from './client-writer.ts';
import { DecodeError, ReasonCode, type Subscribe, type Subscription, type Unsubscribe } from './codec/index.ts';
import type { MqttOptions } from './options.ts';
import { hasWildcard } from './publisher.ts';
import { subscribeReason, unsubscribeReason } from './reasons.ts';
import type { MqttServer } from './server.ts';

/** One reason per filter; undefined where the broker decides. */
type Answers = (ReasonCode | undefined)[];

const retainHandlings = ['always', 'ifNew', 'never'] as const;

export class Subscriber {
  readonly #server: MqttServer;
  readonly #writer: ClientWriter;
  readonly #session: Session;
  /** Requests that wait for the broker, by packet id. */
  #pending: Map<number, Answers> | undefined = undefined;

  constructor(server: MqttServer, writer: ClientWriter, session: Session) {
    this.#server = server;
    this.#writer = writer;
    this.#session = session;
  }

  /** Requests that wait for their SUBACK or UNSUBACK. */
  get waiting(): number {
    return this.#pending?.size ?? 0;
  }

  /** Returns why the connection must end, if it must. */
  subscribe({ packetId, subscriptions, properties }: Subscribe): DecodeError | undefined {
    if (this.#pending?.has(packetId) === true) {
      // 3.1 repeats a SUBSCRIBE that was not answered yet: the answer to the first is the answer.
      if (this.#writer.version !== 5) return undefined;
      return this.#suback(packetId, this.#all(subscriptions, ReasonCode.packetIdentifierInUse));
    }
    const { options } = this.#server;
    if (subscriptions.length > options.maxSubscriptionsPerRequest) {
      return this.#suback(packetId, this.#all(subscriptions, ReasonCode.quotaExceeded));
    }
    const subscriptionId = properties?.subscriptionIdentifiers?.[0] ?? 0;
    const answers: Answers = subscriptions.map((each) => refusalOf(each, subscriptionId, options));
    const asked = subscriptions.filter((_, i) => answers[i] === undefined);
    if (asked.length === 0) return this.#suback(packetId, answers as ReasonCode[]);
    (this.#pending ??= new Map()).set(packetId, answers);
    this.#session.subscribe(
      asked.map((each) => requestOf(each, subscriptionId, options.maxQos)),
      packetId,
    );
    return undefined;
  }

  /** See Consumer.subscribed. Returns why the connection must end, if it must. */
  subscribed(packetId: number, results: readonly SubscribeResult[]): DecodeError | undefined {
    const merged = this.#merge(
      packetId,
      results.map(({ outcome, guarantee }) => (outcome === Outcome.accepted ? guarantee : subscribeReason(outcome))), // [MQTT-3.8.4-7]
    );
    return merged === undefined ? undefined : this.#suback(packetId, merged);
  }

  /** Returns why the connection must end, if it must. */
  unsubscribe({ packetId, filters }: Unsubscribe): DecodeError | undefined {
    if (this.#pending?.has(packetId) === true) {
      if (this.#writer.version !== 5) return undefined;
      return this.#unsuback(packetId, this.#all(filters, ReasonCode.packetIdentifierInUse));
    }
    const { options } = this.#server;
    if (filters.length > options.maxSubscriptionsPerRequest) {
      return this.#unsuback(packetId, this.#all(filters, ReasonCode.implementationSpecificError));
    }
    (this.#pending ??= new Map()).set(packetId, this.#all<undefined>(filters, undefined));
    this.#session.unsubscribe(filters, packetId);
    return undefined;
  }

  /** See Consumer.unsubscribed. Returns why the connection must end, if it must. */
  unsubscribed(packetId: number, outcomes: readonly Outcome[]): DecodeError | undefined {
    const merged = this.#merge(
      packetId,
      outcomes.map((outcome) => (outcome === Outcome.accepted ? ReasonCode.success : unsubscribeReason(outcome))),
    );
    return merged === undefined ? undefined : this.#unsuback(packetId, merged);
  }

  /** The broker's answers in the places that were left for them. */
  #merge(packetId: number, decided: readonly ReasonCode[]): ReasonCode[] | undefined {
    const answers = this.#pending?.get(packetId);
    if (answers === undefined) return undefined;
    this.#pending!.delete(packetId);
    if (this.#pending!.size === 0) this.#pending = undefined;
    let next = 0;
    return answers.map((answer) => answer ?? decided[next++] ?? ReasonCode.unspecifiedError);
  }

  /** [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.8.4-6] */
  #suback(packetId: number, reasons: readonly ReasonCode[]): DecodeError | undefined {
    for (const reason of reasons) if (reason >= 0x80) this.#server.counters.subscriptionsRefused[reason]!++;
    return this.#writer.suback(packetId, reasons) ? undefined : tooLargeToAnswer();
  }

  /** [MQTT-3.10.4-4] [MQTT-3.10.4-5] */
  #unsuback(packetId: number, reasons: readonly ReasonCode[]): DecodeError | undefined {
    // Before version 5 an UNSUBACK only says yes: what it would not be true of must not be acknowledged.
    if (this.#writer.version !== 5 && reasons.some((reason) => reason >= 0x80 && reason !== ReasonCode.topicFilterInvalid)) {
      return new DecodeError(ReasonCode.unspecifiedError, 'an unsubscribe could not be carried out');
    }
    return this.#writer.unsuback(packetId, reasons) ? undefined : tooLargeToAnswer();
  }

  #all<Reason>(filters: readonly unknown[], reason: Reason): Reason[] {
    return filters.map(() => reason);
  }
}

function tooLargeToAnswer(): DecodeError {
  return new DecodeError(ReasonCode.packetTooLarge, 'the answer is larger than the client allows');
}

/** What MQTT refuses by itself. */
function refusalOf({ filter }: Subscription, subscriptionId: number, options: MqttOptions): ReasonCode | undefined {
  const competing = filter.startsWith('$share/') || filter.startsWith('$queue/');
  if (competing && !options.sharedSubscriptionsAvailable) return ReasonCode.sharedSubscriptionsNotSupported;
  if (subscriptionId !== 0 && !options.subscriptionIdentifiersAvailable) return ReasonCode.subscriptionIdentifiersNotSupported;
  if (!options.wildcardSubscriptionsAvailable && hasWildcard(filter)) return ReasonCode.wildcardSubscriptionsNotSupported;
  // Nearly all filters are short: only the others need to be measured.
  if (filter.length * 3 > options.maxTopicBytes && Buffer.byteLength(filter) > options.maxTopicBytes) return ReasonCode.topicFilterInvalid;
  return undefined;
}

/** A QoS that is not offered is granted as the highest that is [MQTT-3.2.2-10]. */
function requestOf(subscription: Subscription, subscriptionId: number, maxQos: 0 | 1 | 2): SubscribeRequest {
  return {
    filter: subscription.filter,
    guarantee: Math.min(subscription.qos, maxQos) as 0 | 1 | 2,
    noLocal: subscription.noLocal,
    retainAsPublished: subscription.retainAsPublished,
    retainHandling: retainHandlings[subscription.retainHandling],
    subscriptionId,
  };
}
