// A simulated AMQP client: keeps its links over connections, and connects again when it has lost one.

import type { Facts } from '../facts.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { Random } from '../../src/base/random.ts';
import { between, chance } from '../random-choices.ts';
import type { LinkEnd } from '../sim-link.ts';
import { AmqpEnd } from './amqp-end.ts';

export type SimAmqpClientOptions = {
  readonly containerId: string;
  /** Empty: nobody. */
  readonly username: string;
  /** It keeps deliveries over connections, whose list must fit into a frame. */
  readonly durable: boolean;
};

/** A connection to a broker, simulated or real. */
export interface AmqpNetworkLink {
  readonly open: boolean;
  /** The client does not read. */
  stalled: boolean;
  unstall(): void;
  send(bytes: Uint8Array): void;
  /** The client ends it, without a word: LinkEnd.lost follows. */
  drop(): void;
}

/** What a client lives in: the simulated world, or the real one. */
export interface Surroundings {
  readonly random: Random;
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly nowMs: number;
  after(ms: number, task: () => void): void;
  /** Undefined: nobody is there. */
  connect(client: LinkEnd, protocol: 'amqp'): AmqpNetworkLink | undefined;
  /** A text that begins with the key and `|`, of about so many bytes. */
  payload(key: string, bytes: number): string;
}

/** Something of a client that has one link, or several, in each of its connections. */
export interface Role {
  /** The connection is open: attach. */
  opened(end: AmqpEnd): void;
  /** The connection is gone. */
  lost(): void;
  /** Nothing is left to be done. */
  readonly idle: boolean;
  readonly name: string;
  /** For messages: what it waits for. */
  waitsFor?(): string;
}

export class SimAmqpClient implements LinkEnd {
  readonly options: SimAmqpClientOptions;
  readonly world: Surroundings;
  readonly facts: Facts;
  readonly roles: Role[] = [];
  /** Counts its connections. */
  connection = 0;
  /** It wants to be connected. */
  active = true;
  #link: AmqpNetworkLink | undefined = undefined;
  #end: AmqpEnd | undefined = undefined;

  constructor(world: Surroundings, facts: Facts, options: SimAmqpClientOptions) {
    this.world = world;
    this.facts = facts;
    this.options = options;
  }

  get link(): AmqpNetworkLink | undefined {
    return this.#link;
  }

  get connected(): boolean {
    return this.#end?.isOpen === true;
  }

  get idle(): boolean {
    return this.roles.every(({ idle }) => idle);
  }

  get waitsFor(): string {
    return this.roles
      .filter(({ idle }) => !idle)
      .map((role) => `${role.name}${role.waitsFor === undefined ? '' : ` (${role.waitsFor()})`}`)
      .join(', ');
  }

  connect(): void {
    if (!this.active || this.#link?.open === true) return;
    const { random } = this.world;
    const link = this.world.connect(this, 'amqp');
    if (link === undefined) return this.#retry();
    this.#link = link;
    const connection = ++this.connection;
    const { containerId, username, durable } = this.options;
    const maxFrameSize = chance(random, 0.5) ? (durable ? 4096 : 512) : 16_384;
    const end = new AmqpEnd(
      { containerId, username, password: 'secret', maxFrameSize, pipelined: chance(random, 0.5) },
      {
        send: (bytes) => {
          if (link.open) link.send(bytes);
        },
        opened: () => {
          for (const role of this.roles) role.opened(end);
        },
        ended: (why, fault) => {
          if (fault) this.complain(why);
          // Not from within what it is being handed.
          this.world.after(0, () => link.drop());
        },
      },
    );
    this.#end = end;
    end.begin();
    this.world.after(5000, () => {
      if (this.connection === connection && !this.connected && link.open) link.drop();
    });
    this.#beat(connection);
  }

  #beat(connection: number): void {
    this.world.after(20_000, () => {
      if (this.connection !== connection || this.#link?.open !== true) return;
      this.#end?.beat();
      this.#beat(connection);
    });
  }

  receive(bytes: Uint8Array): void {
    this.#end!.receive(bytes);
  }

  lost(): void {
    this.#end = undefined;
    for (const role of this.roles) role.lost();
    this.#retry();
  }

  #retry(): void {
    if (this.active) this.world.after(between(this.world.random, 1, 1000), () => this.connect());
  }

  drop(): void {
    if (chance(this.world.random, 0.3)) this.#end?.close();
    this.#link?.drop();
  }

  /** Now, or after a while on the same connection. */
  later(task: () => void): void {
    const { connection } = this;
    if (chance(this.world.random, 0.8)) return task();
    this.world.after(between(this.world.random, 0, 200), () => {
      if (connection === this.connection && this.connected) task();
    });
  }

  complain(what: string): void {
    this.facts.complain(`${this.options.containerId}: ${what}`);
  }
}
