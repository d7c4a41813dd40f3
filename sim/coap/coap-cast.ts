// Who speaks CoAP in a mixed history, and what they do: over a network that loses, repeats and reorders.

import type { Qos } from '../../src/protocols/mqtt/codec/index.ts';
import type { Cast } from '../cast.ts';
import type { Facts, SubscriberFacts } from '../facts.ts';
import { between, pick } from '../random-choices.ts';
import type { World } from '../world.ts';
import { SimCoapClient } from './sim-coap-client.ts';
import { SimCoapConsumer } from './sim-coap-consumer.ts';
import { SimCoapObserver } from './sim-coap-observer.ts';
import { SimCoapPublisher } from './sim-coap-publisher.ts';

/** Of the calm: longer than observers wait between two registrations. */
const registeringMs = 60_000;
const topics = ['t/a', 't/b', 't/c', '$queue/dead'];

export class CoapCast implements Cast {
  readonly clients: SimCoapClient[] = [];
  readonly #world: World;
  readonly #facts: Facts;
  readonly #publishers: SimCoapPublisher[] = [];
  readonly #observers: SimCoapObserver[] = [];
  readonly #consumers: SimCoapConsumer[] = [];

  constructor(world: World, facts: Facts) {
    this.#world = world;
    this.#facts = facts;
    for (let i = 0; i < 2; i++) this.#publishers.push(new SimCoapPublisher(this.#client(`coap-pub${i}`), facts));
    this.#observer('coap-obs-one', 't/a', 1);
    this.#observer('coap-obs-all', 't/#', 1);
    this.#observer('coap-obs-zero', 't/b', 0);
    for (let i = 0; i < 2; i++) this.#consumer(`coap-worker${i}`);
  }

  #client(name: string): SimCoapClient {
    const client = new SimCoapClient(this.#world, name, 40_000 + this.clients.length);
    this.clients.push(client);
    return client;
  }

  #subscriber(clientId: string, filter: string, qos: Qos, group: string | undefined): SubscriberFacts {
    const facts: SubscriberFacts = {
      clientId,
      version: 5,
      filter,
      qos,
      durable: false,
      group,
      subscribedAtMs: undefined,
      received: [],
    };
    this.#facts.subscribers.push(facts);
    return facts;
  }

  #observer(name: string, filter: string, qos: Qos): void {
    this.#observers.push(new SimCoapObserver(this.#client(name), this.#facts, this.#subscriber(name, filter, qos, undefined)));
  }

  #consumer(name: string): void {
    this.#consumers.push(new SimCoapConsumer(this.#client(name), 'field', this.#subscriber(name, '$queue/field', 1, 'field')));
  }

  traffic(untilMs: number): void {
    const { random } = this.#world;
    for (const publisher of this.#publishers) {
      const step = (): void => {
        if (this.#world.nowMs > untilMs) return;
        publisher.publish(pick(random, [...topics, '$queue/field']), random.below(3) as Qos);
        this.#world.after(between(random, 1, 600), step);
      };
      this.#world.after(between(random, 0, 1000), step);
    }
    for (const observer of this.#observers) observer.begin();
    for (const consumer of this.#consumers) consumer.begin();
  }

  calm(): void {
    // Each registration brings all last values again: at the end none is to be on its way.
    for (const observer of this.#observers) observer.untilMs = this.#world.nowMs + registeringMs;
    for (const { datagrams } of this.clients) Object.assign(datagrams.weather, { lost: 0, repeated: 0, late: 0 });
  }

  problems(): string[] {
    const problems: string[] = [];
    this.#publishers.forEach((publisher, i) => {
      if (!publisher.isIdle) problems.push(`STUCK: coap-pub${i} still waits for an answer after the calm`);
    });
    for (const observer of this.#observers) {
      if (!observer.isRegistered) problems.push('STUCK: an observer is not registered after the calm');
    }
    if (this.clients.some(({ datagrams }) => datagrams.carried === 0)) problems.push('STUCK: a CoAP client was never heard');
    return problems;
  }
}
