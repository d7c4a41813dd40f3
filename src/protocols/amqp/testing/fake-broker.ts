// A broker that does as a test says, and writes down in words what it is asked. It keeps to the contract of port.ts: it never
// answers a publish from within `publish`, calls no consumer after `detach`, and notices who calls it while it calls.

import type {
  Address,
  AttachRequest,
  BrokerPort,
  Consumer,
  Session,
  Settlement,
  SettlementDetail,
  SubscribedFilter,
  SubscribeRequest,
  Transaction,
  UnsettledDelivery,
} from '../../../broker/port.ts';
import { Outcome } from '../../../broker/port.ts';
import type { Message } from '../../../message/message.ts';
import type { Principal } from '../../../security/security.ts';

export class FakeBroker implements BrokerPort {
  /** What was asked, in order. */
  readonly calls: string[] = [];
  readonly requests: AttachRequest[] = [];
  readonly sessions: FakeSession[] = [];
  /** `later`: the test answers by `answerAttach`. */
  attachAnswer: Outcome | 'later' = Outcome.accepted;
  sessionPresent = false;
  /** What new sessions do; a test may change a session's own. */
  script: Partial<FakeSession['script']> = {};
  /** A call of a consumer is under way, from which it must not call back. */
  inConsumer = false;
  readonly #waiting: [AttachRequest, Consumer][] = [];

  attach(request: AttachRequest, consumer: Consumer): void {
    if (this.inConsumer) throw new Error('attach from within a call of a consumer');
    this.requests.push(request);
    const expiry = request.sessionExpiryMs === 0 ? '' : ` expiry=${request.sessionExpiryMs}`;
    this.calls.push(
      `attach ${request.clientId}${request.cleanStart ? ' clean' : ''}${expiry}${request.partOf === undefined ? '' : ' part'}`,
    );
    if (this.attachAnswer === 'later') this.#waiting.push([request, consumer]);
    else this.#answer(request, consumer, this.attachAnswer);
  }

  /** An attach has not been answered. */
  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  answerAttach(outcome: Outcome = Outcome.accepted): void {
    const [request, consumer] = this.#waiting.shift()!;
    this.#answer(request, consumer, outcome);
  }

  /** The session that was opened last. */
  get session(): FakeSession {
    return this.sessions.at(-1)!;
  }

  takeCalls(): string[] {
    return this.calls.splice(0);
  }

  /** A call of a consumer, from which it must not call back. */
  inCall<T>(call: () => T): T {
    const before = this.inConsumer;
    this.inConsumer = true;
    try {
      return call();
    } finally {
      this.inConsumer = before;
    }
  }

  #answer(request: AttachRequest, consumer: Consumer, outcome: Outcome): void {
    if (outcome !== Outcome.accepted) {
      this.inCall(() => consumer.attached(outcome, undefined, false));
      return;
    }
    const session = new FakeSession(this, request, consumer);
    Object.assign(session.script, this.script);
    this.sessions.push(session);
    session.isAttaching = true;
    this.inCall(() => consumer.attached(outcome, session, this.sessionPresent));
    session.isAttaching = false;
  }
}

export class FakeSession implements Session {
  readonly clientId: string;
  readonly sessionExpiryMs: number;
  principal: Principal;
  readonly consumer: Consumer;
  addressVersion = 1;
  messages: Message[] = [];
  /** Within Consumer.attached, where some calls are allowed. */
  isAttaching = false;
  /** What the broker answers. */
  readonly script = {
    publish: Outcome.accepted as Outcome,
    address: (topic: string): Outcome => (topic.startsWith('forbidden') ? Outcome.notAuthorized : Outcome.accepted),
    release: Outcome.accepted as Outcome,
    tags: [] as readonly string[],
    unsettled: [] as readonly UnsettledDelivery[],
    /** `later`: the test answers. */
    subscribe: Outcome.accepted as Outcome | 'later',
    subscribed: [] as readonly SubscribedFilter[],
    sharedFilters: [] as readonly string[],
    settle: true,
    temporary: 'tmp-1' as string | undefined,
    begin: Outcome.notSupported as Outcome | Transaction,
  };
  readonly #broker: FakeBroker;
  #attached = true;

  constructor(broker: FakeBroker, request: AttachRequest, consumer: Consumer) {
    this.#broker = broker;
    this.clientId = request.clientId;
    this.principal = request.principal;
    this.sessionExpiryMs = request.sessionExpiryMs;
    this.consumer = consumer;
  }

  get isAttached(): boolean {
    return this.#attached;
  }

  renew(principal: Principal): void {
    this.#asked(`renew ${principal.roles.join(' ')}`);
    this.principal = principal;
  }

  address(topic: string, topicBytes: Uint8Array): Address {
    this.#asked(`address ${topic}`);
    return { topic, topicBytes: new Uint8Array(topicBytes), outcome: this.script.address(topic) };
  }

  publish(address: Address, message: Message, token: number, tag?: string): Outcome {
    const text = Buffer.from(message.payload()).toString();
    const id = message.guarantee === 0 ? '' : ` token=${token}`;
    const named = tag === undefined ? '' : ` tag=${tag}`;
    this.#asked(`publish q${message.guarantee} ${address.topic} ${JSON.stringify(text)}${message.retain ? ' retain' : ''}${id}${named}`);
    this.messages.push(message.kept());
    return this.script.publish;
  }

  release(_token: number, tag?: string): Outcome {
    this.#asked(`release ${tag}`);
    return this.script.release;
  }

  publishedTags(): readonly string[] {
    return this.script.tags;
  }

  subscribed(): readonly SubscribedFilter[] {
    return this.script.subscribed;
  }

  lastValue(_topic: string, answer: (outcome: Outcome, message: undefined) => void): void {
    answer(Outcome.accepted, undefined);
  }

  sharedFilters(): readonly string[] {
    return this.script.sharedFilters;
  }

  subscribe(requests: readonly SubscribeRequest[], token: number): void {
    this.#asked(`subscribe ${requests.map((one) => one.filter).join(', ')}`);
    const { subscribe } = this.script;
    if (subscribe === 'later') return;
    const results = requests.map(({ guarantee }) => ({ outcome: subscribe, guarantee }));
    this.#broker.inCall(() => this.consumer.subscribed(token, results));
  }

  unsubscribe(filters: readonly string[]): void {
    this.#asked(`unsubscribe ${filters.join(', ')}`);
  }

  settle(deliveryId: number, settlement: Settlement, detail?: SettlementDetail): boolean {
    if (!this.isAttaching) this.#asked(`settle ${deliveryId} ${settlement}${detail === undefined ? '' : ` ${JSON.stringify(detail)}`}`);
    return this.script.settle;
  }

  unsettled(): readonly UnsettledDelivery[] {
    return this.script.unsettled;
  }

  resume(): void {
    this.#asked('resume');
  }

  drain(): void {
    this.#asked('drain');
  }

  createTemporary(kind: 'queue' | 'topic'): string | undefined {
    this.#asked(`create temporary ${kind}`);
    return this.script.temporary;
  }

  removeTemporary(name: string): void {
    this.#asked(`remove temporary ${name}`);
  }

  begin(): Transaction | Outcome {
    this.#asked('begin');
    return this.script.begin;
  }

  detach(publishWill: boolean, sessionExpiryMs?: number): void {
    if (this.#broker.inConsumer && !this.isAttaching) throw new Error('detach from within a call of a consumer');
    if (!this.#attached) throw new Error('detached twice');
    this.#attached = false;
    const expiry = sessionExpiryMs === undefined ? '' : ` expiry=${sessionExpiryMs}`;
    this.#broker.calls.push(`detach ${this.clientId}${publishWill ? ' will' : ''}${expiry}`);
  }

  /** The broker ends it. */
  expel(reason: Parameters<Consumer['detached']>[0]): void {
    this.#attached = false;
    this.#broker.inCall(() => this.consumer.detached(reason));
  }

  #asked(call: string): void {
    if (this.#broker.inConsumer) throw new Error(`${call}: from within a call of a consumer`);
    if (!this.#attached) throw new Error(`${call}: after detach`);
    this.#broker.calls.push(call);
  }
}
