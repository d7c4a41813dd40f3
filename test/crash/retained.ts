// Retained messages: a newcomer never sees one that is older than the last that was acknowledged before it asked.

import { endpointOf, MqttClient } from '../../src/client/index.ts';
import type { Facts } from '../../sim/facts.ts';
import type { Participant } from './participants.ts';
import { keyOf, payloadOf } from './payload.ts';

type Value = { sent: number; acknowledged: number };

const everyMs = 40;
const payloadBytes = 3000;
const probeMs = 5000;

export class RetainedValues {
  /** Newcomers that saw all values. */
  probes = 0;
  readonly #port: number;
  readonly #facts: Facts;
  readonly #participant: Participant;
  readonly #values = new Map<string, Value>(['r/0', 'r/1', 'r/2', 'r/3'].map((topic) => [topic, { sent: 0, acknowledged: 0 }]));
  #timer: NodeJS.Timeout | undefined;
  #turn = 0;

  constructor(port: number, facts: Facts, participant: Participant) {
    this.#port = port;
    this.#facts = facts;
    this.#participant = participant;
  }

  /** Sets one value after the other. */
  start(): void {
    this.#timer = setInterval(() => {
      const [topic, value] = [...this.#values][this.#turn++ % this.#values.size]!;
      // One at a time and topic, so that the last acknowledged is the last there is.
      if (value.sent === value.acknowledged) void this.#set(topic, value);
    }, everyMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  get isIdle(): boolean {
    return [...this.#values.values()].every(({ sent, acknowledged }) => sent === acknowledged);
  }

  async #set(topic: string, value: Value): Promise<void> {
    const next = ++value.sent;
    const qos = next % 3 === 0 ? 2 : 1;
    const fate = await this.#participant.peer.publish(topic, payloadOf(`${topic}#${next}`, payloadBytes), qos, true);
    if (fate === 'acknowledged') value.acknowledged = next;
    else this.#facts.complain(`UNKNOWN: what became of the retained ${topic}#${next} (${fate})`);
  }

  /** A newcomer asks. Returns without a verdict when the broker goes away meanwhile. */
  async probe(): Promise<void> {
    const seen = new Map<string, number>();
    const over = Promise.withResolvers<'seen' | 'lost' | 'late'>();
    const client = new MqttClient({
      endpoint: endpointOf('tcp', '127.0.0.1', this.#port),
      onMessage: ({ topic, payload, retain }) => {
        const key = keyOf(payload);
        if (key === undefined || !key.startsWith(`${topic}#`)) this.#facts.complain(`BROKEN: the retained message of ${topic}`);
        // Later ones come as they are published.
        if (retain && !seen.has(topic)) seen.set(topic, Number(key?.split('#')[1]));
        if (seen.size === expected.size) over.resolve('seen');
      },
      onEnd: () => over.resolve('lost'),
    });
    const expected = new Map(
      [...this.#values].filter(([, { acknowledged }]) => acknowledged > 0).map(([topic, value]) => [topic, { ...value }]),
    );
    const timer = setTimeout(() => over.resolve('late'), probeMs);
    try {
      await client.connect();
      await client.subscribe([{ filter: 'r/#', qos: 1 }]);
      if (expected.size === 0) over.resolve('seen');
      if ((await over.promise) === 'lost') return;
    } catch {
      return;
    } finally {
      clearTimeout(timer);
      client.destroy();
    }
    this.#judge(expected, seen);
  }

  #judge(expected: ReadonlyMap<string, Value>, seen: ReadonlyMap<string, number>): void {
    this.probes++;
    for (const [topic, { acknowledged }] of expected) {
      const value = seen.get(topic);
      const sent = this.#values.get(topic)!.sent;
      if (value === undefined) this.#facts.complain(`RETAINED: ${topic} has no message, though #${acknowledged} was acknowledged`);
      else if (value < acknowledged) this.#facts.complain(`RETAINED: ${topic} is #${value}, though #${acknowledged} was acknowledged`);
      else if (value > sent) this.#facts.complain(`RETAINED: ${topic} is #${value}, but only #${sent} was sent`);
    }
  }
}
