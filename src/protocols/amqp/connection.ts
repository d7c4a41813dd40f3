// One AMQP connection. Under construction: answers the protocol header and closes.

import type { Connection, Wire } from '../protocol.ts';
import type { AmqpServer } from './server.ts';

export class AmqpConnection implements Connection {
  readonly #wire: Wire;
  readonly #server: AmqpServer;

  constructor(server: AmqpServer, wire: Wire) {
    this.#server = server;
    this.#wire = wire;
    server.counters.connections++;
  }

  receive(): void {
    const header = Buffer.from('AMQP\0\x01\0\0', 'latin1');
    this.#wire.output.write(header, 0, header.length);
    this.#wire.close();
  }

  onDrained(): void {}
  onDeadline(): void {}

  onClosed(): void {
    this.#server.counters.connections--;
  }

  shutDown(): void {
    this.#wire.close();
  }
}
