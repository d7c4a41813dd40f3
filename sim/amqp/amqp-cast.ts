// Who speaks AMQP in a mixed history, and what they do.

import type { AmqpOptions } from '../../src/protocols/amqp/options.ts';
import type { Qos } from '../../src/protocols/mqtt/codec/index.ts';
import type { Facts, SubscriberFacts } from '../facts.ts';
import { between, chance, pick } from '../random-choices.ts';
import type { World } from '../world.ts';
import { SimAmqpClient } from './sim-amqp-client.ts';
import { SimReceiver, type SimReceiverOptions } from './sim-receiver.ts';
import { SimSender } from './sim-sender.ts';
import { SimMover, SimTransactor } from './sim-transactions.ts';

export const amqpOptions: AmqpOptions = {
  containerId: 'sim',
  connectTimeoutMs: 10_000,
  maxFrameBytes: 4096,
  maxConnectFrameBytes: 1024,
  maxEarlyBytes: 16 * 1024,
  channelMax: 8,
  handleMax: 50,
  maxLinks: 50,
  idleTimeoutMs: 90_000,
  minPeerIdleTimeoutMs: 100,
  incomingWindow: 16,
  linkCredit: 6,
  maxMessageBytes: 64 * 1024,
  maxIncompleteBytes: 64 * 1024 * 1024,
  maxUnsettledPerLink: 20,
  maxLinkExpiryMs: Infinity,
  saslMechanisms: ['PLAIN', 'ANONYMOUS'],
  plainAddress: 'topic',
  hostnameIsTenant: false,
  maxContainerIdBytes: 64,
  maxLinkNameBytes: 64,
  outputHighWaterBytes: 16 * 1024,
  maxOutputBytes: 32 * 1024,
  topicCacheEntries: 4,
  maxTopicBytes: 256,
  maxTopicLevels: 16,
};

/** What a sender's messages carry. */
type Kind = 'colors' | 'delays' | 'groups';

const colors = ['red', 'green', undefined] as const;

export class AmqpCast {
  readonly clients: SimAmqpClient[] = [];
  readonly #world: World;
  readonly #facts: Facts;
  readonly #senders: { readonly sender: SimSender; readonly kind: Kind }[] = [];
  readonly #transactors: SimTransactor[] = [];
  readonly #movers: SimMover[] = [];

  constructor(world: World, facts: Facts) {
    this.#world = world;
    this.#facts = facts;
    const publisher = this.#client('amqp-pub');
    for (const [topic, guarantee] of [
      ['t/a', 0],
      ['t/a', 1],
      ['t/b', 2],
      ['t/c', 2],
      ['$queue/work', 1],
      ['$queue/work', 2],
      ['$queue/txin', 2],
    ] as const) {
      this.#sender(publisher, topic, guarantee);
    }
    this.#sender(this.#client('amqp-later'), '$queue/later', 2, 'delays');
    this.#sender(this.#client('amqp-grouping'), '$queue/grouped', 2, 'groups');
    const subscriber = this.#client('amqp-sub');
    this.#receiver(subscriber, 'all', 't/#', 2, {});
    this.#receiver(subscriber, 'some', 't/a', 1, {});
    this.#receiver(subscriber, 'zero', 't/#', 0, {});
    this.#receiver(subscriber, 'red', 't/#', 2, { color: 'red' }, { selector: "color = 'red'" });
    this.#receiver(subscriber, 'tx', '$queue/tx', 2, {});
    this.#receiver(subscriber, 'later', '$queue/later', 2, {});
    // Transactions that are rolled back put things back in another order.
    this.#receiver(subscriber, 'moved', '$queue/txin', 2, { subscribeAs: '$queue/moved', moody: true });
    this.#receiver(this.#client('amqp-passing', false), 'passing', 't/#', 1, { durable: false });
    // They share with MQTT's members.
    for (const i of [0, 1]) this.#receiver(this.#client(`amqp-group${i}`), 'g', 't/#', 2, { group: 'g' });
    for (const i of [0, 1])
      this.#receiver(this.#client(`amqp-worker${i}`, false), 'work', '$queue/work', 1, { group: 'work', durable: false }, { moody: true });
    for (const i of [0, 1]) {
      this.#receiver(this.#client(`amqp-grouped${i}`, false), 'grouped', '$queue/grouped', 1, { group: 'grouped', durable: false });
    }
    this.#receiver(this.#client('amqp-dead'), 'dead', '$queue/work', 1, { group: 'work', subscribeAs: '$queue/dead-letter' });
    this.#transactors.push(new SimTransactor(this.#client('amqp-tx', false), ['t/c', 't/d', '$queue/tx']));
    this.#movers.push(new SimMover(this.#client('amqp-mover', false), '$queue/txin', '$queue/moved'));
  }

  #client(containerId: string, durable = true): SimAmqpClient {
    const client = new SimAmqpClient(this.#world, this.#facts, { containerId, username: 'somebody', durable });
    this.clients.push(client);
    return client;
  }

  #sender(client: SimAmqpClient, topic: string, guarantee: Qos, kind: Kind = 'colors'): void {
    this.#senders.push({ sender: new SimSender(client, topic, guarantee), kind });
  }

  #receiver(
    client: SimAmqpClient,
    name: string,
    filter: string,
    qos: Qos,
    more: Partial<SubscriberFacts>,
    options: SimReceiverOptions = {},
  ): void {
    const clientId = `${client.options.containerId}/${name}`;
    const facts: SubscriberFacts = {
      clientId,
      version: 5,
      filter,
      qos,
      durable: true,
      group: undefined,
      subscribedAtMs: undefined,
      received: [],
      ...more,
    };
    this.#facts.subscribers.push(facts);
    client.roles.push(new SimReceiver(client, name, facts, options));
  }

  traffic(untilMs: number): void {
    const { random } = this.#world;
    const often = (what: () => void, maxMs: number): void => {
      const step = (): void => {
        if (this.#world.nowMs > untilMs) return;
        what();
        this.#world.after(between(random, 1, maxMs), step);
      };
      this.#world.after(between(random, 0, 1000), step);
    };
    for (const { sender, kind } of this.#senders) {
      const color = (): (typeof colors)[number] => pick(random, colors);
      often(() => {
        const colored = color();
        sender.publish({
          large: chance(random, 0.1),
          ...(kind !== 'groups' && chance(random, 0.5) && { priority: random.below(10) }),
          ...(colored !== undefined && { color: colored }),
          ...(kind === 'delays' && { delay: random.below(20_000) }),
          ...(kind === 'groups' && { groupId: `group${random.below(3)}` }),
        });
      }, 600);
    }
    for (const transactor of this.#transactors) often(() => transactor.begin(), 400);
    // Until the end: there may have been no credit.
    for (const mover of this.#movers) {
      const step = (): void => {
        mover.step();
        this.#world.after(1000, step);
      };
      step();
    }
  }

  problems(): string[] {
    const problems: string[] = [];
    for (const client of this.clients) {
      const { containerId } = client.options;
      if (!client.connected) problems.push(`STUCK: ${containerId} is not connected after the calm`);
      else if (!client.idle) problems.push(`STUCK: ${containerId} still waits after the calm: ${client.waitsFor}`);
    }
    return problems;
  }
}
