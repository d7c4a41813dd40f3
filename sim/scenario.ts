// One history: clients that publish and subscribe, faults that come and go, then calm, then the checks.

import type { BrokerLimits } from '../src/broker/limits.ts';
import type { Qos, Version } from '../src/protocols/mqtt/codec/index.ts';
import type { MqttOptions } from '../src/protocols/mqtt/options.ts';
import type { Action, AuthenticationResult, Credentials, Principal, Reassessment, Security } from '../src/security/security.ts';
import { AmqpCast, amqpOptions } from './amqp/amqp-cast.ts';
import type { Cast, Drivable } from './cast.ts';
import { check } from './checkers.ts';
import { CoapCast } from './coap/coap-cast.ts';
import { coapOptions } from './coap/coap-options.ts';
import { Facts } from './facts.ts';
import type { SubscriberFacts } from './facts.ts';
import { between, chance, pick } from './random-choices.ts';
import { SimClient } from './sim-client.ts';
import { World } from './world.ts';

export type ScenarioResult = {
  readonly seed: number;
  readonly problems: readonly string[];
  readonly sent: number;
  readonly acknowledged: number;
  readonly received: number;
  readonly crashes: number;
  readonly simulatedMs: number;
};

const topics = ['t/a', 't/b', 't/c', 't/d', '$queue/dead'];
const faultsMs = 40_000;
const calmMs = 120_000;

const limits: BrokerLimits = {
  durableInbox: { maxMessages: 2000, maxBytes: 2_000_000, onFull: 'reject-new' },
  transientInbox: { maxMessages: 50, maxBytes: 20_000, onFull: 'drop-oldest' },
  sharedQueue: { maxMessages: 2000, maxBytes: 2_000_000, onFull: 'reject-new' },
  namedQueue: { maxMessages: 100, maxBytes: 1_000_000, onFull: 'reject-new' },
  delayedQueue: { maxMessages: 100, maxBytes: 1_000_000, onFull: 'reject-new' },
  maxDeliveries: 10,
  deadLetterQueue: 'dead-letter',
  // Connections are lost more often here than a message may be tried.
  queues: [{ match: 'txin', maxDeliveries: 0 }],
  maxTemporaryQueuesPerPrincipal: 100,
  maxSessions: 100,
  maxSessionsPerPrincipal: 1000,
  maxSubscriptionsPerSession: 10,
  maxSharedQueues: 10,
  maxNamedQueues: 20,
  maxRetainedMessages: 100,
  maxRetainedBytes: 1_000_000,
  maxTopicLevels: 16,
  maxSessionExpiryMs: Infinity,
  maxWillDelayMs: Infinity,
  payloadMemoryBytes: 4000,
  transientMemoryBytes: 1_000_000,
  maxUncommittedBytes: 20_000,
  checkpointBytes: 10_000,
  expirySweepMs: 1000,
  transactions: { maxOpenPerPrincipal: 10, maxMessages: 100, maxBytes: 100_000, timeoutMs: 60_000 },
  replies: { maxPerPrincipal: 100, max: 1000, lifetimeMs: 60_000 },
};

const mqtt: MqttOptions = {
  connectTimeoutMs: 10_000,
  maxPacketBytes: 64 * 1024,
  maxConnectPacketBytes: 8 * 1024,
  maxEarlyBytes: 16 * 1024,
  receiveMaximum: 20,
  topicAliasMaximum: 4,
  outboundTopicAliasMaximum: 4,
  maxKeepAliveSec: 0,
  defaultKeepAliveSec: 0,
  maxSilenceSec: 0,
  maxSessionExpirySec: 0xffff_ffff,
  maxQos: 2,
  retainAvailable: true,
  wildcardSubscriptionsAvailable: true,
  sharedSubscriptionsAvailable: true,
  subscriptionIdentifiersAvailable: true,
  maxSubscriptionsPerRequest: 10,
  outputHighWaterBytes: 16 * 1024,
  maxOutputBytes: 32 * 1024,
  payloadFormatCheck: false,
  assignClientId: true,
  maxClientIdBytes: 64,
  topicCacheEntries: 4,
  maxTopicBytes: 256,
  maxTopicLevels: 16,
  responseTopicPrefix: '',
};

/** Everybody may use `t/…` and queues; only `keeper` may use `secret/…`. Rights can be lost, and peers barred for a while. */
class SimSecurity implements Security {
  version = 1;
  /** Principal and filter. */
  readonly lost = new Set<string>();
  readonly barred = new Set<string>();

  authenticate({ username, pskIdentity }: Credentials, answer: (result: AuthenticationResult) => void): void {
    const principal: Principal = { tenant: 'main', id: username ?? pskIdentity ?? 'anonymous', kind: 'device', roles: [] };
    answer(this.barred.has(principal.id) ? { ok: false, reason: 'refused' } : { ok: true, principal });
  }

  startExchange(): undefined {
    return undefined;
  }

  allows({ id }: Principal, action: Action, text: string): boolean {
    const topic = text.replace(/^\$share\/[^/]+\//, '');
    if (action === 'subscribe' && this.lost.has(`${id} ${topic}`)) return false;
    return action === 'connect' || id === 'keeper' || topic.startsWith('t/') || topic.startsWith('$queue/');
  }

  reassess(principal: Principal, answer: (result: Reassessment) => void): void {
    answer(this.barred.has(principal.id) ? { standing: 'barred' } : { standing: 'good', principal: { ...principal } });
  }
}

class Scenario {
  readonly world: World;
  readonly facts = new Facts();
  readonly security = new SimSecurity();
  readonly clients: SimClient[] = [];
  readonly publishers: SimClient[] = [];
  /** Those of other protocols, in mixed histories. */
  readonly casts: readonly Cast[];
  /** How far the wall clock is from where it would be, now and at most. */
  #jumpedMs = 0;
  #furthestMs = 0;

  constructor(seed: number, shards: number, { amqp, coap }: ScenarioOptions) {
    this.world = new World({ seed, shards, limits, mqtt, amqp: amqpOptions, coap: coapOptions, security: this.security });
    this.world.latencyMs = pick(this.world.random, [1, 20, 300]);
    for (let i = 0; i < 3; i++) this.publishers.push(this.#client(`pub${i}`, true));
    this.publishers.push(this.#client('pub-transient', false));
    this.#client('keeper', true, 'keeper');
    this.publishers.push(this.clients.at(-1)!);
    this.#subscriber('sub-all', true, 't/#', 2);
    this.#subscriber('sub-one', true, 't/a', 1);
    this.#subscriber('sub-zero', true, 't/#', 0);
    this.#subscriber('sub-transient', false, 't/#', 2);
    this.#subscriber('thief', true, 'secret/#', 1);
    this.#subscriber('group0', true, 't/#', 2, 'g');
    this.#subscriber('group1', true, 't/#', 2, 'g');
    this.#subscriber('mixed0', true, 't/b', 1, 'm');
    this.#subscriber('mixed1', false, 't/b', 1, 'm');
    // They will lose t/b, and keep t/a; the group goes on with who is left.
    for (const [clientId, durable] of [
      ['victim', true],
      ['victim-transient', false],
    ] as const) {
      const facts = this.#subscriber(clientId, durable, 't/b', 2, undefined, clientId);
      const kept = { ...facts, filter: 't/a', received: [] };
      this.facts.subscribers.push(kept);
      this.clients.at(-1)!.subscriptions.push(kept);
    }
    this.#subscriber('victim-member', true, 't/c', 1, 'c', 'victim');
    this.#subscriber('other-member', true, 't/c', 1, 'c');
    // What it publishes is moved by an operator to where it is worked on.
    this.publishers.push(this.#client('pub-barred', true, 'barred'));
    const worker = this.#client('worker', true);
    const { version } = worker.options;
    const facts = { clientId: 'worker', version, filter: '$queue/dead', subscribeAs: '$queue/jobs', qos: 1, durable: true } as const;
    const work: SubscriberFacts = { ...facts, group: undefined, subscribedAtMs: undefined, received: [] };
    this.facts.subscribers.push(work);
    worker.subscriptions.push(work);
    this.casts = [
      ...(amqp === true ? [new AmqpCast(this.world, this.facts)] : []),
      ...(coap === true ? [new CoapCast(this.world, this.facts)] : []),
    ];
  }

  get #everybody(): readonly Drivable[] {
    return [...this.clients, ...this.casts.flatMap(({ clients }) => clients)];
  }

  begin(): void {
    for (const client of this.#everybody) client.connect();
    this.traffic();
    for (const cast of this.casts) cast.traffic(faultsMs);
    this.faults();
    this.changes();
  }

  #client(clientId: string, durable: boolean, username = 'somebody'): SimClient {
    const { random } = this.world;
    const version: Version = chance(random, 0.5) ? 5 : 4;
    const client = new SimClient(this.world, this.facts, { clientId, version, durable, username, receiveMaximum: 1 + random.below(20) });
    this.clients.push(client);
    return client;
  }

  #subscriber(clientId: string, durable: boolean, filter: string, qos: Qos, group?: string, username?: string): SubscriberFacts {
    const client = this.#client(clientId, durable, username);
    const facts: SubscriberFacts = {
      clientId,
      version: client.options.version,
      filter,
      qos,
      durable,
      group,
      subscribedAtMs: undefined,
      received: [],
    };
    this.facts.subscribers.push(facts);
    client.subscriptions.push(facts);
    return facts;
  }

  traffic(): void {
    const { world } = this;
    for (const publisher of this.publishers) {
      const step = (): void => {
        if (world.nowMs > faultsMs) return;
        // A 3.1.1 client is disconnected for it, and would try again for ever.
        const curious = publisher.options.version === 5 && chance(world.random, 0.02);
        const secret = publisher.options.username === 'keeper' || curious;
        publisher.publish(secret ? 'secret/x' : pick(world.random, topics), world.random.below(3) as Qos, chance(world.random, 0.1));
        world.after(between(world.random, 1, 400), step);
      };
      world.after(between(world.random, 0, 1000), step);
    }
  }

  /** Rights are lost, a peer is barred, and an operator moves messages and looks around. */
  changes(): void {
    const { world, security, facts } = this;
    world.after(between(world.random, 5000, 35_000), () => {
      for (const id of ['victim', 'victim-transient']) security.lost.add(`${id} t/b`).add(`${id} t/c`);
      for (const subscriber of facts.subscribers) {
        if (subscriber.clientId.startsWith('victim') && subscriber.filter !== 't/a') subscriber.cutAtMs = world.nowMs;
      }
      this.#review();
    });
    world.after(between(world.random, 5000, 35_000), () => {
      security.barred.add('barred');
      this.#review();
      this.#watchBarred();
    });
    this.#operate();
  }

  #review(): void {
    const { security, world } = this;
    security.version++;
    world.node?.broker.review(
      {},
      (principal, answer) => security.reassess(principal, answer),
      () => {},
    );
  }

  #watchBarred(): void {
    const { world, security } = this;
    if (!security.barred.has('barred')) return;
    const session = world.node?.broker.space('main').sessions.get('pub-barred');
    if (session?.attachment !== undefined) this.facts.complain('BARRED: pub-barred is connected all the same');
    world.after(100, () => this.#watchBarred());
  }

  #operate(): void {
    const { world } = this;
    world.ask(async ({ management }) => {
      if (chance(world.random, 0.1)) await management.browse('main', pick(world.random, ['$queue/dead', 'inbox/sub-all']), { limit: 20 });
      if (chance(world.random, 0.1)) await management.retained('main', '#', { limit: 10 });
      if (chance(world.random, 0.1)) management.queues('main', { limit: 10 });
      if (world.nowMs < faultsMs && chance(world.random, 0.05))
        management.disconnect('main', pick(world.random, this.clients).options.clientId, 'administrative');
      await management.move('main', '$queue/dead', '$queue/jobs', between(world.random, 1, 50));
    });
    world.after(between(world.random, 100, 3000), () => this.#operate());
  }

  /** One fault after another, each for a while. */
  faults(): void {
    const { world } = this;
    const step = (): void => {
      if (world.nowMs > faultsMs) return;
      this.#fault();
      world.after(between(world.random, 10, 3000), step);
    };
    world.after(between(world.random, 0, 2000), step);
  }

  #fault(): void {
    const { world } = this;
    const { random } = world;
    const disk = pick(random, world.disks);
    const client = pick(random, this.#everybody);
    const forMs = between(random, 1, 5000);
    switch (random.below(9)) {
      case 0:
      case 1:
        world.crash();
        world.after(between(random, 1, 2000), () => world.restart());
        break;
      case 2:
      case 3:
        client.drop();
        break;
      case 4:
        disk.weather.slow = true;
        world.after(forMs, () => (disk.weather.slow = false));
        break;
      case 5:
        disk.weather.full = true;
        world.after(forMs, () => (disk.weather.full = false));
        break;
      case 6:
        if (client.link !== undefined) client.link.stalled = true;
        world.after(forMs, () => client.link?.unstall());
        break;
      case 7:
        this.#jump(between(random, -3_600_000, 3_600_000));
        break;
      default:
        world.latencyMs = pick(random, [0, 5, 100, 1500]);
    }
  }

  #jump(ms: number): void {
    this.world.clock.jump(ms);
    this.facts.clockJumped = true;
    this.#jumpedMs += ms;
    this.#furthestMs = Math.max(this.#furthestMs, this.#jumpedMs);
  }

  calm(): void {
    const { world } = this;
    world.restart();
    // What was to wait until a time that the clock has gone back from would wait for hours.
    if (this.#furthestMs > this.#jumpedMs) this.#jump(this.#furthestMs - this.#jumpedMs);
    this.security.barred.clear();
    world.latencyMs = 5;
    for (const disk of world.disks) disk.weather.full = disk.weather.slow = false;
    for (const cast of this.casts) cast.calm?.();
    for (const client of this.#everybody) {
      client.link?.unstall();
      client.connect();
    }
  }

  problems(): string[] {
    const { node, refusals } = this.world;
    const problems = check(this.facts, refusals + (node?.broker.counters.publishesRefusedByStore ?? 0));
    for (const client of this.clients) {
      if (!client.connected) problems.push(`STUCK: ${client.options.clientId} is not connected after the calm`);
      else if (!client.idle) problems.push(`STUCK: ${client.options.clientId} still waits for acknowledgements after the calm`);
    }
    for (const cast of this.casts) problems.push(...cast.problems());
    if (node === undefined) return [...problems, 'STUCK: the node does not run after the calm'];
    const { total } = node.broker;
    if (total.imbalance() !== 0) problems.push(`BOOKS: the ledger is out of balance by ${total.imbalance()}`);
    if (total.queued !== 0) problems.push(`STUCK: ${total.queued} messages still wait after the calm`);
    if (node.broker.uncommittedBytes !== 0) problems.push(`STUCK: ${node.broker.uncommittedBytes} bytes are not committed after the calm`);
    const largest = Math.max(this.world.largestOutput, ...[...node.links].map((link) => link.largestOutput));
    if (largest > 2 * mqtt.maxOutputBytes) problems.push(`MEMORY: an output grew to ${largest} bytes`);
    return problems;
  }
}

export type ScenarioOptions = {
  readonly lyingDisk?: boolean;
  /** With clients that speak AMQP besides those that speak MQTT. */
  readonly amqp?: boolean;
  /** With devices that speak CoAP over a network that loses, repeats and reorders. */
  readonly coap?: boolean;
};

/** Runs the history of one seed. */
export async function runSeed(seed: number, shards: number, options: ScenarioOptions = {}): Promise<ScenarioResult> {
  const scenario = new Scenario(seed, shards, options);
  const { world, facts } = scenario;
  for (const disk of world.disks) disk.weather.lying = options.lyingDisk ?? false;
  let problems: string[];
  try {
    await world.start();
    scenario.begin();
    await world.run(faultsMs + 5000);
    scenario.calm();
    await world.run(faultsMs + 5000 + calmMs);
    problems = scenario.problems();
  } catch (error) {
    problems = [`THROWN: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`];
  }
  return {
    seed,
    problems,
    sent: facts.sent.size,
    acknowledged: [...facts.sent.values()].filter(({ acknowledgedAtMs }) => acknowledgedAtMs !== undefined).length,
    received: facts.subscribers.reduce((sum, { received }) => sum + received.length, 0),
    crashes: world.crashes,
    simulatedMs: world.nowMs,
  };
}
