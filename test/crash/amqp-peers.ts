// The simulator's AMQP clients over real sockets: sends at least and exactly once with link recovery, durable and shared
// subscriptions, and transactions, one of which moves messages from queue to queue.

import { connect, type Socket } from 'node:net';
import type { Random } from '../../src/base/random.ts';
import type { Qos } from '../../src/protocols/mqtt/codec/index.ts';
import { SimAmqpClient, type AmqpNetworkLink, type Surroundings } from '../../sim/amqp/sim-amqp-client.ts';
import { SimReceiver } from '../../sim/amqp/sim-receiver.ts';
import { SimSender } from '../../sim/amqp/sim-sender.ts';
import { SimMover, SimTransactor } from '../../sim/amqp/sim-transactions.ts';
import type { Facts, SubscriberFacts } from '../../sim/facts.ts';
import { between, chance, pick } from '../../sim/random-choices.ts';
import type { LinkEnd } from '../../sim/sim-link.ts';
import { payloadOf } from './payload.ts';

class RealLink implements AmqpNetworkLink {
  open = true;
  readonly #socket: Socket;

  constructor(port: number, client: LinkEnd) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (bytes) => {
      if (this.open) client.receive(bytes);
    });
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => {
      this.open = false;
      client.lost();
    });
  }

  send(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  drop(): void {
    this.open = false;
    this.#socket.destroy();
  }

  get stalled(): boolean {
    return this.#socket.isPaused();
  }

  set stalled(on: boolean) {
    if (on) this.#socket.pause();
    else this.#socket.resume();
  }

  unstall(): void {
    this.#socket.resume();
  }
}

class RealWorld implements Surroundings {
  readonly random: Random;
  readonly clock = { wallMs: (): number => Date.now() };
  readonly #port: number;

  constructor(port: number, random: Random) {
    this.#port = port;
    this.random = random;
  }

  get nowMs(): number {
    return performance.now();
  }

  after(ms: number, task: () => void): void {
    setTimeout(task, ms).unref();
  }

  connect(client: LinkEnd): AmqpNetworkLink {
    return new RealLink(this.#port, client);
  }

  payload(key: string, bytes: number): string {
    return payloadOf(key, bytes).toString();
  }
}

const everyMs = 15;

export class AmqpPeers {
  readonly clients: SimAmqpClient[] = [];
  readonly #world: RealWorld;
  readonly #facts: Facts;
  readonly #senders: SimSender[] = [];
  readonly #transactor: SimTransactor;
  readonly #mover: SimMover;
  #timer: NodeJS.Timeout | undefined;
  #moving: NodeJS.Timeout | undefined;

  constructor(port: number, facts: Facts, random: Random) {
    this.#world = new RealWorld(port, random);
    this.#facts = facts;
    const publisher = this.#client('amqp-pub');
    for (const [topic, guarantee] of [
      ['t/a', 1],
      ['t/b', 2],
      ['t/c', 2],
      ['$queue/txin', 2],
    ] as const) {
      this.#senders.push(new SimSender(publisher, topic, guarantee));
    }
    const subscriber = this.#client('amqp-sub');
    this.#receiver(subscriber, 'all', 't/#', 2, {});
    this.#receiver(subscriber, 'some', 't/b', 1, {});
    this.#receiver(subscriber, 'tx', '$queue/tx', 2, {});
    this.#receiver(subscriber, 'moved', '$queue/txin', 2, { subscribeAs: '$queue/moved', moody: true });
    this.#receiver(this.#client('amqp-group'), 'g', 't/#', 2, { group: 'g' });
    this.#transactor = new SimTransactor(this.#client('amqp-tx'), ['t/c', 't/d', '$queue/tx']);
    this.#mover = new SimMover(this.#client('amqp-mover'), '$queue/txin', '$queue/moved');
  }

  #client(containerId: string): SimAmqpClient {
    const client = new SimAmqpClient(this.#world, this.#facts, { containerId, username: '', durable: true });
    this.clients.push(client);
    return client;
  }

  #receiver(client: SimAmqpClient, name: string, filter: string, qos: Qos, more: Partial<SubscriberFacts>): void {
    const clientId = `${client.options.containerId}/${name}`;
    const base = { clientId, version: 5, filter, qos, durable: true, group: undefined, subscribedAtMs: undefined, received: [] } as const;
    const facts: SubscriberFacts = { ...base, received: [], ...more };
    this.#facts.subscribers.push(facts);
    client.roles.push(new SimReceiver(client, name, facts));
  }

  start(): void {
    for (const client of this.clients) client.connect();
    const { random } = this.#world;
    this.#timer = setInterval(() => {
      for (const sender of this.#senders) if (chance(random, 0.5)) sender.publish({ large: chance(random, 0.2) });
      if (chance(random, 0.3)) this.#transactor.begin();
    }, everyMs);
    this.#moving = setInterval(() => this.#mover.step(), 200);
  }

  /** No new messages; what is there is seen out. */
  stop(): void {
    clearInterval(this.#timer);
    this.#mover.beDiligent();
  }

  cutOne(): void {
    pick(this.#world.random, this.clients).drop();
  }

  stallOne(): void {
    const { link } = pick(this.#world.random, this.clients);
    if (link === undefined) return;
    link.stalled = true;
    this.#world.after(between(this.#world.random, 10, 2000), () => link.unstall());
  }

  get isIdle(): boolean {
    return this.clients.every(({ connected, idle }) => connected && idle);
  }

  problems(): string[] {
    return this.clients
      .filter(({ connected, idle }) => !connected || !idle)
      .map(
        ({ options, connected, waitsFor }) => `STUCK: ${options.containerId} ${connected ? `waits for ${waitsFor}` : 'is not connected'}`,
      );
  }

  get connections(): number {
    return this.clients.reduce((sum, { connection }) => sum + connection, 0);
  }

  leave(): void {
    clearInterval(this.#moving);
    for (const client of this.clients) {
      client.active = false;
      client.drop();
    }
  }
}
