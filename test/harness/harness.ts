// The real broker and the real MQTT connections in memory, on a clock that a test moves. No sockets, no waiting: when a call
// returns, everything that follows from it has happened.
//
//   const h = await startHarness({ version: 5 });
//   const c = h.connect('c').subscribe('t', { qos: 1 });
//   h.publish('t', 'x', 1);
//   c.expect('publish', { payload: 'x', qos: 1 });
//   h.advance(60_000);                                    time passes; keep-alives and expiries happen
//   h.holdJournal(); … h.releaseJournal();                nothing becomes durable in between
//   await h.crash();                                      the process dies, and starts again on what was durable
//
// Clients are described in client.ts, packets in packet.ts.

import assert from 'node:assert/strict';

import { ManualClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { Broker } from '../../src/broker/broker.ts';
import { createMqttProtocol } from '../../src/protocols/mqtt/index.ts';
import { MemoryContents, MemoryJournal } from '../../src/store/memory/memory-journal.ts';
import { TestClient } from './client.ts';
import { testLimits, testMqttOptions } from './settings.ts';
import { TestSecurity } from './security.ts';
import { MemoryWire } from './wire.ts';

import type { BrokerLimits } from '../../src/broker/limits.ts';
import type { MqttOptions, MqttProtocol } from '../../src/protocols/mqtt/index.ts';
import type { Bytes, Connect, Publish, Version } from './packet.ts';
import type { Expected } from './match.ts';

export type HarnessOptions = {
  /** Of clients that a test does not ask another version for. Default 5. */
  readonly version?: Version;
  readonly mqtt?: Partial<MqttOptions>;
  readonly limits?: Partial<BrokerLimits>;
  readonly shards?: number;
  readonly seed?: number;
};

type ConnectFields = Omit<Connect, 'type' | 'clientId'>;

/** More turns than any test needs: reached only when two parts of the server keep each other busy for ever. */
const maxTurns = 1_000_000;

export async function startHarness(options: HarnessOptions = {}): Promise<Harness> {
  const harness = new Harness(options);
  await harness.start();
  return harness;
}

export class Harness {
  readonly version: Version;
  readonly clock = new ManualClock();
  readonly security = new TestSecurity();
  broker!: Broker;
  protocol!: MqttProtocol;
  readonly #options: HarnessOptions;
  readonly #random: SeededRandom;
  readonly #contents: MemoryContents[];
  readonly #durableRows: number[];
  #wires: MemoryWire[] = [];
  #clients: TestClient[] = [];
  #publisher: TestClient | undefined;
  #atEnd: (() => void)[] = [];
  #later: (() => void)[] = [];
  #journalTasks: (() => void)[] = [];
  #journalHeld = false;
  #settling = false;
  #failure: unknown;

  constructor(options: HarnessOptions) {
    this.version = options.version ?? 5;
    this.#options = options;
    this.#random = new SeededRandom(options.seed ?? 1);
    this.#contents = Array.from({ length: options.shards ?? 1 }, () => new MemoryContents());
    this.#durableRows = this.#contents.map(() => 0);
  }

  async start(): Promise<void> {
    this.broker = new Broker({
      clock: this.clock,
      turn: { atEnd: (task) => void this.#atEnd.push(task), later: (task) => void this.#later.push(task) },
      log: silentLog,
      security: this.security,
      random: this.#random,
      limits: { ...testLimits, ...this.#options.limits },
      journals: this.#contents.map((contents) => new MemoryJournal({ contents, schedule: (task) => void this.#journalTasks.push(task) })),
      onFailed: (error) => {
        this.#failure ??= error;
      },
    });
    await this.broker.start();
    this.protocol = createMqttProtocol({
      broker: this.broker,
      security: this.security,
      clock: this.clock,
      random: this.#random,
      log: silentLog,
      options: { ...testMqttOptions, ...this.#options.mqtt },
    });
    this.settle();
  }

  // -- clients

  /** A new connection on which nothing has been said. */
  client(version: Version = this.version): TestClient {
    const client = new TestClient(version, (onBytes) => {
      const wire = new MemoryWire(onBytes, () => this.settle());
      wire.connection = this.protocol.connect(wire);
      this.#wires.push(wire);
      return wire;
    });
    this.#clients.push(client);
    return client;
  }

  /** A client whose CONNECT was accepted. Clean start unless `fields` say otherwise. */
  connect(clientId: string, fields: ConnectFields = {}, version: Version = this.version): TestClient {
    return this.client(version)
      .connect({ clientId, ...fields })
      .expect('connack', { reason: 0 });
  }

  /** A client with a session that outlives its connection by an hour; `present`: whether there must have been one. */
  session(clientId: string, fields: ConnectFields = {}, present?: boolean): TestClient {
    const client = this.client();
    const properties = { ...this.durable.properties, ...fields.properties };
    client.connect({ clientId, ...fields, clean: false, ...(this.version === 5 ? { properties } : {}) });
    const expected: Expected = present === undefined ? { reason: 0 } : { reason: 0, sessionPresent: present };
    return client.expect('connack', expected);
  }

  /** Fields of CONNECT that ask for such a session. */
  get durable(): { clean: false; properties?: { sessionExpiryInterval: number } } {
    return this.version === 5 ? { clean: false, properties: { sessionExpiryInterval: 3600 } } : { clean: false };
  }

  /** Somebody else publishes, and gets the acknowledgement. */
  publish(topic: string, payload: Bytes = '', qos = 0, retain = false, fields: Partial<Publish> = {}): void {
    if (this.#publisher === undefined || this.#publisher.closed) this.#publisher = this.connect('the-publisher');
    this.#publisher.publish(topic, payload, { qos, retain, ...fields });
  }

  // -- time and disk

  /** Lets time pass, step by step from deadline to deadline. */
  advance(ms: number): void {
    const end = this.clock.monotonicMs() + ms;
    for (;;) {
      this.settle();
      const next = Math.min(this.broker.timers.nextDeadlineMs(), ...this.#wires.map(({ deadlineMs }) => deadlineMs));
      if (next > end) break;
      this.clock.advance(Math.max(0, next - this.clock.monotonicMs()));
      this.broker.timers.advance(this.clock.monotonicMs());
    }
    this.clock.advance(end - this.clock.monotonicMs());
    this.settle();
  }

  /** From now on what is written stays not durable. */
  holdJournal(): void {
    this.#journalHeld = true;
  }

  releaseJournal(): void {
    this.#journalHeld = false;
    this.settle();
  }

  /** While the journal is held: makes durable what has been written so far, and not what follows from that. */
  commitOnce(): void {
    run(this.#journalTasks);
    this.broker.shards.forEach((shard, i) => (this.#durableRows[i] = shard.durableRow));
    this.settle();
  }

  /** The process is killed and starts again on what was durable. All connections are gone. */
  async crash(): Promise<void> {
    for (const wire of this.#wires) wire.kill();
    this.#wires = [];
    this.#clients = [];
    this.#publisher = undefined;
    this.#atEnd = [];
    this.#later = [];
    this.#journalTasks = [];
    this.#journalHeld = false;
    this.#contents.forEach((contents, shard) => {
      contents.owner = undefined;
      this.#loseUnsynced(contents, this.#durableRows[shard]!);
    });
    await this.start();
  }

  #loseUnsynced(contents: MemoryContents, durableRow: number): void {
    for (let row = durableRow + 1; row < contents.next; row++) {
      contents.bytes -= contents.rows.get(row)?.length ?? 0;
      contents.rows.delete(row);
    }
    contents.next = Math.min(contents.next, durableRow + 1);
  }

  /** Runs everything that follows from what was done, until nothing more happens. Called by everything above. */
  settle(): void {
    if (this.#settling) return;
    this.#settling = true;
    try {
      for (let turns = 0; this.#turn(); turns++) assert.ok(turns < maxTurns, 'the server does not come to rest');
    } finally {
      this.#settling = false;
    }
    this.#wires = this.#wires.filter((wire) => !wire.closed);
  }

  /** One turn of the event loop, in the order of the real one: read, end of the turn, write, disk, later. */
  #turn(): boolean {
    let busy = false;
    for (const wire of this.#wires) busy = wire.turn(this.clock.monotonicMs()) || busy;
    busy = run(this.#atEnd) || busy;
    for (const wire of this.#wires) busy = wire.flush() || busy;
    if (!this.#journalHeld) {
      busy = run(this.#journalTasks) || busy;
      this.broker.shards.forEach((shard, i) => (this.#durableRows[i] = shard.durableRow));
    }
    return run(this.#later) || busy;
  }

  /** The server is told to go down: every connection is. */
  shutDown(): void {
    for (const wire of this.#wires) wire.connection?.shutDown();
    this.settle();
  }

  // -- the end

  /** Nothing went wrong that no step of the test has looked at. */
  check(): void {
    for (const client of this.#clients) client.check();
    if (this.#failure !== undefined) throw this.#failure as Error;
  }

  async stop(): Promise<void> {
    for (const wire of this.#wires) wire.drop();
    this.releaseJournal();
    const stopped = this.broker.stop();
    this.settle();
    await stopped;
  }
}

function run(tasks: (() => void)[]): boolean {
  const now = tasks.splice(0);
  for (const task of now) task();
  return now.length > 0;
}
