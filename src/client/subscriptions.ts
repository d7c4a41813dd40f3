// Requests that are answered one by one, SUBSCRIBE and UNSUBSCRIBE, and the subscriptions that stand.

import type {
  Packet,
  Qos,
  ReasonCode,
  Subscribe,
  SubscribeProperties,
  Subscription,
  Unsubscribe,
  UnsubscribeProperties,
} from '../protocols/mqtt/codec/index.ts';
import type { ClientError } from './client-error.ts';
import type { PacketIds } from './packet-ids.ts';

/** What to subscribe to. All but the first two: version 5. */
export type SubscriptionRequest = {
  readonly filter: string;
  readonly qos: Qos;
  readonly noLocal?: boolean;
  readonly retainAsPublished?: boolean;
  /** 0: send retained messages, 1: only if the subscription is new, 2: do not. */
  readonly retainHandling?: 0 | 1 | 2;
};

type Request = {
  readonly packet: ({ readonly type: 'subscribe' } & Subscribe) | ({ readonly type: 'unsubscribe' } & Unsubscribe);
  /** Restores what stood before; nobody asked for it. */
  readonly again: boolean;
  readonly resolve: (reasons: readonly ReasonCode[]) => void;
  readonly reject: (error: ClientError) => void;
};

type Standing = { readonly subscription: Subscription; readonly properties: SubscribeProperties | undefined };

type Send = (packet: Packet) => void;

export class Subscriptions {
  readonly #ids: PacketIds;
  readonly #requests = new Map<number, Request>();
  readonly #standing = new Map<string, Standing>();
  #send: Send | undefined;

  constructor(ids: PacketIds) {
    this.#ids = ids;
  }

  /** A connection is there. A server that has forgotten the session is told again what it should send. */
  attach(send: Send, sessionPresent: boolean): void {
    this.#send = send;
    if (!sessionPresent) this.#subscribeAgain();
    for (const { packet } of this.#requests.values()) send(packet);
  }

  detach(): void {
    this.#send = undefined;
  }

  /** Resolves with the server's code for each, in order: below 0x80 the QoS that is granted. */
  subscribe(requests: readonly SubscriptionRequest[], properties?: SubscribeProperties): Promise<readonly ReasonCode[]> {
    const subscriptions = requests.map((request) => ({ noLocal: false, retainAsPublished: false, retainHandling: 0 as const, ...request }));
    return this.#request({ type: 'subscribe', packetId: this.#ids.take(), subscriptions, properties });
  }

  unsubscribe(filters: readonly string[], properties?: UnsubscribeProperties): Promise<readonly ReasonCode[]> {
    return this.#request({ type: 'unsubscribe', packetId: this.#ids.take(), filters, properties });
  }

  #request(packet: Request['packet']): Promise<readonly ReasonCode[]> {
    return new Promise((resolve, reject) => {
      this.#requests.set(packet.packetId, { packet, again: false, resolve, reject });
      this.#send?.(packet);
    });
  }

  /** SUBACK or UNSUBACK. Returns false when nobody asked. */
  answered(type: 'subscribe' | 'unsubscribe', packetId: number, reasons: readonly ReasonCode[]): boolean {
    const request = this.#requests.get(packetId);
    if (request?.packet.type !== type) return false;
    this.#requests.delete(packetId);
    this.#ids.free(packetId);
    const { packet, resolve } = request;
    if (packet.type === 'unsubscribe') {
      for (const filter of packet.filters) this.#standing.delete(filter);
    } else {
      for (const [i, subscription] of packet.subscriptions.entries()) {
        if ((reasons[i] ?? 0x80) < 0x80) this.#standing.set(subscription.filter, { subscription, properties: packet.properties });
      }
    }
    resolve(reasons);
    return true;
  }

  fail(error: ClientError): void {
    const all = [...this.#requests.values()];
    this.#requests.clear();
    for (const { reject } of all) reject(error);
  }

  /** One SUBSCRIBE for those that have the same properties. Nobody waits for the answer, but its identifier is taken until then. */
  #subscribeAgain(): void {
    for (const [packetId, { again }] of this.#requests) {
      if (!again) continue;
      this.#requests.delete(packetId);
      this.#ids.free(packetId);
    }
    for (const [properties, standing] of Map.groupBy(this.#standing.values(), (each) => each.properties)) {
      const packetId = this.#ids.take();
      const packet = { type: 'subscribe' as const, packetId, subscriptions: standing.map(({ subscription }) => subscription), properties };
      this.#requests.set(packetId, { packet, again: true, resolve: () => {}, reject: () => {} });
    }
  }
}
