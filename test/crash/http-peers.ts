// Clients of HTTP: POST with and without an Idempotency-Key, a queue whose messages are leased and acknowledged, and a named
// subscription that comes back with the last id that it has.

import { Agent, request, type ClientRequest, type IncomingMessage } from 'node:http';
import type { SentMessage } from '../../sim/facts.ts';
import { chance, pick } from '../../sim/random-choices.ts';
import { Got, Letters, sleep, type Peers, type Surroundings } from './peers.ts';

const tryAgainMs = 60;
const everyMs = 15;
const patienceMs = 5000;
const leaseMs = 3000;

type Answer = { readonly status: number; readonly body: Buffer };
type Asking = { readonly headers?: Record<string, string>; readonly body?: Uint8Array | string };

/** One connection at a time, that is cut now and then. */
class HttpClient {
  readonly name: string;
  connections = 0;
  readonly #port: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 2 });
  #open: ClientRequest | undefined;

  constructor(port: number, name: string) {
    this.#port = port;
    this.name = name;
  }

  begin(method: string, path: string, { headers = {} }: Asking): ClientRequest {
    const asked = request({ port: this.#port, host: '127.0.0.1', agent: this.#agent, method, path, headers });
    asked.on('response', () => {
      if (!asked.reusedSocket) this.connections++;
    });
    this.#open = asked;
    return asked;
  }

  /** Undefined: nobody knows what became of it. */
  ask(method: string, path: string, asking: Asking = {}): Promise<Answer | undefined> {
    const asked = this.begin(method, path, asking);
    return new Promise((resolve) => {
      asked.setTimeout(patienceMs, () => asked.destroy());
      asked.on('error', () => resolve(undefined));
      asked.on('close', () => resolve(undefined));
      asked.on('response', (answer: IncomingMessage) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('error', () => resolve(undefined));
        answer.on('end', () => resolve({ status: answer.statusCode!, body: Buffer.concat(parts) }));
      });
      asked.end(asking.body);
    });
  }

  cut(): void {
    this.#open?.destroy();
  }

  leave(): void {
    this.cut();
    this.#agent.destroy();
  }
}

/** Something that goes on until it is told to stop, and then comes to rest. */
abstract class HttpRole {
  readonly client: HttpClient;
  readonly around: Surroundings;
  isStopped = false;
  isOver = false;

  constructor(client: HttpClient, around: Surroundings) {
    this.client = client;
    this.around = around;
  }

  abstract run(): Promise<void>;
  abstract readonly isIdle: boolean;
}

const sentTo = ['t/a', 't/b', 't/c', '$queue/stomp-q', '$queue/http-q', '$queue/coap-q', '$queue/http-s1', '$queue/http-s2'];

/** One message after the other, each until it is answered. */
class HttpPublisher extends HttpRole {
  readonly #letters: Letters;
  isIdle = false;

  constructor(client: HttpClient, around: Surroundings) {
    super(client, around);
    this.#letters = new Letters(client.name, around);
  }

  async run(): Promise<void> {
    const { random } = this.around;
    while (!this.isStopped) {
      const message = this.#letters.next(pick(random, sentTo), chance(random, 0.5) ? 2 : 1);
      await this.#publish(message);
      await sleep(random.below(2 * everyMs));
    }
    this.isIdle = true;
  }

  async #publish(message: SentMessage): Promise<void> {
    const { topic, key, qos } = message;
    const path = topic.startsWith('$queue/') ? `/v1/queues/${topic.slice('$queue/'.length)}` : `/v1/topics/${topic}`;
    const headers = { 'Content-Type': 'text/plain', ...(qos === 2 && { 'Idempotency-Key': key }) };
    const body = this.#letters.payloadOf(message);
    for (; !this.isOver; message.attempts++) {
      const answer = await this.client.ask('POST', path, { headers, body });
      if (answer?.status === 202) {
        // Now and then its answer is doubted, and it is sent once more.
        if (qos === 2 && chance(this.around.random, 0.1) && message.acknowledgedAtMs === undefined) {
          this.#letters.acknowledged(message);
          continue;
        }
        return this.#letters.acknowledged(message);
      }
      if (answer !== undefined && answer.status !== 503) {
        return this.#letters.refused(message, `${answer.status} ${answer.body.toString()}`);
      }
      await sleep(tryAgainMs);
    }
  }
}

type Leased = { readonly topic: string; readonly payload: string; readonly delivery: string; readonly redelivered?: boolean };

class HttpConsumer extends HttpRole {
  readonly #got: Got;
  readonly #queue: string;
  isIdle = true;

  constructor(client: HttpClient, queue: string, around: Surroundings) {
    super(client, around);
    this.#queue = `/v1/queues/${queue}`;
    this.#got = new Got(client.name, `$queue/${queue}`, around);
    // A queue keeps what comes, whoever reads it.
    this.#got.subscribed();
  }

  async run(): Promise<void> {
    while (!this.isOver) {
      this.#got.connection = this.client.connections;
      const answer = await this.client.ask('POST', `${this.#queue}/receive?max=10&wait=1s&lease=${leaseMs / 1000}s`);
      if (answer?.status === 200) await this.#take((JSON.parse(answer.body.toString()) as { messages: Leased[] }).messages);
      else if (answer?.status !== 204) await this.#wonder(answer);
    }
  }

  async #wonder(answer: Answer | undefined): Promise<void> {
    if (answer !== undefined && answer.status !== 503)
      this.around.facts.complain(`MISTAKE: ${this.client.name} got ${answer.status} ${answer.body.toString()}`);
    await sleep(tryAgainMs);
  }

  async #take(messages: readonly Leased[]): Promise<void> {
    for (const { topic, payload, redelivered } of messages) this.#got.take(topic, Buffer.from(payload), redelivered === true);
    const deliveries = messages.map(({ delivery }) => delivery);
    const { random } = this.around;
    // Some are forgotten: their leases end.
    if (!this.isStopped && chance(random, 0.05)) return;
    const headers = { 'Content-Type': 'application/json' };
    // After a crash it may come again all the same (docs/durability.md).
    await this.client.ask('POST', `${this.#queue}/ack`, { headers, body: JSON.stringify({ deliveries }) });
  }
}

class HttpStream extends HttpRole {
  /** By filter, of which one has wildcards at most. */
  readonly #got: ReadonlyMap<string, Got>;
  readonly #name: string;
  #lastId = '';
  #acknowledgedId = '';
  #isOpen = false;

  constructor(client: HttpClient, name: string, filters: readonly string[], around: Surroundings) {
    super(client, around);
    this.#name = name;
    this.#got = new Map(filters.map((filter) => [filter, new Got(`${client.name} ${filter}`, filter, around)]));
  }

  get isIdle(): boolean {
    return this.#isOpen && this.#lastId === this.#acknowledgedId;
  }

  async run(): Promise<void> {
    void this.#acknowledge();
    while (!this.isOver) {
      await this.#follow();
      await sleep(tryAgainMs);
    }
  }

  /** Until the stream ends. */
  #follow(): Promise<void> {
    const headers = { Accept: 'text/event-stream', ...(this.#lastId !== '' && { 'Last-Event-ID': this.#lastId }) };
    const filters = [...this.#got.keys()].map((filter) => `&filter=${encodeURIComponent(filter)}`).join('');
    const asked = this.client.begin('GET', `/v1/topics?subscription=${this.#name}${filters}`, { headers });
    for (const got of this.#got.values()) got.connection++;
    return new Promise((resolve) => {
      asked.on('error', () => {});
      asked.on('close', () => {
        this.#isOpen = false;
        resolve();
      });
      asked.on('response', (answer: IncomingMessage) => {
        answer.on('error', () => {});
        if (answer.statusCode !== 200) {
          if (answer.statusCode !== 503) this.around.facts.complain(`MISTAKE: ${this.client.name} got ${answer.statusCode}`);
          answer.resume();
          return;
        }
        this.#isOpen = true;
        for (const got of this.#got.values()) got.subscribed();
        let rest = '';
        answer.setEncoding('utf8').on('data', (text: string) => {
          const events = (rest + text).split('\n\n');
          rest = events.pop()!;
          for (const event of events) this.#take(event);
        });
      });
      asked.end();
    });
  }

  #take(event: string): void {
    const id = /^id: (.*)$/m.exec(event)?.[1];
    const data = /^data: (.*)$/m.exec(event)?.[1];
    if (data === undefined) return;
    const { topic, payload, redelivered } = JSON.parse(data) as Leased;
    const got = this.#got.get(topic) ?? this.#got.values().next().value!;
    got.take(topic, Buffer.from(payload), redelivered === true);
    if (id !== undefined) this.#lastId = id;
  }

  /** Now and then, beside what Last-Event-ID says. */
  async #acknowledge(): Promise<void> {
    const { random } = this.around;
    while (!this.isOver) {
      await sleep(this.isStopped ? 100 : random.below(1500));
      const id = this.#lastId;
      if (!this.#isOpen || id === this.#acknowledgedId) continue;
      const answer = await this.client.ask('POST', `/v1/subscriptions/${this.#name}/ack?id=${encodeURIComponent(id)}`);
      if (answer?.status === 200) this.#acknowledgedId = id;
    }
  }
}

export class HttpPeers implements Peers {
  readonly #around: Surroundings;
  readonly #roles: HttpRole[] = [];

  constructor(port: number, around: Surroundings) {
    this.#around = around;
    const client = (name: string): HttpClient => new HttpClient(port, name);
    for (const name of ['http-pub0', 'http-pub1']) this.#roles.push(new HttpPublisher(client(name), around));
    this.#roles.push(new HttpConsumer(client('http-worker'), 'http-q', around));
    this.#roles.push(new HttpStream(client('http-stream'), 'crash', ['t/#', '$queue/http-s1', '$queue/http-s2'], around));
  }

  start(): void {
    for (const role of this.#roles) void role.run();
  }

  stop(): void {
    for (const role of this.#roles) role.isStopped = true;
  }

  cutOne(): void {
    pick(this.#around.random, this.#roles).client.cut();
  }

  get isIdle(): boolean {
    return this.#roles.every(({ isIdle }) => isIdle);
  }

  problems(): string[] {
    return this.#roles.filter(({ isIdle }) => !isIdle).map(({ client }) => `STUCK: ${client.name} has not come to rest`);
  }

  get connections(): number {
    return this.#roles.reduce((sum, { client }) => sum + client.connections, 0);
  }

  leave(): void {
    for (const role of this.#roles) {
      role.isOver = true;
      role.client.leave();
    }
  }
}
