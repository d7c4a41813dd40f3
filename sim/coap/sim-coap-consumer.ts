// A device that takes messages from a queue, one at a time: GET /q/<name> waits for one.

import { Code } from '../../src/protocols/coap/codec/message.ts';
import { OptionNumber, textOption } from '../../src/protocols/coap/codec/index.ts';
import type { SubscriberFacts } from '../facts.ts';
import type { Answer, SimCoapClient } from './sim-coap-client.ts';

const fromText = new TextDecoder();

export class SimCoapConsumer {
  readonly #client: SimCoapClient;
  readonly #queue: string;
  readonly #subscriber: SubscriberFacts;
  #token: Uint8Array | undefined;

  constructor(client: SimCoapClient, queue: string, subscriber: SubscriberFacts) {
    this.#client = client;
    this.#queue = queue;
    this.#subscriber = subscriber;
    client.reboots.push(() => this.begin());
  }

  begin(): void {
    const token = this.#client.newToken();
    this.#token = token;
    const options = [textOption(OptionNumber.uriPath, 'q'), textOption(OptionNumber.uriPath, this.#queue)];
    options.push(textOption(OptionNumber.uriQuery, 'wait=20'));
    const request = { code: Code.get, options, payload: new Uint8Array(0), confirmable: true };
    this.#client.send(request, token, (answer) => this.#heard(token, answer));
  }

  #heard(token: Uint8Array, answer: Answer): void {
    if (token !== this.#token) return;
    this.#client.forget(token);
    if (typeof answer !== 'string' && answer.code === Code.content && answer.payload.length > 0) this.#take(answer.payload);
    const { life, world } = this.#client;
    world.after(200, () => {
      if (life === this.#client.life && token === this.#token) this.begin();
    });
  }

  #take(payload: Uint8Array): void {
    const { nowMs } = this.#client.world;
    const key = fromText.decode(payload).split('|')[0]!;
    this.#subscriber.subscribedAtMs ??= nowMs;
    this.#subscriber.received.push({ key, topic: '$queue/field', qos: 1, dup: false, connection: this.#client.life, atMs: nowMs });
  }
}
