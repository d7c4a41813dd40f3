// A device that observes a topic (RFC 7641): it registers again from time to time, for a node that has lost power knows of no
// observer, and takes notifications only in the order of their numbers.

import { Code, type CoapMessage, type CoapOption } from '../../src/protocols/coap/codec/message.ts';
import { OptionNumber, optionValue, textOption, textValue, uintOption, uintValue } from '../../src/protocols/coap/codec/index.ts';
import type { Facts, SubscriberFacts } from '../facts.ts';
import { between } from '../random-choices.ts';
import type { Answer, SimCoapClient } from './sim-coap-client.ts';

const fromText = new TextDecoder();
/** RFC 7641 §3.4: after so long a lower number is newer all the same. */
const wrapMs = 128_000;

export class SimCoapObserver {
  untilMs = Infinity;
  readonly #client: SimCoapClient;
  readonly #facts: Facts;
  readonly #subscriber: SubscriberFacts;
  #token: Uint8Array | undefined;
  #registrations = 0;
  #newest = -1;
  #newestAtMs = 0;

  constructor(client: SimCoapClient, facts: Facts, subscriber: SubscriberFacts) {
    this.#client = client;
    this.#facts = facts;
    this.#subscriber = subscriber;
    client.reboots.push(() => {
      this.#token = undefined;
      this.#newest = -1;
      this.register();
    });
  }

  /** Registers, now and again and again, until `untilMs`. */
  begin(): void {
    if (this.#client.world.nowMs > this.untilMs) return;
    this.register();
    this.#client.world.after(between(this.#client.world.random, 2000, 10_000), () => this.begin());
  }

  get isRegistered(): boolean {
    return this.#token !== undefined && this.#subscriber.subscribedAtMs !== undefined;
  }

  register(): void {
    // RFC 7641 §3.3.1: with the same token it is the same observation, if the node still knows it.
    if (this.#token === undefined) {
      this.#registrations++;
      this.#subscriber.subscribedAtMs = undefined;
    }
    const token = (this.#token ??= this.#client.newToken());
    const options: CoapOption[] = [uintOption(OptionNumber.observe, 0)];
    for (const segment of ['t', ...this.#subscriber.filter.split('/')]) options.push(textOption(OptionNumber.uriPath, segment));
    const request = { code: Code.get, options, payload: new Uint8Array(0), confirmable: this.#subscriber.qos > 0 };
    this.#client.send(request, token, (answer) => this.#heard(token, answer));
  }

  #heard(token: Uint8Array, answer: Answer): void {
    if (token !== this.#token) return;
    if (answer === 'reset' || answer === 'timeout') return;
    const observe = optionValue(answer.options, OptionNumber.observe);
    if (observe === undefined) {
      // The observation is over, or never was: the next registration comes by itself.
      this.#client.forget(token);
      this.#token = undefined;
      return;
    }
    this.#subscriber.subscribedAtMs ??= this.#client.world.nowMs;
    this.#notified(answer, uintValue(observe));
  }

  #notified(answer: CoapMessage, sequence: number): void {
    const { nowMs } = this.#client.world;
    if (!this.#isNewer(sequence, nowMs)) return;
    this.#newest = sequence;
    this.#newestAtMs = nowMs;
    const key = fromText.decode(answer.payload).split('|')[0]!;
    if (key === '') return;
    const { filter, qos } = this.#subscriber;
    const topic = filter.includes('#') ? topicOf(answer) : filter;
    // The state of the topic at the time: what was retained.
    if (this.#facts.sent.get(key)?.retain === true) return;
    // What a node had not made durable when it lost power its publisher sends again: it is heard twice.
    const connection = this.#registrations + this.#client.world.crashes * 1000;
    this.#subscriber.received.push({ key, topic, qos, dup: false, connection, atMs: nowMs });
  }

  /** RFC 7641 §3.4. */
  #isNewer(sequence: number, nowMs: number): boolean {
    if (this.#newest < 0) return true;
    const ahead = (sequence - this.#newest) & 0xffffff;
    return (ahead > 0 && ahead < 0x800000) || nowMs > this.#newestAtMs + wrapMs;
  }
}

/** Notifications of many topics say of which they are. */
function topicOf({ options }: CoapMessage): string {
  const path = options.filter(({ number }) => number === OptionNumber.locationPath).map(({ value }) => textValue(value));
  return path.slice(1).join('/');
}
