// One simulated world: a clock, events, a network, disks and a node on them, all from one seed.

import { ManualClock } from '../src/base/clock.ts';
import { silentLog } from '../src/base/log.ts';
import { SeededRandom } from '../src/base/random.ts';
import { Timers } from '../src/base/timers.ts';
import { Broker } from '../src/broker/broker.ts';
import type { BrokerLimits } from '../src/broker/limits.ts';
import { createAmqpProtocol } from '../src/protocols/amqp/index.ts';
import type { AmqpOptions } from '../src/protocols/amqp/options.ts';
import { createMqttProtocol } from '../src/protocols/mqtt/index.ts';
import type { MqttOptions } from '../src/protocols/mqtt/options.ts';
import { CoapServer } from '../src/protocols/coap/index.ts';
import { createResources, type ResourceOptions } from '../src/protocols/coap/resources/index.ts';
import type { CoapOptions } from '../src/protocols/coap/settings.ts';
import type { DatagramProtocol } from '../src/protocols/datagram.ts';
import type { Protocol } from '../src/protocols/protocol.ts';
import { noTrace } from '../src/protocols/trace.ts';
import type { Security } from '../src/security/security.ts';
import { SimDisk } from './sim-disk.ts';
import { SimLink } from './sim-link.ts';
import type { LinkEnd } from './sim-link.ts';
import { SimTurn } from './sim-turn.ts';
import { between } from './random-choices.ts';

export type WorldOptions = {
  readonly seed: number;
  readonly shards: number;
  readonly limits: BrokerLimits;
  readonly mqtt: MqttOptions;
  readonly amqp: AmqpOptions;
  readonly coap: CoapOptions & ResourceOptions;
  readonly security: Security;
};

/** A running node; replaced by a new one after a crash. */
type SimNode = {
  readonly broker: Broker;
  readonly mqtt: Protocol;
  readonly amqp: Protocol;
  readonly coap: DatagramProtocol;
  readonly links: Set<SimLink>;
};

export class World {
  readonly clock = new ManualClock();
  readonly random: SeededRandom;
  readonly turn = new SimTurn();
  readonly disks: readonly SimDisk[];
  readonly #events = new Timers();
  readonly #options: WorldOptions;
  node: SimNode | undefined = undefined;
  /** Set when the node stopped by itself: it never should. */
  failure: Error | undefined = undefined;
  latencyMs = 5;
  crashes = 0;
  /** Publishes that nodes refused because their store could not take them. */
  refusals = 0;
  largestOutput = 0;
  #restart: Promise<void> | undefined = undefined;
  /** Questions to the node that are answered by promises. */
  #asked = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.random = new SeededRandom(options.seed);
    this.disks = Array.from({ length: options.shards }, () => new SimDisk(this.clock, this.#events, this.random));
  }

  get nowMs(): number {
    return this.clock.monotonicMs();
  }

  at(monotonicMs: number, task: () => void): void {
    this.#events.at(monotonicMs, task);
  }

  after(ms: number, task: () => void): void {
    this.at(this.nowMs + ms, task);
  }

  afterLatency(task: () => void): void {
    this.after(between(this.random, 0, this.latencyMs), task);
  }

  payload(key: string, bytes: number): string {
    return `${key}|${'x'.repeat(bytes)}`;
  }

  /** Starts the node on what the disks hold. */
  async start(): Promise<void> {
    const { clock, random, turn } = this;
    const { limits, security } = this.#options;
    const broker = new Broker({
      clock,
      turn,
      log: silentLog,
      security,
      random: this.random,
      limits,
      journals: this.disks.map((disk) => disk.mount()),
      onFailed: (error) => (this.failure = error),
    });
    await broker.start();
    const parts = { broker, security, clock, random, log: silentLog };
    const mqtt = createMqttProtocol({ ...parts, options: this.#options.mqtt });
    const amqp = createAmqpProtocol({ ...parts, turn, options: this.#options.amqp, accepts: () => ['password'] });
    const { timers } = broker;
    const later = (task: () => void): void => turn.later(task);
    const resources = createResources({ ...parts, timers, later, options: this.#options.coap });
    const { datagram: coap } = new CoapServer({ ...parts, timers, trace: noTrace, options: this.#options.coap, resources });
    this.node = { broker, mqtt, amqp, coap, links: new Set() };
  }

  /** The node's machine loses power. */
  crash(): void {
    const node = this.node;
    if (node === undefined) return;
    this.crashes++;
    this.refusals += node.broker.counters.publishesRefusedByStore;
    this.node = undefined;
    this.#asked = 0;
    this.turn.clear();
    for (const disk of this.disks) disk.cutPower();
    for (const link of node.links) {
      this.largestOutput = Math.max(this.largestOutput, link.largestOutput);
      link.nodeGone();
    }
  }

  /** Brings the node back, unless it runs. The run loop waits for it. */
  restart(): void {
    if (this.node !== undefined || this.#restart !== undefined) return;
    this.#restart = this.start().finally(() => (this.#restart = undefined));
  }

  connect(client: LinkEnd, protocol: 'mqtt' | 'amqp' = 'mqtt'): SimLink | undefined {
    const node = this.node;
    if (node === undefined) return undefined;
    const link = new SimLink(this, node[protocol], client);
    node.links.add(link);
    return link;
  }

  /** Lets time pass until `untilMs`, event by event. Throws what a handler throws: a broken invariant ends the world. */
  async run(untilMs: number): Promise<void> {
    for (;;) {
      if (this.#restart !== undefined) await this.#restart;
      if (this.failure !== undefined) throw this.failure;
      this.#endTurn();
      if (this.#asked > 0) await this.#answers();
      const timers = this.node?.broker.timers;
      const next = Math.min(this.#events.nextDeadlineMs(), timers?.nextDeadlineMs() ?? Infinity);
      if (next > untilMs) break;
      this.clock.advance(Math.max(0, next - this.nowMs));
      if (timers !== undefined && timers.nextDeadlineMs() <= next) timers.advance(this.nowMs);
      else this.#events.advanceOne(this.nowMs);
    }
    this.clock.advance(Math.max(0, untilMs - this.nowMs));
  }

  /** Asks the running node, if there is one, what it answers later. */
  ask(question: (broker: Broker) => Promise<unknown>): void {
    const { node } = this;
    if (node === undefined) return;
    this.#asked++;
    void question(node.broker).finally(() => {
      if (this.node === node) this.#asked--;
    });
  }

  /** Lets what waits for promises go on. */
  async #answers(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#endTurn();
  }

  #endTurn(): void {
    do this.turn.end();
    while (this.turn.begin());
  }
}
