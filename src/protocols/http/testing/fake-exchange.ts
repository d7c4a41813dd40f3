// Requests without a socket: what a test sends, and what it is answered, on a real broker.

import type { AnswerHeaders, AnswerStream, HttpExchange, HttpPeer, HttpVisit } from '../../http-exchange.ts';
import type { WireFacts } from '../../protocol.ts';
import { SeededRandom } from '../../../base/random.ts';
import { silentLog } from '../../../base/log.ts';
import { allowAll, TestBroker, type TestBrokerOptions } from '../../../broker/testing/test-broker.ts';
import type { Method, Security } from '../../../security/security.ts';
import { testHttpOptions, type HttpOptions } from '../options.ts';
import { HttpServer } from '../server.ts';

const decoder = new TextDecoder();

export class FakeStream implements AnswerStream {
  text = '';
  ended: 'end' | 'abort' | undefined = undefined;
  pendingBytes = 0;
  onDrained: (() => void) | undefined = undefined;

  write(part: Uint8Array | string): void {
    this.text += typeof part === 'string' ? part : decoder.decode(part);
  }

  end(): void {
    this.ended = 'end';
  }

  abort(): void {
    this.ended = 'abort';
  }

  /** Events, without comments and what is for browsers. */
  get events(): { id: string | undefined; data: Record<string, unknown> }[] {
    return this.text
      .split('\n\n')
      .filter((block) => block.includes('data: '))
      .map((block) => ({
        id: /^id: (.*)$/m.exec(block)?.[1],
        data: JSON.parse(/^data: (.*)$/m.exec(block)![1]!) as Record<string, unknown>,
      }));
  }

  get payloads(): unknown[] {
    return this.events.map(({ data }) => data['payload']);
  }
}

export class FakeExchange implements HttpExchange {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly rawHeaders: readonly string[];
  onClosed: (() => void) | undefined = undefined;
  status: number | undefined = undefined;
  headers: AnswerHeaders = {};
  text = '';
  bytes: Uint8Array = new Uint8Array(0);
  answers = 0;
  streamed: FakeStream | undefined = undefined;
  readonly #body: Uint8Array;

  constructor(method: string, target: string, headers: Readonly<Record<string, string | readonly string[]>>, body: Uint8Array | string) {
    const [path = '', ...query] = target.split('?');
    this.method = method;
    this.path = path;
    this.query = query.join('?');
    this.rawHeaders = Object.entries({ Host: 'localhost:8443', ...headers }).flatMap(([name, value]) =>
      (typeof value === 'string' ? [value] : value).flatMap((each) => [name, each]),
    );
    this.#body = typeof body === 'string' ? new TextEncoder().encode(body) : body;
  }

  get json(): Record<string, unknown> {
    return JSON.parse(this.text) as Record<string, unknown>;
  }

  get problem(): string {
    return String(this.json['type']).replace('urn:heliograph:problem:', '');
  }

  header(name: string): string | undefined {
    const values = this.rawHeaders.filter((_, i) => i % 2 === 1 && this.rawHeaders[i - 1]!.toLowerCase() === name);
    return values.length === 0 ? undefined : values.join(', ');
  }

  readWhole(maxBytes: number, done: (body: Uint8Array | 'large') => void): void {
    done(this.#body.length > maxBytes ? 'large' : this.#body);
  }

  answer(status: number, headers: AnswerHeaders, body: Uint8Array | string = ''): void {
    this.answers++;
    this.status = status;
    this.headers = headers;
    this.bytes = typeof body === 'string' ? new TextEncoder().encode(body) : new Uint8Array(body);
    this.text = typeof body === 'string' ? body : decoder.decode(body);
  }

  stream(status: number, headers: AnswerHeaders): AnswerStream {
    this.answers++;
    this.status = status;
    this.headers = headers;
    return (this.streamed = new FakeStream());
  }

  /** The peer goes. */
  close(): void {
    this.onClosed?.();
    this.onClosed = undefined;
  }
}

const facts: WireFacts = { listener: 'https', remoteAddress: '127.0.0.1', remotePort: 1, secure: true, peerCertificate: undefined };

export class FakePeer implements HttpPeer {
  readonly facts: WireFacts;
  readonly visit: HttpVisit;
  aborted = false;
  readonly #test: HttpTest;
  readonly #exchanges: FakeExchange[] = [];

  constructor(test: HttpTest, given: Partial<WireFacts>) {
    this.#test = test;
    this.facts = { ...facts, ...given };
    this.visit = test.server.visit(this);
  }

  abort(): void {
    this.aborted = true;
  }

  /** Without letting anything settle. */
  start(
    method: string,
    target: string,
    headers: Readonly<Record<string, string | readonly string[]>> = {},
    body: Uint8Array | string = '',
  ): FakeExchange {
    const exchange = new FakeExchange(method, target, headers, body);
    this.#exchanges.push(exchange);
    this.visit.request(exchange);
    return exchange;
  }

  send(
    method: string,
    target: string,
    headers: Readonly<Record<string, string | readonly string[]>> = {},
    body: Uint8Array | string = '',
  ): FakeExchange {
    const exchange = this.start(method, target, headers, body);
    this.#test.settle();
    return exchange;
  }

  stream(target: string, headers: Readonly<Record<string, string>> = {}): FakeExchange {
    return this.send('GET', target, { Accept: 'text/event-stream', ...headers });
  }

  close(): void {
    // What was answered is taken to be sent.
    for (const exchange of this.#exchanges) if (exchange.status === undefined || exchange.streamed !== undefined) exchange.close();
    this.visit.onClosed();
    this.#test.settle();
  }
}

export type HttpTestOptions = TestBrokerOptions & { readonly http?: Partial<HttpOptions>; readonly accepts?: readonly Method[] };

export class HttpTest {
  readonly broker: TestBroker;
  readonly server: HttpServer;

  constructor(broker: TestBroker, { http, security, accepts = ['anonymous'] }: HttpTestOptions) {
    this.broker = broker;
    this.server = new HttpServer({
      broker: broker.broker,
      security: security ?? allowAll,
      clock: broker.clock,
      random: new SeededRandom(7),
      log: silentLog,
      turn: broker.turn,
      timers: broker.broker.timers,
      accepts: () => accepts,
      product: { name: 'Heliograph', version: 'test' },
      options: { ...testHttpOptions, ...http },
    });
  }

  static async start(options: HttpTestOptions = {}): Promise<HttpTest> {
    return new HttpTest(await TestBroker.start(options), options);
  }

  /** After `kill -9`: what was durable is there, nothing else. */
  async restart(options: HttpTestOptions = {}): Promise<HttpTest> {
    return new HttpTest(await this.broker.restart(options), options);
  }

  connect(given: Partial<WireFacts> = {}): FakePeer {
    return new FakePeer(this, given);
  }

  settle(): void {
    this.broker.settle();
  }

  advance(ms: number): void {
    this.broker.advance(ms);
  }
}

export type SecurityChanges = Partial<Security>;

export function securityWith(changes: SecurityChanges): Security {
  return { ...allowAll, ...changes };
}
