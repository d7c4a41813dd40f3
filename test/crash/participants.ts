// Who publishes and who subscribes, and what they saw, as facts for the checkers of the simulator.

import type { Random } from '../../src/base/random.ts';
import type { Qos } from '../../src/protocols/mqtt/codec/index.ts';
import type { Facts, SentMessage, SubscriberFacts } from '../../sim/facts.ts';
import { between, chance, pick } from '../../sim/random-choices.ts';
import type { Moments } from './moments.ts';
import { keyOf, payloadOf } from './payload.ts';
import { JsPeer, OwnPeer, type Fate, type Peer, type PeerMessage, type PeerOptions } from './peer.ts';

export type Making = Partial<Omit<PeerOptions, 'onConnect' | 'onMessage' | 'onMistake'>> & {
  readonly clientId: string;
  readonly by?: 'own' | 'MQTT.js';
};

/** One client, and what it must see of its session. */
export class Participant {
  readonly clientId: string;
  readonly peer: Peer;
  readonly durable: boolean;
  /** It learns in the end what became of each publish above QoS 0. MQTT.js gives up on some and sends them nevertheless. */
  readonly mustKnow: boolean;
  connections = 0;
  readonly #facts: Facts;
  /** The broker has confirmed a session that outlives connections: it must know it ever after. */
  #isConfirmed = false;

  constructor(
    port: number,
    facts: Facts,
    making: Making,
    events: { onConnect?: () => void; onMessage?: (message: PeerMessage) => void } = {},
  ) {
    const { clientId, version = 5, durable = true, receiveMaximum = 100, absenceMs = 50, by = 'own' } = making;
    this.clientId = clientId;
    this.durable = durable;
    this.mustKnow = durable && by === 'own';
    this.#facts = facts;
    const options: PeerOptions = {
      clientId,
      version,
      durable,
      receiveMaximum,
      absenceMs,
      onConnect: (sessionPresent) => {
        this.#connected(sessionPresent);
        events.onConnect?.();
      },
      onMessage: (message) => events.onMessage?.(message),
      onMistake: (what) => facts.complain(`MISTAKE: ${clientId}: ${what}`),
    };
    this.peer = by === 'own' ? new OwnPeer(port, options) : new JsPeer(port, options);
  }

  #connected(sessionPresent: boolean): void {
    this.connections++;
    if (this.#isConfirmed && !sessionPresent)
      this.#facts.complain(`FORGOTTEN: the session of ${this.clientId}, which the broker had confirmed`);
    if (this.durable) this.#isConfirmed = true;
  }
}

export type Traffic = {
  readonly topics: readonly string[];
  readonly everyMs: number;
  /** Messages that may be on their way. */
  readonly window: number;
};

const largestPayloadBytes = 6000;
const hugePayloadBytes = 60_000;

export class Publisher {
  readonly participant: Participant;
  onTheirWay = 0;
  readonly #facts: Facts;
  readonly #random: Random;
  readonly #moments: Moments;
  readonly #traffic: Traffic;
  #count = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(participant: Participant, facts: Facts, random: Random, moments: Moments, traffic: Traffic) {
    this.participant = participant;
    this.#moments = moments;
    this.#facts = facts;
    this.#random = random;
    this.#traffic = traffic;
  }

  start(): void {
    const step = (): void => {
      const burst = chance(this.#random, 0.1) ? this.#traffic.window : 1;
      for (let i = 0; i < burst && this.onTheirWay < this.#traffic.window; i++) this.#publish();
      this.#timer = setTimeout(step, between(this.#random, 0.5, 1.5) * this.#traffic.everyMs);
    };
    step();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #publish(): void {
    const { clientId, peer } = this.participant;
    const sequence = ++this.#count;
    const key = `${clientId}#${sequence}`;
    const qos = pick(this.#random, [0, 1, 1, 2, 2] as const);
    const topic = pick(this.#random, this.#traffic.topics);
    const bytes = chance(this.#random, 0.01) ? hugePayloadBytes : this.#random.below(largestPayloadBytes);
    const message: SentMessage = {
      key,
      publisher: clientId,
      topic,
      sequence,
      qos,
      retain: false,
      sentAtMs: performance.now(),
      acknowledgedAtMs: undefined,
      attempts: 1,
      refused: false,
    };
    this.#facts.sent.set(key, message);
    this.onTheirWay++;
    void this.#follow(message, peer.publish(topic, payloadOf(key, bytes), qos, false));
  }

  async #follow(message: SentMessage, fate: Promise<Fate>): Promise<void> {
    const known = await fate;
    this.onTheirWay--;
    if (known === 'acknowledged') {
      message.acknowledgedAtMs = performance.now();
      if (message.qos > 0) this.#moments.now('acknowledgement');
    } else if (known === 'refused') {
      message.refused = true;
      // No limit is near: the broker has no reason.
      this.#facts.complain(`REFUSED: ${message.key} at QoS ${message.qos}`);
    } else if (message.qos > 0 && this.participant.mustKnow)
      this.#facts.complain(`UNKNOWN: what became of ${message.key} at QoS ${message.qos}`);
  }
}

export type Subscribing = {
  readonly filter: string;
  readonly qos: Qos;
  readonly group?: string;
  /** Reads nothing now and then. */ readonly lazy?: boolean;
};

const lazyMs = 5000;

export class Subscriber {
  readonly participant: Participant;
  readonly facts: SubscriberFacts;
  readonly #random: Random;
  readonly #moments: Moments;
  #isPaused = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(port: number, facts: Facts, random: Random, moments: Moments, making: Making, subscribing: Subscribing) {
    const { filter, qos, group, lazy = false } = subscribing;
    const { clientId, version = 5, durable = true } = making;
    this.#random = random;
    this.#moments = moments;
    this.facts = { clientId, version, filter, qos, durable, group, subscribedAtMs: undefined, received: [] };
    facts.subscribers.push(this.facts);
    this.participant = new Participant(port, facts, making, {
      onConnect: () => {
        if (this.#isPaused) this.participant.peer.pause();
      },
      onMessage: (message) => this.#take(facts, message),
    });
    if (lazy) this.#beLazy();
  }

  /** Resolves when the broker has acknowledged it. */
  async subscribe(): Promise<void> {
    const { filter, qos, group, clientId } = this.facts;
    const granted = await this.participant.peer.subscribe(group === undefined ? filter : `$share/${group}/${filter}`, qos);
    if (granted !== qos) throw new Error(`${clientId} was granted ${granted} instead of QoS ${qos}`);
    this.facts.subscribedAtMs = performance.now();
    this.#moments.now('subscription');
  }

  #take(facts: Facts, { topic, payload, qos, dup }: PeerMessage): void {
    const key = keyOf(payload);
    if (key === undefined)
      return facts.complain(`BROKEN: ${this.participant.clientId} got a payload of ${payload.length} bytes that nobody sent`);
    this.facts.received.push({ key, topic, qos, dup, connection: this.participant.connections, atMs: performance.now() });
    if (qos === 2) this.#moments.now('delivery');
  }

  #beLazy(): void {
    const step = (): void => {
      this.#isPaused = !this.#isPaused;
      if (this.#isPaused) this.participant.peer.pause();
      else this.participant.peer.resume();
      this.#timer = setTimeout(step, between(this.#random, 0.2, 1) * lazyMs);
    };
    this.#timer = setTimeout(step, lazyMs);
  }

  beDiligent(): void {
    clearTimeout(this.#timer);
    this.#isPaused = false;
    this.participant.peer.resume();
  }
}
