// Wills: each connection that the broker has confirmed, and that ends without goodbye, has its will published.

import type { Random } from '../../src/base/random.ts';
import { endpointOf, MqttClient } from '../../src/client/index.ts';
import type { Facts } from '../../sim/facts.ts';
import { between } from '../../sim/random-choices.ts';
import type { Moments } from './moments.ts';
import { keyOf, payloadOf } from './payload.ts';
import { Participant } from './participants.ts';

const tryAgainMs = 150;
const longestLifeMs = 4000;
const payloadBytes = 500;

/** Connects again and again, each time with another will. */
class Mortal {
  readonly #make: (key: string, onEnd: () => void) => MqttClient;
  readonly #clientId: string;
  readonly #wills: Wills;
  #client: MqttClient | undefined;
  #timers = new Set<NodeJS.Timeout>();
  #lives = 0;
  #isOver = false;

  constructor(wills: Wills, clientId: string, make: (key: string, onEnd: () => void) => MqttClient) {
    this.#wills = wills;
    this.#clientId = clientId;
    this.#make = make;
  }

  async live(): Promise<void> {
    const key = `${this.#clientId}#${++this.#lives}`;
    const next = (): void => this.#after(tryAgainMs, () => void this.live());
    const client = this.#make(key, next);
    this.#client = client;
    try {
      await client.connect();
    } catch {
      return next();
    }
    // From here on the broker owes it.
    this.#wills.owed.add(key);
    this.#wills.moments.now('welcome');
    this.#after(between(this.#wills.random, 0.1, 1) * longestLifeMs, () => {
      if (!client.isConnected) return;
      client.destroy();
      next();
    });
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    for (const timer of this.#timers) clearTimeout(timer);
    // Without goodbye: this will is owed, too.
    this.#client?.destroy();
  }

  #after(ms: number, task: () => void): void {
    if (this.#isOver) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (!this.#isOver) task();
    }, ms);
    this.#timers.add(timer);
  }
}

export class Wills {
  readonly owed = new Set<string>();
  readonly random: Random;
  readonly moments: Moments;
  readonly watcher: Participant;
  readonly #got = new Set<string>();
  readonly #mortals: Mortal[];

  constructor(port: number, facts: Facts, random: Random, moments: Moments) {
    this.random = random;
    this.moments = moments;
    this.watcher = new Participant(
      port,
      facts,
      { clientId: 'wills' },
      {
        onMessage: ({ topic, payload }) => {
          const key = keyOf(payload);
          if (key === undefined || topic !== `w/${key.split('#')[0]}`) facts.complain(`BROKEN: a will on ${topic}`);
          else this.#got.add(key);
        },
      },
    );
    const mortal = (clientId: string, version: 4 | 5, durable: boolean): Mortal =>
      new Mortal(this, clientId, (key, onEnd) => {
        const will = { topic: `w/${clientId}`, payload: payloadOf(key, payloadBytes), qos: 1 as const, retain: false };
        const expiry = version === 5 && durable ? { sessionExpirySec: 3600 } : {};
        return new MqttClient({
          endpoint: endpointOf('tcp', '127.0.0.1', port),
          version,
          clientId,
          cleanStart: !durable,
          ...expiry,
          will,
          onEnd,
        });
      });
    this.#mortals = [mortal('mortal0', 5, true), mortal('mortal1', 5, false), mortal('mortal2', 4, true), mortal('mortal3', 4, false)];
  }

  async start(): Promise<void> {
    const granted = await this.watcher.peer.subscribe('w/#', 1);
    if (granted !== 1) throw new Error(`the watcher of wills was granted ${granted}`);
    for (const mortal of this.#mortals) void mortal.live();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#mortals.map((mortal) => mortal.stop()));
  }

  get missing(): string[] {
    return [...this.owed].filter((key) => !this.#got.has(key));
  }
}
