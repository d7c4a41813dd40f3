// What `heliograph bench` does.

import { performance } from 'node:perf_hooks';
import { MqttClient, endpointOf, endpointText, type IncomingMessage } from '../client/index.ts';
import type { BenchOptions } from './bench.ts';
import { inWords } from './connection-problem.ts';
import { connectionOf, type Connection } from './connection.ts';
import { Latencies } from './latencies.ts';
import { TemporaryBroker } from './temporary-broker.ts';

/** Above this share of its time the client cannot send or receive more, whatever the broker could. */
const busyClient = 0.85;
const pumpEveryMs = 5;
/** After the last message was sent: how long nothing may arrive before the rest counts as lost. */
const quietMs = 1000;

type BenchResult = {
  readonly broker: string;
  readonly pairs: number;
  readonly qos: number;
  readonly payloadBytes: number;
  readonly seconds: number;
  readonly sent: number;
  readonly received: number;
  readonly sentPerSecond: number;
  readonly receivedPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly longestMs: number;
  /** Share of the time in which the client was busy. */
  readonly clientBusy: number;
  readonly clientWasTheLimit: boolean;
};

export async function bench(options: BenchOptions): Promise<void> {
  const broker = options.temporary === true ? await TemporaryBroker.start() : undefined;
  try {
    const connection = await connectionFor(options, broker);
    try {
      const result = await measure(options, connection);
      process.stdout.write(options.json === true ? `${JSON.stringify(result, null, 2)}\n` : inText(result));
    } catch (error) {
      throw inWords(error, connection);
    }
  } finally {
    await broker?.stop();
  }
}

async function connectionFor(options: BenchOptions, broker: TemporaryBroker | undefined): Promise<Connection> {
  if (broker === undefined) return connectionOf(options, process.env);
  const { version, clientId, keepAliveSec } = await connectionOf({ ...options, url: 'mqtt://localhost' }, process.env);
  return { version: version!, clientId: clientId!, keepAliveSec: keepAliveSec!, endpoint: endpointOf('tcp', '127.0.0.1', broker.port) };
}

async function measure(options: BenchOptions, connection: Connection): Promise<BenchResult> {
  const load = new Load(options, connection);
  try {
    await load.connect();
    const before = performance.eventLoopUtilization();
    const startMs = performance.now();
    await load.run();
    const seconds = (performance.now() - startMs) / 1000;
    const clientBusy = performance.eventLoopUtilization(before).utilization;
    const { sent, received } = load;
    await load.untilArrived();
    return {
      broker: endpointText(connection.endpoint),
      pairs: options.pairs,
      qos: options.qos,
      payloadBytes: options.size,
      seconds,
      sent: load.sent,
      received: load.received,
      sentPerSecond: sent / seconds,
      receivedPerSecond: received / seconds,
      p50Ms: load.latencies.quantileMs(0.5),
      p99Ms: load.latencies.quantileMs(0.99),
      longestMs: load.latencies.quantileMs(1),
      clientBusy,
      clientWasTheLimit: clientBusy > busyClient,
    };
  } finally {
    load.destroy();
  }
}

class Load {
  sent = 0;
  received = 0;
  readonly latencies = new Latencies();
  readonly #options: BenchOptions;
  readonly #publishers: readonly Publisher[];
  readonly #subscribers: readonly MqttClient[];
  /** Number of the last message that each publisher may send by now. */
  #due = 0;
  #failure: Error | undefined;

  constructor(options: BenchOptions, connection: Connection) {
    this.#options = options;
    // Names of their own: the one that was given, with numbers.
    const named = (role: string, i: number) => ({
      ...connection,
      clientId: connection.clientId === '' || connection.clientId === undefined ? '' : `${connection.clientId}-${role}${i}`,
      onEnd: (error: Error) => (this.#failure ??= error),
    });
    const numbers = Array.from({ length: options.pairs }, (_, i) => i);
    this.#subscribers = numbers.map((i) => new MqttClient({ ...named('s', i), onMessage: (message) => this.#take(message) }));
    this.#publishers = numbers.map((i) => new Publisher(new MqttClient({ ...named('p', i), maxInFlight: options.window }), i));
  }

  async connect(): Promise<void> {
    const { prefix, qos } = this.#options;
    await Promise.all([...this.#subscribers, ...this.#publishers.map(({ client }) => client)].map((client) => client.connect()));
    await Promise.all(this.#subscribers.map((client, i) => client.subscribe([{ filter: `${prefix}/${i}`, qos }])));
  }

  /** Resolves when the time is over, or everything is sent and settled. @throws ClientError */
  async run(): Promise<void> {
    const { seconds, count = Infinity, rate, qos } = this.#options;
    this.#due = rate === undefined ? count : 0;
    const startMs = performance.now();
    const endMs = count === Infinity ? startMs + seconds * 1000 : Infinity;
    for (let nowMs = startMs; nowMs < endMs && this.#failure === undefined; nowMs = performance.now()) {
      if (rate !== undefined) this.#due = Math.min(count, Math.floor(((nowMs - startMs) / 1000) * rate) + 1);
      for (const publisher of this.#publishers) this.#pump(publisher);
      if (this.#publishers.every(({ settled }) => settled >= count)) break;
      await (qos === 0 && rate === undefined ? nextTurn() : sleep(pumpEveryMs));
    }
    this.#due = 0;
    if (this.#failure !== undefined) throw this.#failure;
  }

  async untilArrived(): Promise<void> {
    let last = -1;
    for (let quietSinceMs = performance.now(); this.received < this.sent && performance.now() - quietSinceMs < quietMs;) {
      if (this.received !== last) quietSinceMs = performance.now();
      last = this.received;
      await sleep(pumpEveryMs);
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  destroy(): void {
    for (const { client } of this.#publishers) client.destroy();
    for (const client of this.#subscribers) client.destroy();
  }

  /** Keeps as many messages under way as the window allows, up to the one that is due. */
  #pump(publisher: Publisher): void {
    const { size, window } = this.#options;
    while (publisher.sent < this.#due && publisher.sent - publisher.settled < window) {
      const payload = Buffer.alloc(size);
      payload.writeDoubleLE(performance.now());
      publisher.sent++;
      this.sent++;
      void this.#publish(publisher, payload);
    }
  }

  async #publish(publisher: Publisher, payload: Buffer): Promise<void> {
    const { prefix, qos } = this.#options;
    try {
      await publisher.client.publish({ topic: `${prefix}/${publisher.index}`, payload, qos });
    } catch (error) {
      this.#failure ??= error as Error;
      return;
    }
    publisher.settled++;
    // At QoS 0 a message is settled as soon as it is written: going on from here would never let anything else happen.
    if (qos > 0) this.#pump(publisher);
  }

  #take({ payload }: IncomingMessage): void {
    this.received++;
    this.latencies.add(performance.now() - new DataView(payload.buffer, payload.byteOffset).getFloat64(0, true));
  }
}

class Publisher {
  readonly client: MqttClient;
  readonly index: number;
  sent = 0;
  settled = 0;

  constructor(client: MqttClient, index: number) {
    this.client = client;
    this.index = index;
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function inText(result: BenchResult): string {
  const whole = (value: number): string => Math.round(value).toLocaleString('en-US');
  const lost = result.sent - result.received;
  const lines = [
    `${result.pairs} publisher${result.pairs === 1 ? '' : 's'} to as many subscribers at ${result.broker}, QoS ${result.qos}, ${result.payloadBytes} bytes, ${result.seconds.toFixed(1)} s`,
    `  sent      ${whole(result.sent)} (${whole(result.sentPerSecond)} a second)`,
    `  received  ${whole(result.received)} (${whole(result.receivedPerSecond)} a second)${lost > 0 ? `, ${whole(lost)} never arrived` : ''}`,
    `  latency   half within ${result.p50Ms.toFixed(1)} ms, 99% within ${result.p99Ms.toFixed(1)} ms, longest ${result.longestMs.toFixed(1)} ms`,
    `  client    busy ${Math.round(result.clientBusy * 100)}% of the time${result.clientWasTheLimit ? ': it was the limit, not the broker' : ''}`,
  ];
  return `${lines.join('\n')}\n`;
}
