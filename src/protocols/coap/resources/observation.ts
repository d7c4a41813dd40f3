// One observation (RFC 7641): what one token of a peer is told of the messages that match a filter.
//
// At most one notification is under way. What comes meanwhile waits: deliveries above at-most-once all of them (the broker bounds how
// many: receiveMaximum), others up to a limit, the newest of each last value alone (RFC 7641 §4.5).

import { Code, type CoapOption, hasOption, noBytes, OptionNumber, sameBytes, uintBytes, uintOption } from '../codec/index.ts';
import type { CoapRequest, CoapResponse, NotificationResult, Reply } from '../exchange.ts';
import { notAcceptable } from './answers.ts';
import type { Client } from './client.ts';
import { isAcceptable } from './convert.ts';
import type { Delivery } from './observations.ts';
import { type Representation, maxAgeOption } from './representation.ts';

/** What is observed is the last value alone (the pub/sub draft): other messages are not told, and it ends when there is none. */
export type ValueTerms = {
  readonly ended: () => void;
  readonly cleared: CoapResponse;
  readonly confirmEverySec: number | undefined;
};

/** RFC 7641 §4.5: at least every 24 hours it is asked whether the observer is there. */
const longestUnconfirmedMs = 86_400_000;
const noTags: readonly Uint8Array[] = [];

type Waiting = { readonly shown: Representation; readonly delivery: Delivery | undefined };

export class Observation {
  readonly filter: string;
  /** 1: each notification is confirmable, and settles what it delivers when it is acknowledged. */
  readonly guarantee: 0 | 1;
  readonly token: Uint8Array;
  readonly client: Client;
  readonly #reply: Reply;
  readonly #accept: number;
  /** It matches several topics: each notification says which. */
  readonly #tellsTopic: boolean;
  /** It takes messages from a queue that others have, too. */
  readonly #isShared: boolean;
  /** Of values that the observer has already (RFC 7641 §3.3). */
  readonly #tags: readonly Uint8Array[];
  readonly #value: ValueTerms | undefined;
  #waiting: Waiting[] = [];
  /** The first notification has gone out. */
  #isStarted = false;
  #isBusy = false;
  #underWay: Delivery | undefined = undefined;
  #confirmedAtMs: number;
  ended = false;
  readonly #done = (result: NotificationResult): void => this.#notified(result);

  constructor(
    client: Client,
    filter: string,
    guarantee: 0 | 1,
    tellsTopic: boolean,
    isShared: boolean,
    request: CoapRequest,
    reply: Reply,
    accept: number,
    value: ValueTerms | undefined,
  ) {
    this.client = client;
    this.filter = filter;
    this.guarantee = guarantee;
    this.token = request.message.token;
    this.#tellsTopic = tellsTopic;
    this.#isShared = isShared;
    const { options } = request.message;
    const hasTags = hasOption(options, OptionNumber.etag);
    this.#tags = hasTags ? options.filter(({ number }) => number === OptionNumber.etag).map(({ value }) => value) : noTags;
    this.#reply = reply;
    this.#accept = accept;
    this.#value = value;
    this.#confirmedAtMs = client.house.clock.monotonicMs();
  }

  get isStarted(): boolean {
    return this.#isStarted;
  }

  /** The first notification: the last value (its entity-tag with it), or nothing but that it is observed. */
  start(first: Representation | undefined, etag: Uint8Array | undefined): void {
    this.#isStarted = true;
    this.#isBusy = true;
    const isShown = first !== undefined && isAcceptable(this.#accept, first.format);
    const isKnown = etag !== undefined && this.#tags.some((tag) => sameBytes(tag, etag));
    const response = !isShown ? this.#empty() : isKnown ? this.#valid(first, etag) : this.#responseOf(first, etag);
    this.#reply.notify(response, this.guarantee === 1, this.#done);
  }

  push(shown: Representation, delivery: Delivery | undefined): void {
    const { counters, options } = this.client.house;
    if (this.#value !== undefined && (!shown.isState || shown.payload.length === 0)) {
      delivery?.settle();
      if (shown.isState) this.client.observations.remove(this, this.#value.cleared);
      return;
    }
    if (!isAcceptable(this.#accept, shown.format)) {
      counters.notificationsNotAcceptable++;
      if (!this.#isShared && this.#value === undefined) return delivery?.settle();
      // RFC 7641 §4.2. What nobody gets of a queue is others'.
      this.client.observations.remove(this, notAcceptable);
      return delivery?.drop();
    }
    if (this.#isStarted && !this.#isBusy) return this.#send(shown, delivery);
    if (delivery === undefined && !this.#makeRoom(shown, options.maxWaitingNotifications)) return;
    this.#waiting.push({ shown, delivery });
  }

  /** What is not delivered any more; undefined: the peer knows, or is not there. */
  end(response: CoapResponse | undefined): void {
    if (this.ended) return;
    this.ended = true;
    this.#reply.onGone = undefined;
    this.#value?.ended();
    this.#underWay?.drop();
    this.#underWay = undefined;
    for (const { delivery } of this.#waiting) delivery?.drop();
    this.#waiting = [];
    if (response !== undefined) this.#reply.send(response);
  }

  /** Nobody waits for it any more. */
  set whenGone(task: () => void) {
    this.#reply.onGone = task;
  }

  #makeRoom(shown: Representation, limit: number): boolean {
    const { counters } = this.client.house;
    const waiting = this.#waiting;
    if (shown.isState) {
      const older = waiting.findIndex((one) => one.delivery === undefined && one.shown.isState && one.shown.topic === shown.topic);
      if (older >= 0) {
        waiting.splice(older, 1);
        counters.notificationsCoalesced++;
        return true;
      }
    }
    if (waiting.length < limit) return true;
    counters.notificationsDropped++;
    // The oldest that may be lost; when all that wait may not, the newcomer.
    const oldest = waiting.findIndex((one) => one.delivery === undefined);
    if (oldest < 0) return false;
    waiting.splice(oldest, 1);
    return limit > 0;
  }

  #send(shown: Representation, delivery: Delivery | undefined): void {
    const { house, peer } = this.client;
    const { counters, options } = house;
    this.#isBusy = true;
    this.#underWay = delivery;
    const nowMs = house.clock.monotonicMs();
    const everySec = this.#value?.confirmEverySec ?? options.confirmEverySec;
    // RFC 7641 §4.5: from time to time it is asked whether the observer is still interested; before that it may be a forged address.
    const confirmable =
      delivery !== undefined || !peer.isProven || nowMs - this.#confirmedAtMs >= Math.min(everySec * 1000, longestUnconfirmedMs);
    if (confirmable) {
      this.#confirmedAtMs = nowMs;
      counters.notificationsConfirmable++;
    } else counters.notificationsNonConfirmable++;
    this.#reply.notify(this.#responseOf(shown, undefined), confirmable, this.#done);
  }

  #notified(result: NotificationResult): void {
    if (this.ended) return;
    if (result === 'rejected' || result === 'lost') {
      this.client.house.counters.observationsEnded[result]++;
      this.client.observations.remove(this);
      return;
    }
    const delivery = this.#underWay;
    this.#underWay = undefined;
    // Settled, it makes room for a delivery that may come at once: behind those that wait.
    delivery?.settle();
    this.#isBusy = false;
    this.#sendNext();
  }

  #sendNext(): void {
    const nowMs = this.client.house.clock.wallMs();
    while (!this.#isBusy && !this.ended) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      const { shown, delivery } = next;
      if (shown.expiresAtMs > 0 && shown.expiresAtMs <= nowMs) {
        this.client.house.counters.notificationsDropped++;
        delivery?.settle();
      } else this.#send(shown, delivery);
    }
  }

  #empty(): CoapResponse {
    return { code: Code.content, options: [this.#sequence(), uintOption(OptionNumber.maxAge, 0)], payload: noBytes };
  }

  /** RFC 7252 §5.9.1.3: no payload, and nothing said about one. */
  #valid(shown: Representation, etag: Uint8Array): CoapResponse {
    const { options } = this.#responseOf({ ...shown, formatOption: undefined }, etag);
    return { code: Code.valid, options, payload: noBytes };
  }

  #responseOf(shown: Representation, etag: Uint8Array | undefined): CoapResponse {
    const { house } = this.client;
    const options: CoapOption[] = [];
    if (etag !== undefined) options.push({ number: OptionNumber.etag, value: etag });
    options.push(this.#sequence());
    if (this.#tellsTopic) for (const segment of shown.location) options.push(segment);
    if (shown.formatOption !== undefined) options.push(shown.formatOption);
    const maxAge = maxAgeOption(shown, house.clock.wallMs(), house.options.maxAgeSec);
    if (maxAge !== undefined) options.push(maxAge);
    return { code: Code.content, options, payload: shown.payload };
  }

  /** RFC 7641 §4.4: 24 bits that rise; one row for all observations of a peer, so that a token used again goes on. */
  #sequence(): CoapOption {
    return { number: OptionNumber.observe, value: uintBytes(this.client.nextSequence()) };
  }
}
