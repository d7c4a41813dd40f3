// One history: clients at work while the broker is killed again and again, then calm, then the checks.

import { once } from 'node:events';
import { SeededRandom } from '../../src/base/random.ts';
import { imbalanceOf } from '../../src/admin/status.ts';
import { check } from '../../sim/checkers.ts';
import { Facts } from '../../sim/facts.ts';
import { between, chance, pick } from '../../sim/random-choices.ts';
import { AmqpPeers } from './amqp-peers.ts';
import { BrokerProcess, checkDataOf, metricsOf, newPlace, statusOf, type Place } from './broker-process.ts';
import { CoapPeers } from './coap-peers.ts';
import { HttpPeers } from './http-peers.ts';
import { moments, Moments } from './moments.ts';
import { Participant, Publisher, Subscriber, type Making, type Subscribing, type Traffic } from './participants.ts';
import type { Peers } from './peers.ts';
import { RetainedValues } from './retained.ts';
import { StompPeers } from './stomp-peers.ts';
import { Wills } from './wills.ts';

export type Plan = {
  readonly seed: number;
  readonly kills: number;
  readonly seconds: number;
  readonly shards: number;
  readonly directory: string;
};

export type Outcome = {
  /** Each begins with its kind in capitals. */
  readonly problems: readonly string[];
  readonly sent: number;
  readonly acknowledged: number;
  readonly received: number;
  readonly kills: number;
  /** Of them, before the broker let clients in. */
  readonly killsBeforeReady: number;
  readonly restartsMs: readonly number[];
  readonly recoveriesMs: readonly number[];
  readonly wills: number;
  readonly probes: number;
  readonly connections: number;
  /** What the broker did meanwhile, as far as it was seen. */
  readonly broker: Readonly<Record<string, number>>;
};

/** What shows that the run tested what it is for. */
const watchedMetrics = {
  checkpoints: 'heliograph_broker_checkpoints_total',
  evictions: 'heliograph_broker_payload_evictions_total',
  loads: 'heliograph_broker_payload_loads_total',
  repeated: 'heliograph_broker_publishes_repeated_total',
  held: 'heliograph_broker_publishers_held_total',
} as const;

const topics = ['t/a', 't/b', 't/c', 't/d'];
const earlyKills = 0.3;
const longestLifeMs = 3000;
const cutEveryMs = 700;
const momentTimeoutMs = 3000;
const startTimeoutMs = 30_000;
const calmTimeoutMs = 45_000;

export class History {
  readonly #plan: Plan;
  readonly #random: SeededRandom;
  readonly #facts = new Facts();
  readonly #moments = new Moments();
  readonly #place: Place;
  readonly #subscribers: Subscriber[] = [];
  readonly #publishers: Publisher[] = [];
  readonly #amqp: AmqpPeers;
  /** Who speaks neither MQTT nor AMQP. */
  readonly #others: readonly Peers[];
  readonly #wills: Wills;
  readonly #retained: RetainedValues;
  readonly #retainer: Participant;
  readonly #restartsMs: number[] = [];
  readonly #recoveriesMs: number[] = [];
  readonly #seen: Record<string, number> = {};
  readonly #subscribing: Promise<void>[] = [];
  #lives = 0;
  #kills = 0;
  #killsBeforeReady = 0;

  constructor(plan: Plan, place: Place) {
    this.#plan = plan;
    this.#place = place;
    this.#random = new SeededRandom(plan.seed);
    this.#populate();
    const { port, ports } = place;
    this.#amqp = new AmqpPeers(ports.amqp, this.#facts, this.#random);
    const around = { facts: this.#facts, random: this.#random, moments: this.#moments };
    this.#others = [new StompPeers(ports.stomp, around), new HttpPeers(ports.api, around), new CoapPeers(ports.coap, around)];
    this.#wills = new Wills(port, this.#facts, this.#random, this.#moments);
    this.#retainer = new Participant(port, this.#facts, { clientId: 'retainer' });
    this.#retained = new RetainedValues(port, this.#facts, this.#retainer);
  }

  static async run(plan: Plan): Promise<Outcome> {
    const place = await newPlace(plan.directory, plan.shards);
    const history = new History(plan, place);
    try {
      return await history.#run();
    } finally {
      place.log.end();
      await once(place.log, 'close');
    }
  }

  #populate(): void {
    this.#publisher({ clientId: 'pub5', version: 5 }, { topics, everyMs: 12, window: 30 });
    this.#publisher({ clientId: 'pub4', version: 4 }, { topics, everyMs: 12, window: 30 });
    this.#publisher({ clientId: 'pub-js5', version: 5, by: 'MQTT.js' }, { topics, everyMs: 8, window: 1 });
    this.#publisher({ clientId: 'pub-js4', version: 4, by: 'MQTT.js' }, { topics, everyMs: 8, window: 1 });
    this.#publisher({ clientId: 'pub-transient', durable: false }, { topics, everyMs: 50, window: 5 });
    this.#subscriber({ clientId: 'all' }, { filter: 't/#', qos: 2 });
    this.#subscriber({ clientId: 'one4', version: 4 }, { filter: 't/a', qos: 1 });
    this.#subscriber({ clientId: 'js5', by: 'MQTT.js' }, { filter: 't/#', qos: 2 });
    this.#subscriber({ clientId: 'js4', version: 4, by: 'MQTT.js' }, { filter: 't/b', qos: 1 });
    this.#subscriber({ clientId: 'narrow', receiveMaximum: 2 }, { filter: 't/b', qos: 2 });
    this.#subscriber({ clientId: 'lazy', receiveMaximum: 20 }, { filter: 't/#', qos: 2, lazy: true });
    this.#subscriber({ clientId: 'absent', absenceMs: 2500 }, { filter: 't/#', qos: 2 });
    this.#subscriber({ clientId: 'zero' }, { filter: 't/c', qos: 0 });
    this.#subscriber({ clientId: 'group0' }, { filter: 't/#', qos: 2, group: 'g' });
    this.#subscriber({ clientId: 'group1', absenceMs: 1000 }, { filter: 't/#', qos: 2, group: 'g' });
    this.#subscriber({ clientId: 'group2', version: 4, receiveMaximum: 5 }, { filter: 't/#', qos: 2, group: 'g' });
    this.#subscriber({ clientId: 'mixed0' }, { filter: 't/d', qos: 1, group: 'm' });
    this.#subscriber({ clientId: 'mixed1', version: 4, by: 'MQTT.js' }, { filter: 't/d', qos: 1, group: 'm' });
  }

  #publisher(making: Making, traffic: Traffic): void {
    this.#publishers.push(
      new Publisher(new Participant(this.#place.port, this.#facts, making), this.#facts, this.#random, this.#moments, traffic),
    );
  }

  #subscriber(making: Making, subscribing: Subscribing): Subscriber {
    const subscriber = new Subscriber(this.#place.port, this.#facts, this.#random, this.#moments, making, subscribing);
    this.#subscribers.push(subscriber);
    return subscriber;
  }

  get #participants(): Participant[] {
    return [...this.#subscribers, ...this.#publishers].map(({ participant }) => participant).concat(this.#wills.watcher, this.#retainer);
  }

  async #run(): Promise<Outcome> {
    let broker = this.#start();
    await this.#untilReady(broker);
    await Promise.all([this.#wills.start(), ...this.#subscribers.map((subscriber) => subscriber.subscribe())]);
    for (const publisher of this.#publishers) publisher.start();
    this.#amqp.start();
    for (const peers of this.#others) peers.start();
    this.#retained.start();
    const watching = setInterval(() => void this.#watch(), 250);
    const cutting = setInterval(() => this.#cutOne(), cutEveryMs);
    const beganMs = performance.now();
    const isOver = (): boolean =>
      this.#plan.seconds > 0 ? performance.now() - beganMs > this.#plan.seconds * 1000 : this.#kills >= this.#plan.kills;
    while (!isOver()) {
      await this.#killSometime(broker);
      broker = this.#start();
    }
    clearInterval(cutting);
    await this.#calm(broker);
    clearInterval(watching);
    return this.#outcome(await this.#problems(broker));
  }

  #start(): BrokerProcess {
    return new BrokerProcess(this.#place, ++this.#lives, ({ code, signal }) =>
      this.#facts.complain(`DIED: life ${this.#lives} of the broker ended by itself with ${code ?? signal}`),
    );
  }

  async #untilReady(broker: BrokerProcess): Promise<void> {
    const timeout = AbortSignal.timeout(startTimeoutMs);
    const late = once(timeout, 'abort').then(() => {
      throw new Error(`the broker did not start within ${startTimeoutMs} ms`);
    });
    const readyMs = await Promise.race([broker.ready, late]);
    if (readyMs === undefined) throw new Error('the broker ended before it was ready');
    this.#restartsMs.push(readyMs);
    if (broker.recoveryMs !== undefined) this.#recoveriesMs.push(broker.recoveryMs);
  }

  /** Also while it starts and reads its journal: then more than one kill may fall before anybody is let in. */
  async #killSometime(broker: BrokerProcess): Promise<void> {
    const usual = this.#restartsMs.at(-1) ?? 1000;
    if (chance(this.#random, earlyKills)) {
      const isReady = await Promise.race([broker.ready.then((ms) => ms !== undefined), sleep(between(this.#random, 0.3, 1.1) * usual)]);
      if (isReady !== true) this.#killsBeforeReady++;
      await broker.kill();
    } else {
      await this.#untilReady(broker);
      void this.#retained.probe();
      // Squared: many short lives, in which clients are still coming back.
      await sleep(longestLifeMs * this.#random.float() ** 2);
      if (chance(this.#random, 0.3)) await broker.kill();
      else await this.#killAtMoment(broker);
    }
    this.#kills++;
  }

  /** Right after a promise. */
  async #killAtMoment(broker: BrokerProcess): Promise<void> {
    const moment = pick(this.#random, moments);
    const killed = Promise.withResolvers<void>();
    this.#moments.at(moment, () => killed.resolve(broker.kill()));
    if (moment === 'subscription') this.#newcomer();
    await Promise.race([killed.promise, sleep(momentTimeoutMs)]);
    this.#moments.forget();
    await broker.kill();
  }

  /** A durable session begins in the middle of it all. */
  #newcomer(): void {
    const nth = this.#subscribers.length;
    const subscriber = this.#subscriber(
      { clientId: `late${nth}`, version: nth % 2 === 0 ? 5 : 4 },
      { filter: pick(this.#random, topics), qos: 2 },
    );
    this.#subscribing.push(subscriber.subscribe());
  }

  #cutOne(): void {
    if (chance(this.#random, 0.2)) this.#amqp.stallOne();
    if (chance(this.#random, 0.3)) this.#amqp.cutOne();
    else if (chance(this.#random, 0.35)) pick(this.#random, this.#others).cutOne();
    else pick(this.#random, this.#participants).peer.cut();
  }

  /** Counters begin anew with each life: the last ones seen of each are added up. */
  async #watch(): Promise<void> {
    const life = this.#lives;
    const values = await metricsOf(this.#place, Object.values(watchedMetrics));
    if (values === undefined || life !== this.#lives) return;
    for (const [name, metric] of Object.entries(watchedMetrics)) {
      const key = `${name} ${life}`;
      this.#seen[key] = Math.max(this.#seen[key] ?? 0, values[metric] ?? 0);
    }
  }

  async #calm(broker: BrokerProcess): Promise<void> {
    await this.#untilReady(broker);
    await Promise.all(this.#subscribing);
    for (const publisher of this.#publishers) publisher.stop();
    this.#amqp.stop();
    for (const peers of this.#others) peers.stop();
    this.#retained.stop();
    for (const subscriber of this.#subscribers) subscriber.beDiligent();
    await this.#wills.stop();
    const deadline = performance.now() + calmTimeoutMs;
    while (performance.now() < deadline && !(await this.#isAtRest())) await sleep(200);
    await this.#retained.probe();
  }

  async #isAtRest(): Promise<boolean> {
    if (this.#publishers.some(({ onTheirWay }) => onTheirWay > 0) || !this.#retained.isIdle || this.#wills.missing.length > 0) return false;
    return this.#amqp.isIdle && this.#others.every(({ isIdle }) => isIdle) && (await statusOf(this.#place)).ledger.queued === 0;
  }

  async #problems(broker: BrokerProcess): Promise<string[]> {
    const problems: string[] = [];
    for (const { participant, onTheirWay } of this.#publishers) {
      if (onTheirWay > 0) problems.push(`STUCK: ${participant.clientId} still waits for ${onTheirWay} acknowledgements`);
    }
    problems.push(...this.#amqp.problems(), ...this.#others.flatMap((peers) => peers.problems()));
    if (!this.#retained.isIdle) problems.push('STUCK: a retained message still waits for its acknowledgement');
    for (const key of this.#wills.missing) problems.push(`WILL: that of ${key}, whose connection was confirmed, was never published`);
    const { ledger } = await statusOf(this.#place);
    if (ledger.queued !== 0) problems.push(`STUCK: ${ledger.queued} messages still wait after the calm`);
    if (imbalanceOf(ledger) !== 0)
      problems.push(`BOOKS: the ledger is out of balance by ${imbalanceOf(ledger)}: ${JSON.stringify(ledger)}`);
    this.#amqp.leave();
    for (const peers of this.#others) peers.leave();
    await Promise.all(this.#participants.map(({ peer }) => peer.leave()));
    const { code, signal } = await broker.stop();
    if (code !== 0) problems.push(`DIED: the last life of the broker ended with ${code ?? signal} when it was told to stop`);
    const report = await checkDataOf(this.#place);
    if (report.code !== 0) problems.push(`DATA: "heliograph data check" ended with ${report.code}`);
    for (const { where, what } of report.findings) problems.push(`DATA: ${where}: ${what}`);
    return [...problems, ...check(this.#facts, 0)];
  }

  #outcome(problems: readonly string[]): Outcome {
    const broker: Record<string, number> = {};
    for (const [key, value] of Object.entries(this.#seen)) {
      const name = key.split(' ')[0]!;
      broker[name] = (broker[name] ?? 0) + value;
    }
    return {
      problems: [...problems, ...this.#idle(broker)],
      sent: this.#facts.sent.size,
      acknowledged: [...this.#facts.sent.values()].filter(({ acknowledgedAtMs, qos }) => qos > 0 && acknowledgedAtMs !== undefined).length,
      received: this.#facts.subscribers.reduce((sum, { received }) => sum + received.length, 0),
      kills: this.#kills,
      killsBeforeReady: this.#killsBeforeReady,
      restartsMs: this.#restartsMs,
      recoveriesMs: this.#recoveriesMs,
      wills: this.#wills.owed.size,
      probes: this.#retained.probes,
      connections: [...this.#participants, this.#amqp, ...this.#others].reduce((sum, { connections }) => sum + connections, 0),
      broker,
    };
  }

  #perProtocol(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const name of ['stomp', 'http', 'coap']) {
      const isOf = (text: string): boolean => text.startsWith(`${name}-`);
      const { sent, subscribers } = this.#facts;
      counts[`messages acknowledged by ${name}`] = [...sent.values()].filter(
        (each) => isOf(each.publisher) && each.acknowledgedAtMs,
      ).length;
      counts[`messages taken by ${name}`] = subscribers.reduce((sum, each) => sum + (isOf(each.clientId) ? each.received.length : 0), 0);
    }
    return counts;
  }

  /** A run in which nothing of interest happened proves nothing. */
  #idle(broker: Readonly<Record<string, number>>): string[] {
    if (this.#kills < 10) return [];
    const committed = this.#facts.transactions.filter(({ fate }) => fate === 'committed').length;
    const wanted = {
      'committed transactions': committed,
      checkpoints: broker['checkpoints'],
      'payloads read back': broker['loads'],
      wills: this.#wills.owed.size,
      ...this.#perProtocol(),
    };
    return Object.entries(wanted)
      .filter(([, times]) => times === undefined || times === 0)
      .map(([what]) => `IDLE: no ${what} in the whole run: it did not test what it is for`);
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
