// A simulated AMQP client: keeps its links over connections, and connects again when it has lost one.

import type { Facts } from '../facts.ts';
import { between, chance } from '../random-choices.ts';
import type { LinkEnd, SimLink } from '../sim-link.ts';
import type { World } from '../world.ts';
import { AmqpEnd } from './amqp-end.ts';

export type SimAmqpClientOptions = {
  readonly containerId: string;
  readonly username: string;
  /** It keeps deliveries over connections, whose list must fit into a frame. */
  readonly durable: boolean;
};

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
  readonly world: World;
  readonly facts: Facts;
  readonly roles: Role[] = [];
  /** Counts its connections. */
  connection = 0;
  #link: SimLink | undefined = undefined;
  #end: AmqpEnd | undefined = undefined;

  constructor(world: World, facts: Facts, options: SimAmqpClientOptions) {
    this.world = world;
    this.facts = facts;
    this.options = options;
  }

  get link(): SimLink | undefined {
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
    if (this.#link?.open === true) return;
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
    this.world.after(between(this.world.random, 1, 1000), () => this.connect());
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
