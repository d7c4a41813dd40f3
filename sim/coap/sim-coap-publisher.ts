// A device that publishes by CoAP: non-confirmable is at most once, confirmable at least once, confirmable with an idempotency key
// exactly once. What was not answered is sent again, in order, until it is.

import { Code } from '../../src/protocols/coap/codec/message.ts';
import { OptionNumber, textOption } from '../../src/protocols/coap/codec/index.ts';
import type { Qos } from '../../src/protocols/mqtt/codec/index.ts';
import type { Facts, SentMessage } from '../facts.ts';
import type { Answer, SimCoapClient } from './sim-coap-client.ts';

const queuePrefix = '$queue/';
const text = new TextEncoder();
const maxWaiting = 4;

export class SimCoapPublisher {
  readonly #client: SimCoapClient;
  readonly #facts: Facts;
  readonly #waiting: SentMessage[] = [];
  readonly #sequences = new Map<string, number>();
  #count = 0;

  constructor(client: SimCoapClient, facts: Facts) {
    this.#client = client;
    this.#facts = facts;
    client.reboots.push(() => this.#again());
  }

  get isIdle(): boolean {
    return this.#waiting.length === 0;
  }

  publish(topic: string, qos: Qos): void {
    if (this.#waiting.length >= maxWaiting) return;
    const { name, world } = this.#client;
    const sequence = (this.#sequences.get(topic) ?? 0) + 1;
    this.#sequences.set(topic, sequence);
    const message: SentMessage = {
      key: `${name}#${++this.#count}`,
      publisher: name,
      topic,
      sequence,
      qos,
      retain: false,
      sentAtMs: world.nowMs,
      acknowledgedAtMs: undefined,
      attempts: 1,
      refused: false,
      // Datagrams overtake each other.
      ...(qos === 0 && { isUnordered: true }),
    };
    this.#facts.sent.set(message.key, message);
    if (qos === 0) return this.#send(message, () => {});
    this.#waiting.push(message);
    if (this.#waiting.length === 1) this.#sendFirst();
  }

  #sendFirst(): void {
    const message = this.#waiting[0];
    if (message !== undefined) this.#send(message, (answer) => this.#answered(message, answer));
  }

  #send(message: SentMessage, answered: (answer: Answer) => void): void {
    const { topic, key, qos } = message;
    const isQueue = topic.startsWith(queuePrefix);
    const path = isQueue ? ['q', topic.slice(queuePrefix.length)] : ['t', ...topic.split('/')];
    const options = path.map((segment) => textOption(OptionNumber.uriPath, segment));
    if (qos === 2) options.push(textOption(OptionNumber.uriQuery, `mid=${key}`));
    const payload = text.encode(`${key}|${'x'.repeat(this.#client.world.random.below(200))}`);
    const request = { code: Code.post, options, payload, confirmable: qos > 0 };
    this.#client.send(request, this.#client.newToken(), answered, () => message.attempts++);
  }

  #answered(message: SentMessage, answer: Answer): void {
    if (this.#waiting[0] !== message) return;
    if (answer === 'reset' || answer === 'timeout') return this.#again();
    if (answer.code >>> 5 === 2) message.acknowledgedAtMs ??= this.#client.world.nowMs;
    else if (answer.code >>> 5 >= 4) message.refused = true;
    this.#waiting.shift();
    this.#sendFirst();
  }

  /** Nobody knows whether it was heard. */
  #again(): void {
    const message = this.#waiting[0];
    if (message === undefined) return;
    message.attempts++;
    this.#sendFirst();
  }
}
