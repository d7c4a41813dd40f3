// The client's end of CoAP over UDP, as plain as RFC 7252 allows: one confirmable request at a time (NSTART), retransmission,
// deduplication of what the node sends, tokens. What it asks for and hears is its roles' affair.

import type { CoapMessage, CoapOption } from '../../src/protocols/coap/codec/message.ts';
import { decodeUdp, emptyMessage, encodeUdp, isCoap, MessageType, type UdpMessage } from '../../src/protocols/coap/codec/udp.ts';
import { between } from '../random-choices.ts';
import type { World } from '../world.ts';
import { SimDatagrams } from './sim-datagrams.ts';

export type Request = {
  readonly code: number;
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;
  readonly confirmable: boolean;
};

export type Answer = CoapMessage | 'reset' | 'timeout';

type Waiting = {
  readonly messageId: number;
  readonly answer: (answer: Answer) => void;
  /** Sent again: its number of datagrams so far. */
  readonly sentAgain: () => void;
  acknowledged: boolean;
};

/** Longer than any message may wait for an answer whose request was acknowledged. */
const answerMs = 60_000;
/** RFC 7252 §4.8. */
const ackTimeoutMs = 2000;
const maxRetransmit = 4;
const exchangeLifetimeMs = 247_000;

export class SimCoapClient {
  readonly name: string;
  readonly world: World;
  readonly datagrams: SimDatagrams;
  /** Counts its lives: a device that has lost power knows nothing of before. */
  life = 1;
  readonly reboots: (() => void)[] = [];
  readonly #waiting = new Map<string, Waiting>();
  /** Message ids that were heard of each life of the node, and what was answered: a new one may begin where the last has been. */
  #heard = new Map<number, Uint8Array | undefined>();
  #messageId: number;
  #token = 0;

  constructor(world: World, name: string, port: number) {
    this.world = world;
    this.name = name;
    this.datagrams = new SimDatagrams(world, name, port, (bytes) => this.#receive(bytes));
    this.#messageId = world.random.below(65_536);
  }

  /** What a scenario does to every client's connection. */
  readonly link = {
    client: this,
    set stalled(on: boolean) {
      this.client.datagrams.silent = on;
    },
    unstall(): void {
      this.client.datagrams.silent = false;
    },
  };

  connect(): void {}

  /** Loses power, and has it back at once. Its message ids begin anywhere; nobody answers what it had asked. */
  drop(): void {
    this.life++;
    this.#waiting.clear();
    this.#heard = new Map();
    this.#messageId = this.world.random.below(65_536);
    this.#token += 1 + this.world.random.below(1000);
    for (const reboot of this.reboots) reboot();
  }

  /** A token that was never used before. */
  newToken(): Uint8Array {
    const token = ++this.#token;
    return Uint8Array.of(token >>> 16, token >>> 8, token);
  }

  /** Whether it waits for an answer to a token. */
  awaits(token: Uint8Array): boolean {
    return this.#waiting.has(keyOf(token));
  }

  forget(token: Uint8Array): void {
    this.#waiting.delete(keyOf(token));
  }

  /** `answer` is called for every answer with the token, until it is forgotten; `sentAgain` with each retransmission. */
  send(request: Request, token: Uint8Array, answer: (answer: Answer) => void, sentAgain: () => void = () => {}): void {
    const messageId = (this.#messageId = (this.#messageId + 1) & 0xffff);
    const type = request.confirmable ? MessageType.confirmable : MessageType.nonConfirmable;
    const bytes = encodeUdp(type, messageId, request.code, token, request.options, request.payload);
    const waiting: Waiting = { messageId, answer, sentAgain, acknowledged: !request.confirmable };
    this.#waiting.set(keyOf(token), waiting);
    this.datagrams.send(bytes);
    if (request.confirmable) this.#again(keyOf(token), waiting, bytes, between(this.world.random, ackTimeoutMs, 1.5 * ackTimeoutMs), 0);
    else this.#giveUp(keyOf(token), waiting);
  }

  #again(key: string, waiting: Waiting, bytes: Uint8Array, afterMs: number, times: number): void {
    this.world.after(afterMs, () => {
      if (this.#waiting.get(key) !== waiting || waiting.acknowledged) return;
      if (times === maxRetransmit) return this.#end(key, waiting, 'timeout');
      waiting.sentAgain();
      this.datagrams.send(bytes);
      this.#again(key, waiting, bytes, 2 * afterMs, times + 1);
    });
  }

  /** An answer that does not come is not waited for for ever. */
  #giveUp(key: string, waiting: Waiting): void {
    this.world.after(answerMs, () => this.#end(key, waiting, 'timeout'));
  }

  #end(key: string, waiting: Waiting, why: 'timeout' | 'reset'): void {
    if (this.#waiting.get(key) !== waiting) return;
    this.#waiting.delete(key);
    waiting.answer(why);
  }

  #receive(bytes: Uint8Array): void {
    if (!isCoap(bytes)) return;
    const message = decodeUdp(bytes);
    if (message === undefined) throw new Error(`${this.name} cannot read what the node sent`);
    const { type, code, messageId } = message;
    if (type === MessageType.acknowledgement || type === MessageType.reset) this.#acknowledged(message);
    if (type === MessageType.reset || code === 0) return;
    if (type !== MessageType.acknowledgement && this.#isRepeated(messageId)) return;
    const waiting = this.#waiting.get(keyOf(message.token));
    if (type === MessageType.confirmable) {
      this.#reply(messageId, emptyMessage(waiting === undefined ? MessageType.reset : MessageType.acknowledgement, messageId));
    } else if (type === MessageType.nonConfirmable) {
      // The ids of acknowledgements are the client's own.
      this.#remember(messageId, waiting === undefined ? this.#reset(messageId) : undefined);
    }
    // A confirmable request is acknowledged by its answer, too (RFC 7252 §4.2).
    if (waiting !== undefined) waiting.acknowledged = true;
    waiting?.answer(message);
  }

  #acknowledged({ type, messageId, code }: UdpMessage): void {
    for (const [key, waiting] of this.#waiting) {
      if (waiting.messageId !== messageId) continue;
      if (type === MessageType.reset) return this.#end(key, waiting, 'reset');
      if (!waiting.acknowledged && code === 0) this.#giveUp(key, waiting);
      waiting.acknowledged = true;
    }
  }

  /** What the node repeats is answered as before, and heard once (RFC 7252 §4.2). */
  #isRepeated(messageId: number): boolean {
    const key = this.#heardKey(messageId);
    if (!this.#heard.has(key)) return false;
    const reply = this.#heard.get(key);
    if (reply !== undefined) this.datagrams.send(reply);
    return true;
  }

  #reply(messageId: number, reply: Uint8Array): void {
    this.#remember(messageId, reply);
    this.datagrams.send(reply);
  }

  #reset(messageId: number): Uint8Array {
    const reset = emptyMessage(MessageType.reset, messageId);
    this.datagrams.send(reset);
    return reset;
  }

  #remember(messageId: number, reply: Uint8Array | undefined): void {
    const heard = this.#heard;
    const key = this.#heardKey(messageId);
    heard.set(key, reply);
    this.world.after(exchangeLifetimeMs, () => heard.delete(key));
  }

  #heardKey(messageId: number): number {
    return this.world.crashes * 65_536 + messageId;
  }
}

function keyOf(token: Uint8Array): string {
  return Buffer.from(token).toString('hex');
}
