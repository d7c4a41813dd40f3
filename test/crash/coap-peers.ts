// Clients of CoAP over UDP: confirmable POST with and without an idempotency key, last values, and a queue from which messages are
// fetched. Strangers' keys are known as long as the broker lives (docs/durability.md), so nothing is exactly once here.

import { createSocket, type Socket } from 'node:dgram';
import { Code, OptionNumber, optionValue, textOption, type CoapMessage, type CoapOption } from '../../src/protocols/coap/codec/index.ts';
import { decodeUdp, emptyMessage, encodeUdp, isCoap, MessageType } from '../../src/protocols/coap/codec/index.ts';
import type { SentMessage } from '../../sim/facts.ts';
import { chance, pick } from '../../sim/random-choices.ts';
import { Got, Letters, sleep, type Peers, type Surroundings } from './peers.ts';

/** Shorter than RFC 7252 has it: here nothing is lost but what a dead broker did not read. */
const firstAgainMs = 150;
const maxAgain = 4;
const rememberedTokens = 1000;
const tryAgainMs = 60;
const everyMs = 15;
const queueWaitSec = 1;
const noBytes = new Uint8Array(0);

type Asking = { readonly query?: readonly string[]; readonly payload?: Uint8Array; readonly again?: () => void; readonly waitMs?: number };
type Waiting = { readonly messageId: number; answer(message: CoapMessage | undefined): void; isAcknowledged: boolean };

class CoapClient {
  readonly name: string;
  readonly #port: number;
  readonly #socket: Socket = createSocket('udp4');
  readonly #waiting = new Map<string, Waiting>();
  /** Answered: what comes again is acknowledged again. */
  readonly #done = new Set<string>();
  #messageId: number;
  #token: number;
  #isLeft = false;

  constructor(port: number, name: string, { random, facts }: Surroundings) {
    this.#port = port;
    this.name = name;
    this.#messageId = random.below(0x10000);
    this.#token = random.below(0x10000) * 0x10000;
    this.#socket.on('error', () => {});
    this.#socket.on('message', (bytes) => {
      const message = isCoap(bytes) ? decodeUdp(bytes) : undefined;
      if (message === undefined) facts.complain(`MISTAKE: ${name} cannot read a datagram`);
      else this.#heard(message);
    });
  }

  /** A confirmable request. Undefined: nobody knows what became of it. */
  async ask(code: number, path: readonly string[], asking: Asking = {}): Promise<CoapMessage | undefined> {
    const options: CoapOption[] = path.map((segment) => textOption(OptionNumber.uriPath, segment));
    for (const each of asking.query ?? []) options.push(textOption(OptionNumber.uriQuery, each));
    const answer = await this.#exchange(code, options, asking);
    const echo = answer?.code === Code.unauthorized ? optionValue(answer.options, OptionNumber.echo) : undefined;
    // RFC 9175 §2.3: it wants to know whether this address hears it.
    if (echo === undefined) return answer;
    return this.#exchange(code, [...options, { number: OptionNumber.echo, value: echo }], asking);
  }

  async #exchange(code: number, options: readonly CoapOption[], asking: Asking): Promise<CoapMessage | undefined> {
    const messageId = (this.#messageId = (this.#messageId + 1) & 0xffff);
    const token = Buffer.alloc(4);
    token.writeUInt32BE(++this.#token >>> 0);
    const key = token.toString('hex');
    const bytes = encodeUdp(MessageType.confirmable, messageId, code, token, options, asking.payload ?? noBytes);
    const answered = Promise.withResolvers<CoapMessage | undefined>();
    const waiting: Waiting = { messageId, answer: answered.resolve, isAcknowledged: false };
    this.#waiting.set(key, waiting);
    this.#send(bytes);
    void this.#repeat(key, bytes, waiting, asking);
    const answer = await answered.promise;
    this.#waiting.delete(key);
    if (answer !== undefined) this.#done.add(key);
    if (this.#done.size > rememberedTokens) for (const oldest of this.#done) if (this.#done.delete(oldest)) break;
    return answer;
  }

  async #repeat(key: string, bytes: Uint8Array, waiting: Waiting, { again, waitMs = 1000 }: Asking): Promise<void> {
    for (let i = 0; i < maxAgain && !waiting.isAcknowledged; i++) {
      await sleep(firstAgainMs * 2 ** i);
      if (this.#waiting.get(key) !== waiting) return;
      if (waiting.isAcknowledged) break;
      again?.();
      this.#send(bytes);
    }
    await sleep(waitMs);
    waiting.answer(undefined);
  }

  #heard({ type, messageId, code, token, options, payload }: CoapMessage & { type: number; messageId: number }): void {
    if (type === MessageType.acknowledgement || type === MessageType.reset) {
      for (const waiting of this.#waiting.values()) {
        if (waiting.messageId !== messageId) continue;
        waiting.isAcknowledged = true;
        if (type === MessageType.reset) waiting.answer(undefined);
      }
    }
    if (code === 0) return;
    const key = Buffer.from(token).toString('hex');
    const waiting = this.#waiting.get(key);
    if (type === MessageType.confirmable) {
      const isKnown = waiting !== undefined || this.#done.has(key);
      this.#send(emptyMessage(isKnown ? MessageType.acknowledgement : MessageType.reset, messageId));
    }
    if (waiting !== undefined) waiting.isAcknowledged = true;
    waiting?.answer({ code, token, options, payload: Uint8Array.from(payload) });
  }

  #send(bytes: Uint8Array): void {
    if (!this.#isLeft) this.#socket.send(bytes, this.#port, '127.0.0.1', () => {});
  }

  leave(): void {
    this.#isLeft = true;
    this.#socket.close();
  }
}

abstract class CoapRole {
  readonly client: CoapClient;
  readonly around: Surroundings;
  isStopped = false;
  isOver = false;

  constructor(client: CoapClient, around: Surroundings) {
    this.client = client;
    this.around = around;
  }

  abstract run(): Promise<void>;
  abstract readonly isIdle: boolean;
}

const sentTo = ['t/a', 't/b', 't/c', '$queue/stomp-q', '$queue/http-q', '$queue/coap-q'];

/**
 * One message after the other, each until it is answered (NSTART). All have a key, or none: with one they are delivered exactly once to who
 * can, and nobody promises an order between those and others.
 */
class CoapPublisher extends CoapRole {
  readonly #letters: Letters;
  readonly #hasKeys: boolean;
  isIdle = false;

  constructor(client: CoapClient, hasKeys: boolean, around: Surroundings) {
    super(client, around);
    this.#hasKeys = hasKeys;
    this.#letters = new Letters(client.name, around);
  }

  async run(): Promise<void> {
    const { random } = this.around;
    while (!this.isStopped) {
      await this.#publish(this.#letters.next(pick(random, sentTo), 1));
      await sleep(random.below(2 * everyMs));
    }
    this.isIdle = true;
  }

  async #publish(message: SentMessage): Promise<void> {
    const { topic, key } = message;
    const path = topic.startsWith('$queue/') ? ['q', topic.slice('$queue/'.length)] : ['t', ...topic.split('/')];
    const asking = {
      query: this.#hasKeys ? [`mid=${key}`] : [],
      payload: this.#letters.payloadOf(message),
      again: () => void message.attempts++,
    };
    for (; !this.isOver; message.attempts++) {
      const answer = await this.client.ask(Code.post, path, asking);
      if (answer?.code === Code.changed) return this.#letters.acknowledged(message);
      if (answer !== undefined && answer.code !== Code.serviceUnavailable) {
        return this.#letters.refused(message, `${answer.code >>> 5}.${answer.code & 31} ${Buffer.from(answer.payload).toString()}`);
      }
      await sleep(tryAgainMs);
    }
  }
}

class CoapConsumer extends CoapRole {
  readonly #got: Got;
  readonly #queue: string;
  readonly isIdle = true;

  constructor(client: CoapClient, queue: string, around: Surroundings) {
    super(client, around);
    this.#queue = queue;
    this.#got = new Got(client.name, `$queue/${queue}`, around);
    this.#got.subscribed();
  }

  async run(): Promise<void> {
    while (!this.isOver) {
      const answer = await this.client.ask(Code.get, ['q', this.#queue], { query: [`wait=${queueWaitSec}`], waitMs: queueWaitSec * 2000 });
      if (answer?.code === Code.content) this.#got.take(`$queue/${this.#queue}`, answer.payload, false);
      else await sleep(answer?.code === Code.notFound ? 0 : tryAgainMs);
    }
  }
}

/** Sets one value after the other, and reads what there is: never an older one than the last that was acknowledged. */
class CoapValue extends CoapRole {
  readonly #topic: readonly string[];
  #sent = 0;
  #acknowledged = 0;
  reads = 0;
  isIdle = false;

  constructor(client: CoapClient, topic: string, around: Surroundings) {
    super(client, around);
    this.#topic = ['t', ...topic.split('/')];
  }

  async run(): Promise<void> {
    const { random } = this.around;
    while (!this.isStopped) {
      if (chance(random, 0.5)) await this.#read();
      else await this.#set();
      await sleep(random.below(4 * everyMs));
    }
    await this.#read();
    this.isIdle = true;
  }

  async #set(): Promise<void> {
    const value = ++this.#sent;
    while (!this.isOver) {
      const answer = await this.client.ask(Code.put, this.#topic, { payload: Buffer.from(String(value)) });
      if (answer?.code === Code.changed || answer?.code === Code.created) {
        if (answer.code === Code.created && this.#acknowledged > 0) this.#complain(`was created anew by #${value}`);
        this.#acknowledged = value;
        return this.around.moments.now('acknowledgement');
      }
      await sleep(tryAgainMs);
    }
  }

  async #read(): Promise<void> {
    const atLeast = this.#acknowledged;
    const answer = await this.client.ask(Code.get, this.#topic);
    if (answer === undefined || answer.code === Code.serviceUnavailable) return;
    this.reads++;
    const value = answer.code === Code.notFound ? 0 : Number(Buffer.from(answer.payload).toString());
    if (value < atLeast) this.#complain(`is #${value}, though #${atLeast} was acknowledged`);
    else if (!(value <= this.#sent)) this.#complain(`is #${value} (${answer.code}), but only #${this.#sent} was sent`);
  }

  #complain(what: string): void {
    this.around.facts.complain(`RETAINED: ${this.#topic.join('/')} of CoAP ${what}`);
  }
}

export class CoapPeers implements Peers {
  readonly #roles: CoapRole[];
  readonly connections = 0;

  constructor(port: number, around: Surroundings) {
    const client = (name: string): CoapClient => new CoapClient(port, name, around);
    this.#roles = [
      new CoapPublisher(client('coap-pub0'), true, around),
      new CoapPublisher(client('coap-pub1'), false, around),
      new CoapConsumer(client('coap-worker'), 'coap-q', around),
      new CoapValue(client('coap-value'), 'value/coap', around),
    ];
  }

  start(): void {
    for (const role of this.#roles) void role.run();
  }

  stop(): void {
    for (const role of this.#roles) role.isStopped = true;
  }

  /** There is nothing to cut. */
  cutOne(): void {}

  get isIdle(): boolean {
    return this.#roles.every(({ isIdle }) => isIdle);
  }

  problems(): string[] {
    return this.#roles.filter(({ isIdle }) => !isIdle).map(({ client }) => `STUCK: ${client.name} has not come to rest`);
  }

  leave(): void {
    for (const role of this.#roles) {
      role.isOver = true;
      role.client.leave();
    }
  }
}
