// A house of resources over the real broker, with peers that a test speaks for.

import { silentLog } from '../../../../base/log.ts';
import { SeededRandom } from '../../../../base/random.ts';
import { allowAll, TestBroker, type TestBrokerOptions } from '../../../../broker/testing/test-broker.ts';
import type { PeerCertificate, Security } from '../../../../security/security.ts';
import { Code, codeNumber, type CoapOption, formatOptionWords, noBytes, OptionNumber, textBytes, uintBytes } from './words.ts';
import type {
  CoapPeer,
  CoapRequest,
  CoapResponse,
  NotificationResult,
  OscoreIdentity,
  OutgoingRequest,
  Reply,
  RequestFailure,
} from '../../exchange.ts';
import { House } from '../house.ts';
import type { ResourceOptions } from '../options.ts';
import type { Mount } from '../parts.ts';

export const testResourceOptions: ResourceOptions = {
  maxWaitingRequests: 4,
  maxWaitingPeerBytes: 4096,
  maxWaitingBytes: 8192,
  sessionIdleSec: 300,
  retryAfterSec: 5,
  maxObservationsPerPeer: 8,
  receiveMaximum: 4,
  maxWaitingNotifications: 3,
  confirmEverySec: 3600,
  maxAgeSec: 60,
  maxTopicBytes: 256,
  topicCacheEntries: 4,
  maxOnceKeys: 4,
  onceKeepSec: 300,
  maxQueueWaitSec: 60,
  maxWaitingReceivers: 4,
  maxQueuesPerPeer: 4,
  leaseSec: 30,
  maxLeaseSec: 3600,
  maxRegistrations: 10,
  maxRegistrationBytes: 1024,
  maxLifetimeSec: 1_000_000,
  commandTopic: 'dev/{ep}/command',
  commandKeepSec: 86_400,
  awakeSec: 93,
  maxPubsubTopics: 10,
};

export type TestHouseOptions = {
  readonly options?: Partial<ResourceOptions>;
  readonly security?: Security;
  readonly broker?: TestBrokerOptions;
  readonly mounts?: readonly Mount[];
};

export class TestHouse {
  readonly test: TestBroker;
  readonly house: House;

  constructor(test: TestBroker, { options, security, mounts }: TestHouseOptions) {
    this.test = test;
    this.house = new House({
      broker: test.broker,
      security: security ?? allowAll,
      clock: test.clock,
      random: new SeededRandom(1),
      log: silentLog,
      timers: test.broker.timers,
      later: (task) => test.turn.later(task),
      options: { ...testResourceOptions, ...options },
      ...(mounts && { mounts }),
    });
  }

  static async open(options: TestHouseOptions = {}): Promise<TestHouse> {
    const broker = { ...options.broker, ...(options.security && { security: options.security }) };
    return new TestHouse(await TestBroker.start(broker), options);
  }

  /** After `kill -9`. */
  async restart(options: TestHouseOptions = {}): Promise<TestHouse> {
    const broker = { ...options.broker, ...(options.security && { security: options.security }) };
    return new TestHouse(await this.test.restart(broker), options);
  }

  peer(options: Partial<TestPeer['is']> = {}): TestPeer {
    return new TestPeer(this, options);
  }

  settle(): void {
    this.test.settle();
  }
}

export type RequestWords = {
  readonly payload?: string | Uint8Array;
  readonly con?: boolean;
  readonly token?: string;
  readonly format?: number;
  readonly accept?: number;
  readonly observe?: number;
  readonly options?: readonly CoapOption[];
  readonly oscore?: OscoreIdentity;
  readonly isMulticast?: boolean;
  readonly isRest?: boolean;
};

type Sent = { readonly request: OutgoingRequest; readonly answer: (result: CoapResponse | RequestFailure) => void };

export class TestPeer implements CoapPeer {
  readonly is: { isReliable: boolean; isProven: boolean; pskIdentity?: string; certificate?: PeerCertificate; secure: boolean };
  readonly #house: TestHouse;
  readonly maxMessageBytes = 1152;
  closed = false;
  /** Requests that the house has sent to it. */
  readonly asked: Sent[] = [];
  #whenGone: (() => void)[] = [];
  #isGone = false;

  constructor(house: TestHouse, options: Partial<TestPeer['is']>) {
    this.#house = house;
    this.is = { isReliable: false, isProven: true, secure: true, ...options };
  }

  get isReliable(): boolean {
    return this.is.isReliable;
  }

  get isProven(): boolean {
    return this.is.isProven;
  }

  get facts() {
    const { secure, pskIdentity, certificate } = this.is;
    const facts = { listener: 'coaps', remoteAddress: '192.0.2.1', remotePort: 5684, secure, peerCertificate: certificate };
    return pskIdentity === undefined ? facts : { ...facts, pskIdentity };
  }

  request(request: OutgoingRequest, answer: (result: CoapResponse | RequestFailure) => void): () => void {
    const sent = { request, answer };
    this.asked.push(sent);
    return () => this.asked.splice(this.asked.indexOf(sent), 1);
  }

  whenGone(task: () => void): void {
    if (this.#isGone) task();
    else this.#whenGone.push(task);
  }

  close(): void {
    this.closed = true;
    this.gone();
  }

  gone(): void {
    this.#isGone = true;
    for (const task of this.#whenGone.splice(0)) task();
    this.#house.settle();
  }

  /** Sends a request and lets everything come to rest. `path` as in a URI, with its query. */
  ask(method: 'get' | 'post' | 'put' | 'delete' | 'fetch' | 'patch' | 'ipatch', path: string, words: RequestWords = {}): TestReply {
    const reply = this.askNow(method, path, words);
    this.#house.settle();
    return reply;
  }

  askNow(method: 'get' | 'post' | 'put' | 'delete' | 'fetch' | 'patch' | 'ipatch', path: string, words: RequestWords = {}): TestReply {
    const [where, query] = path.split('?') as [string, string?];
    const options: CoapOption[] = [...(words.options ?? [])];
    for (const segment of where.split('/').slice(1)) {
      options.push({ number: OptionNumber.uriPath, value: textBytes(decodeURIComponent(segment)) });
    }
    for (const argument of query === undefined ? [] : query.split('&')) {
      options.push({ number: OptionNumber.uriQuery, value: textBytes(decodeURIComponent(argument)) });
    }
    if (words.observe !== undefined) options.push({ number: OptionNumber.observe, value: uintBytes(words.observe) });
    if (words.format !== undefined) options.push({ number: OptionNumber.contentFormat, value: uintBytes(words.format) });
    if (words.accept !== undefined) options.push({ number: OptionNumber.accept, value: uintBytes(words.accept) });
    const payload = typeof words.payload === 'string' ? textBytes(words.payload) : (words.payload ?? noBytes);
    const request: CoapRequest = {
      message: {
        code: Code[method],
        token: textBytes(words.token ?? 'token'),
        options: options.toSorted((a, b) => a.number - b.number),
        payload,
      },
      peer: this,
      confirmable: words.con ?? true,
      isMulticast: words.isMulticast ?? false,
      ...(words.isRest && { isRest: true }),
      ...(words.oscore && { oscore: words.oscore }),
    };
    const reply = new TestReply(this.#house, this.isReliable);
    this.#house.house.handle(request, reply);
    return reply;
  }
}

type Notification = {
  readonly response: CoapResponse;
  readonly confirmable: boolean;
  readonly done: (result: NotificationResult) => void;
  isDone: boolean;
};

export class TestReply implements Reply {
  readonly #house: TestHouse;
  readonly #isReliable: boolean;
  response: CoapResponse | undefined = undefined;
  readonly notifications: Notification[] = [];
  #isNotified = false;
  #confirm: ((result: NotificationResult) => void) | undefined = undefined;
  onGone: (() => void) | undefined = undefined;

  constructor(house: TestHouse, isReliable: boolean) {
    this.#house = house;
    this.#isReliable = isReliable;
  }

  send(response: CoapResponse): void {
    this.response ??= response;
  }

  sendConfirmed(response: CoapResponse, done: (result: NotificationResult) => void): void {
    this.send(response);
    this.#confirm = done;
  }

  notify(response: CoapResponse, confirmable: boolean, done: (result: NotificationResult) => void): void {
    const isFirst = !this.#isNotified;
    this.#isNotified = true;
    const notification = { response, confirmable, done, isDone: false };
    this.notifications.push(notification);
    if (this.#isReliable || !confirmable || isFirst) {
      notification.isDone = true;
      done('sent');
    }
  }

  /** Something is to be acknowledged. */
  get isOwed(): boolean {
    return this.#confirm !== undefined || this.notifications.some(({ isDone }) => !isDone);
  }

  /** The peer's answer to the oldest confirmable that has none. */
  acknowledge(result: NotificationResult = 'acknowledged'): void {
    const confirm = this.#confirm;
    this.#confirm = undefined;
    if (confirm !== undefined) confirm(result);
    else {
      const next = this.notifications.find(({ isDone }) => !isDone);
      if (next === undefined) throw new Error('nothing to acknowledge');
      next.isDone = true;
      next.done(result);
    }
    this.#house.settle();
  }

  /** The peer takes no interest any more. */
  gone(): void {
    const task = this.onGone;
    this.onGone = undefined;
    task?.();
    this.#house.settle();
  }

  get code(): string | undefined {
    return this.response && codeNumber(this.response.code);
  }

  get payload(): string {
    return Buffer.from(this.response?.payload ?? noBytes).toString();
  }

  /** `2.05 Content-Format=50 {"a":1}` */
  get words(): string | undefined {
    return this.response && wordsOf(this.response);
  }

  /** Notifications so far: `CON 2.05 Observe=2 21.5`; forgets them. */
  heard(): string[] {
    return this.notifications.splice(0).map(({ response, confirmable }) => `${confirmable ? 'CON' : 'NON'} ${wordsOf(response)}`);
  }
}

export function wordsOf({ code, options, payload }: CoapResponse): string {
  const words = options.map(formatOptionWords);
  return [codeNumber(code), ...words, Buffer.from(payload).toString()].filter((word) => word !== '').join(' ');
}
