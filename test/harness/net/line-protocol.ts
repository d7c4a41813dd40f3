// The smallest protocol that exercises a wire: lines in, lines out. A line is a command; anything unknown is echoed.

import type { Connection, Protocol, Wire } from '../../../src/protocols/protocol.ts';

export class LineConnection implements Connection {
  readonly wire: Wire;
  /** What happened, in order: `receive`, `drained`, `deadline`, `closed`, `shutDown`. */
  readonly events: string[] = [];
  readonly lines: string[] = [];
  received = 0;
  #rest = '';

  constructor(wire: Wire) {
    this.wire = wire;
  }

  say(text: string): void {
    const bytes = Buffer.from(text, 'latin1');
    this.wire.output.write(bytes, 0, bytes.length);
  }

  receive(bytes: Uint8Array): void {
    this.received += bytes.length;
    this.events.push('receive');
    const parts = (this.#rest + Buffer.from(bytes).toString('latin1')).split('\n');
    this.#rest = parts.pop()!;
    for (const line of parts) this.#command(line);
  }

  onDrained(): void {
    this.events.push('drained');
  }

  onDeadline(): void {
    this.events.push('deadline');
    this.say('deadline\n');
  }

  onClosed(): void {
    this.events.push('closed');
  }

  shutDown(): void {
    this.events.push('shutDown');
    this.say('bye\n');
    this.wire.close();
  }

  #command(line: string): void {
    this.lines.push(line);
    const [word, argument] = line.split(' ');
    if (word === 'close') {
      this.say('closing\n');
      this.wire.close();
    } else if (word === 'abort') {
      this.say('never seen\n');
      this.wire.abort();
    } else if (word === 'big') this.say(`${'x'.repeat(Number(argument))}\n`);
    else if (word === 'throw') throw new Error('a broken handler');
    else if (word === 'deadline') this.wire.setDeadline(performance.now() + Number(argument));
    else this.say(`${line}\n`);
  }
}

export class LineProtocol implements Protocol {
  readonly name = 'mqtt';
  readonly webSocketProtocols: readonly string[] = ['mqtt', 'mqttv3.1'];
  readonly connections: LineConnection[] = [];

  connect(wire: Wire): LineConnection {
    const connection = new LineConnection(wire);
    this.connections.push(connection);
    return connection;
  }

  get last(): LineConnection {
    return this.connections.at(-1)!;
  }
}
