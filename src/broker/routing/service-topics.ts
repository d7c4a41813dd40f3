// Topics that are a question to the node instead of a message to subscribers: what is published below the first level of a
// service is handed to its handler, and the answer goes to sessions of the same principal alone, whoever else may listen there.

import type { Clock } from '../../base/clock.ts';
import type { Attributes, MessageId } from '../../message/attributes.ts';
import { Message, defaultPriority } from '../../message/message.ts';
import type { Principal } from '../../security/security.ts';
import type { ClientSession } from '../sessions/client-session.ts';
import { Outcome } from '../port.ts';
import type { TopicSpace } from './topic-space.ts';

/** A question, with everything that outlives the turn: nothing in it is a view of a read buffer. */
export type ServiceRequest = {
  readonly principal: Principal;
  readonly clientId: string;
  readonly remoteAddress: string;
  readonly topic: string;
  readonly payload: Uint8Array;
  /** Where the peer wants the answer; undefined: it has not said. */
  readonly replyTo: string | undefined;
  readonly correlation: MessageId | undefined;
};

export type Service = {
  /** With its `$`: `$enrol`. */
  readonly firstLevel: string;
  /** Questions that are not answered yet; beyond it publishers are refused (quota). Stops a flood that would pile up in memory. */
  readonly maxInFlight: number;
  readonly maxPayloadBytes: number;
  /** `done` must be called exactly once, when the question needs no more room. Must not throw. */
  handle(request: ServiceRequest, done: () => void): void;
};

export type ServiceCounters = { taken: number; refused: number; answers: number };

const text = new TextEncoder();

/** A service with the room that is left. */
export class OpenService {
  readonly service: Service;
  readonly counters: ServiceCounters = { taken: 0, refused: 0, answers: 0 };
  inFlight = 0;

  constructor(service: Service) {
    this.service = service;
  }

  /** A session asks. Nothing is kept of the question by the broker, so it is acknowledged when the service has taken it. */
  take(session: ClientSession, message: Message): Outcome {
    const outcome = this.#refusal(message);
    if (outcome !== undefined) {
      this.counters.refused++;
      return outcome;
    }
    this.counters.taken++;
    this.inFlight++;
    let isOpen = true;
    const done = (): void => {
      if (!isOpen) return;
      isOpen = false;
      this.inFlight--;
    };
    const { replyTo, correlation } = message.attributes ?? {};
    const request: ServiceRequest = {
      principal: session.principal,
      clientId: session.clientId,
      remoteAddress: session.attachment?.remoteAddress ?? '',
      topic: message.topic,
      payload: new Uint8Array(message.payload()),
      replyTo: replyTo?.kind === 'topic' ? replyTo.name : undefined,
      correlation,
    };
    this.service.handle(request, done);
    return Outcome.accepted;
  }

  #refusal(message: Message): Outcome | undefined {
    // A question is not a message that is stored once: what could be asked twice is not promised to be asked exactly once.
    if (message.guarantee === 2) return Outcome.notSupported;
    if (message.payloadBytes > this.service.maxPayloadBytes) return Outcome.tooLarge;
    return this.inFlight >= this.service.maxInFlight ? Outcome.quotaExceeded : undefined;
  }
}

export class ServiceTopics {
  readonly #services = new Map<string, OpenService>();
  readonly #clock: Clock;
  readonly #spaceOf: (tenant: string) => TopicSpace;

  constructor(clock: Clock, spaceOf: (tenant: string) => TopicSpace) {
    this.#clock = clock;
    this.#spaceOf = spaceOf;
  }

  get open(): Iterable<OpenService> {
    return this.#services.values();
  }

  /** From now on what is published below its first level is the service's. Addresses that peers hold already are not: call before they come. */
  register(service: Service): void {
    this.#services.set(service.firstLevel, new OpenService(service));
  }

  /** The service of a topic, if it is one's. */
  of(topic: string): OpenService | undefined {
    if (this.#services.size === 0 || topic.charCodeAt(0) !== 36) return undefined;
    const slash = topic.indexOf('/');
    return this.#services.get(slash === -1 ? topic : topic.slice(0, slash));
  }

  /**
   * Sends an answer, at most once and never kept, to the connected sessions of `principal` that subscribe to `topic`. Returns to
   * how many it went.
   */
  answer(
    principal: { readonly tenant: string; readonly id: string },
    topic: string,
    payload: Uint8Array,
    attributes?: Pick<Attributes, 'correlation' | 'contentType'>,
  ): number {
    const nowMs = this.#clock.wallMs();
    const bytes = text.encode(topic);
    const message = new Message(topic, bytes, payload, 0, payload.length, 0, false, defaultPriority, 0, nowMs, '$SYS', attributes);
    let sent = 0;
    for (const { session, subscriptionIds } of this.#spaceOf(principal.tenant).route(topic).targets) {
      // By id: sessions of one principal may stand for it with different facts. Ids are unique within the tenant.
      if (session.principal.id !== principal.id || !session.connected) continue;
      session.send(message, false, subscriptionIds);
      sent++;
    }
    const service = this.of(topic);
    if (service !== undefined) service.counters.answers++;
    return sent;
  }
}
