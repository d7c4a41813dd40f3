// A broker that does as a test says, and writes down in words what it is asked. It keeps to the contract of port.ts: it never
// answers a publish from within `publish`, calls no consumer after `detach`, and answers each request once.

import type {
  Address,
  AttachRequest,
  BrokerPort,
  Consumer,
  Session,
  Settlement,
  UnsettledDelivery,
  SubscribeRequest,
  SubscribeResult,
} from '../../../broker/port.ts';
import { Outcome } from '../../../broker/port.ts';
import type { Message } from '../../../message/message.ts';
import type { Principal } from '../../../security/security.ts';

export class FakeBroker implements BrokerPort {
  /** What was asked, in order. */
  readonly calls: string[] = [];
  readonly sessions: FakeSession[] = [];
  /** `later`: the test answers by `answerAttach`. */
  attachAnswer: Outcome | 'later' = Outcome.accepted;
  sessionPresent = false;
  lastRequest: AttachRequest | undefined;
  /** What new sessions answer; a test may change a session's own. */
  script: Partial<FakeSession['script']> = {};
  #waiting: Consumer | undefined;

  attach(request: AttachRequest, consumer: Consumer): void {
    this.lastRequest = request;
    const expiry = request.sessionExpiryMs === 0 ? '' : ` expiry=${request.sessionExpiryMs}`;
    this.calls.push(`attach ${request.clientId}${request.cleanStart ? ' clean' : ''}${expiry}`);
    if (this.attachAnswer === 'later') this.#waiting = consumer;
    else this.#answer(consumer, this.attachAnswer);
  }

  answerAttach(outcome: Outcome = Outcome.accepted): void {
    const consumer = this.#waiting!;
    this.#waiting = undefined;
    this.#answer(consumer, outcome);
  }

  get session(): FakeSession {
    return this.sessions.at(-1)!;
  }

  takeCalls(): string[] {
    return this.calls.splice(0);
  }

  #answer(consumer: Consumer, outcome: Outcome): void {
    if (outcome !== Outcome.accepted) {
      consumer.attached(outcome, undefined, false);
      return;
    }
    const session = new FakeSession(this, this.lastRequest!, consumer);
    Object.assign(session.script, this.script);
    this.sessions.push(session);
    session.inCall(() => consumer.attached(outcome, session, this.sessionPresent));
  }
}

export class FakeSession implements Session {
  readonly clientId: string;
  readonly sessionExpiryMs: number;
  principal: Principal;
  readonly consumer: Consumer;
  addressVersion = 1;
  messages: Message[] = [];
  /** What the broker answers. */
  readonly script = {
    publish: Outcome.accepted as Outcome,
    address: (topic: string): Outcome => (topic.startsWith('forbidden') ? Outcome.notAuthorized : Outcome.accepted),
    release: Outcome.accepted as Outcome,
    /** undefined: the test answers itself. */
    subscribe: ((request) => ({ outcome: Outcome.accepted, guarantee: request.guarantee })) as
      | ((request: SubscribeRequest) => SubscribeResult)
      | undefined,
    unsubscribe: (() => Outcome.accepted) as ((filter: string) => Outcome) | undefined,
    settle: true,
  };
  readonly #broker: FakeBroker;
  #attached = true;
  #inConsumer = false;

  constructor(broker: FakeBroker, request: AttachRequest, consumer: Consumer) {
    this.#broker = broker;
    this.clientId = request.clientId;
    this.principal = request.principal;
    this.sessionExpiryMs = request.sessionExpiryMs;
    this.consumer = consumer;
  }

  /** A call of the consumer, from which it must not call back. */
  inCall<T>(call: () => T): T {
    this.#inConsumer = true;
    try {
      return call();
    } finally {
      this.#inConsumer = false;
    }
  }

  renew(principal: Principal): void {
    this.#asked(`renew ${principal.roles.join(' ')}`);
    this.principal = principal;
  }

  address(topic: string, topicBytes: Uint8Array): Address {
    this.#asked(`address ${topic}`);
    return { topic, topicBytes: new Uint8Array(topicBytes), outcome: this.script.address(topic) };
  }

  publish(address: Address, message: Message, token: number): Outcome {
    const text = Buffer.from(message.payload()).toString();
    const id = message.guarantee === 0 ? '' : ` token=${token}`;
    this.#asked(`publish q${message.guarantee} ${address.topic} ${JSON.stringify(text)}${message.retain ? ' retain' : ''}${id}`);
    this.messages.push(message.kept());
    return this.script.publish;
  }

  release(token: number): Outcome {
    this.#asked(`release ${token}`);
    return this.script.release;
  }

  subscribe(requests: readonly SubscribeRequest[], token: number): void {
    const words = requests.map(
      (each) =>
        `${each.filter} q${each.guarantee}${each.noLocal ? ' no-local' : ''}${each.retainAsPublished ? ' rap' : ''} ${each.retainHandling}${each.subscriptionId === 0 ? '' : ` id=${each.subscriptionId}`}`,
    );
    this.#asked(`subscribe ${words.join(', ')}`);
    const answer = this.script.subscribe;
    if (answer !== undefined) this.inCall(() => this.consumer.subscribed(token, requests.map(answer)));
  }

  subscribed(): readonly [] {
    return [];
  }

  lastValue(_topic: string, answer: (outcome: Outcome, message: undefined) => void): void {
    answer(Outcome.accepted, undefined);
  }

  sharedFilters(): readonly string[] {
    return [];
  }

  unsubscribe(filters: readonly string[], token: number): void {
    this.#asked(`unsubscribe ${filters.join(', ')}`);
    const answer = this.script.unsubscribe;
    if (answer !== undefined) this.inCall(() => this.consumer.unsubscribed(token, filters.map(answer)));
  }

  settle(deliveryId: number, settlement: Settlement): boolean {
    this.#asked(`settle ${deliveryId} ${settlement}`);
    return this.script.settle;
  }

  resume(): void {
    this.#asked('resume');
  }

  publishedTags(): readonly string[] {
    return [];
  }

  unsettled(): readonly UnsettledDelivery[] {
    return [];
  }

  drain(): void {
    this.#asked('drain');
  }

  createTemporary(kind: 'queue' | 'topic'): string | undefined {
    this.#asked(`create temporary ${kind}`);
    return undefined;
  }

  removeTemporary(name: string): void {
    this.#asked(`remove temporary ${name}`);
  }

  begin(): Outcome {
    this.#asked('begin');
    return Outcome.notSupported;
  }

  detach(publishWill: boolean, sessionExpiryMs?: number): void {
    if (this.#inConsumer && this.#broker.attachAnswer !== 'later') throw new Error('detach from within a call of the consumer');
    if (!this.#attached) throw new Error('detached twice');
    this.#attached = false;
    this.#broker.calls.push(`detach${publishWill ? ' will' : ''}${sessionExpiryMs === undefined ? '' : ` expiry=${sessionExpiryMs}`}`);
  }

  #asked(call: string): void {
    if (this.#inConsumer) throw new Error(`${call}: from within a call of the consumer`);
    if (!this.#attached) throw new Error(`${call}: after detach`);
    this.#broker.calls.push(call);
  }
}
