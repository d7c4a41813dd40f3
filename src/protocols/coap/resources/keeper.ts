// What CoAP must not forget over a restart of the node, as retained messages below `$coap/`: nobody else may publish there
// (security.ts, nodePrincipal), and who may subscribe there may see it. One for each tenant.

import { type CloseReason, type Consumer, Outcome, type Session, type SubscribeResult } from '../../../broker/port.ts';
import { defaultPriority, Message } from '../../../message/message.ts';
import { nodePrincipal } from '../../../security/security.ts';
import { noBytes, textBytes } from '../codec/index.ts';
import type { House } from './house.ts';

/** `name` is one level: what is behind `$coap/<kind>/`. */
export type Kept = { readonly kind: string; readonly name: string; readonly payload: Uint8Array };

const filter = '$coap/#';

export class Keeper implements Consumer {
  readonly congested = false;
  readonly #house: House;
  readonly #tenant: string;
  readonly #found: (kept: Kept) => void;
  #session: Session | undefined = undefined;
  #isLoaded = false;
  #isOpening = false;
  /** Who wants to know whether it could be read. */
  #waiting: ((isLoaded: boolean) => void)[] = [];
  readonly #writes = new Map<number, (outcome: Outcome) => void>();
  #nextWrite = 1;

  /** `found` is called for what there is, before `whenLoaded` answers. */
  constructor(house: House, tenant: string, found: (kept: Kept) => void) {
    this.#house = house;
    this.#tenant = tenant;
    this.#found = found;
  }

  /** Answers now or later; false: it cannot be read just now. */
  whenLoaded(task: (isLoaded: boolean) => void): void {
    if (this.#isLoaded && this.#session !== undefined) return task(true);
    this.#waiting.push(task);
    if (this.#isOpening) return;
    this.#isOpening = true;
    this.#house.broker.attach(
      {
        principal: nodePrincipal(this.#tenant, '$coap'),
        clientId: '$coap/keeper',
        protocol: 'CoAP',
        remoteAddress: '',
        listener: '',
        cleanStart: true,
        sessionExpiryMs: 0,
        will: undefined,
        receiveMaximum: 1,
        maxPacketBytes: Infinity,
      },
      this,
    );
  }

  /** Keeps it, or with an empty payload forgets it. `done`: accepted when it is durable. Only after it was loaded. */
  write(kind: string, name: string, payload: Uint8Array, expiresAtMs: number, done: (outcome: Outcome) => void): void {
    this.#publish(`$coap/${kind}/${name}`, payload, expiresAtMs, done);
  }

  /** Clears the last value of any topic: what it was the data of is no more. */
  clear(topic: string): void {
    this.#publish(topic, noBytes, 0, () => {});
  }

  #publish(topic: string, payload: Uint8Array, expiresAtMs: number, done: (outcome: Outcome) => void): void {
    const session = this.#session;
    if (session === undefined) return done(Outcome.unavailable);
    const topicBytes = textBytes(topic);
    const address = session.address(topic, topicBytes);
    const nowMs = this.#house.clock.wallMs();
    const token = this.#nextWrite++;
    const outcome = session.publish(
      address,
      new Message(topic, topicBytes, payload, 0, payload.length, 1, true, defaultPriority, expiresAtMs, nowMs, '$coap', undefined),
      token,
    );
    if (outcome === Outcome.pending) this.#writes.set(token, done);
    else done(outcome);
  }

  close(): void {
    const session = this.#session;
    this.#end();
    session?.detach(false);
  }

  #end(): void {
    this.#session = undefined;
    this.#isOpening = false;
    const writes = [...this.#writes.values()];
    this.#writes.clear();
    for (const done of writes) done(Outcome.unavailable);
    this.#answer(false);
  }

  #answer(isLoaded: boolean): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const task of waiting) task(isLoaded);
  }

  attached(_outcome: Outcome, session: Session | undefined): void {
    this.#session = session;
    if (session === undefined) return this.#house.later(() => this.#end());
    this.#house.later(() => {
      const terms = { guarantee: 0, noLocal: true, retainAsPublished: true, retainHandling: 'always', subscriptionId: 0 } as const;
      if (!this.#isLoaded) this.#session?.subscribe([{ filter, ...terms, retainedOnly: true }], 0);
      else this.#isThere();
    });
  }

  subscribed(_token: number, results: readonly SubscribeResult[]): void {
    this.#house.later(() => {
      if (results[0]!.outcome === Outcome.accepted) this.#session?.drain();
      else this.close();
    });
  }

  /** All there is has been told. */
  drained(): void {
    this.#house.later(() => this.#isThere());
  }

  #isThere(): void {
    if (this.#session === undefined) return;
    this.#isLoaded = true;
    this.#isOpening = false;
    this.#answer(true);
  }

  send(message: Message): boolean {
    const [, kind, name] = message.topic.split('/');
    if (kind !== undefined && name !== undefined) this.#found({ kind, name, payload: new Uint8Array(message.payload()) });
    return true;
  }

  published(token: number, outcome: Outcome): void {
    const done = this.#writes.get(token);
    this.#writes.delete(token);
    done?.(outcome);
  }

  detached(_reason: CloseReason): void {
    this.#end();
  }

  transfer(): boolean {
    return false;
  }

  unsubscribed(): void {}
  releaseDelivery(): void {}
  released(): void {}
  hold(): void {}
}
