// Publishes of one session that wait for the store, and what each is answered then.

import { Outcome } from '../../../broker/port.ts';
import type { CoapResponse, Reply } from '../exchange.ts';
import type { House } from './house.ts';

type Pending = { readonly reply: Reply; readonly success: CoapResponse };

export class PendingAnswers {
  readonly #house: House;
  readonly #waiting = new Map<number, Pending>();
  #next = 1;

  constructor(house: House) {
    this.#house = house;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** For the next publish: given with it to the broker, and here to `decide`. */
  get token(): number {
    return this.#next;
  }

  /** A token that nobody waits for. */
  skip(): number {
    const token = this.#next;
    this.#next = (this.#next + 1) % 0x4000_0000;
    return token;
  }

  /** What the broker said of the publish with the present token. */
  decide(outcome: Outcome, reply: Reply, success: CoapResponse): void {
    if (outcome === Outcome.pending) {
      this.#waiting.set(this.skip(), { reply, success });
    } else this.#answer(outcome, reply, success);
  }

  /** See Consumer.published. */
  decided(token: number, outcome: Outcome): void {
    const pending = this.#waiting.get(token);
    if (pending === undefined) return;
    this.#waiting.delete(token);
    this.#answer(outcome, pending.reply, pending.success);
  }

  endAll(response: CoapResponse): void {
    for (const { reply } of this.#waiting.values()) this.#house.answer(reply, response);
    this.#waiting.clear();
  }

  #answer(outcome: Outcome, reply: Reply, success: CoapResponse): void {
    this.#house.answer(reply, outcome <= Outcome.noSubscribers ? success : this.#house.answers.failure(outcome));
  }
}
