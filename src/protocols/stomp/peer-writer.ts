// What is written to one client. Everything counts, and is shown to who watches.

import type { Output } from '../../base/output.ts';
import type { Message } from '../../message/message.ts';
import {
  type Frame,
  type Header,
  headerLine,
  headText,
  type StompFault,
  type Version,
  versions,
  writeBeat,
  writeFrame,
} from './codec/index.ts';
import type { ServerCommand } from './counters.ts';
import { messageLines } from './convert.ts';
import type { Style } from './destination.ts';
import type { StompServer } from './server.ts';
import { frameInWords } from './trace.ts';

const nothing = new Uint8Array(0);

export class PeerWriter {
  version: Version = '1.2';
  clientId = '';
  /** Something was written since this was set to false: no heart-beat is needed. */
  wrote = false;
  readonly output: Output;
  readonly #server: StompServer;
  #traceVersion = -1;
  #watched = false;

  constructor(server: StompServer, output: Output) {
    this.#server = server;
    this.output = output;
  }

  frame(command: ServerCommand, headers: readonly Header[], body: Uint8Array = nothing): void {
    this.wrote = true;
    this.#server.counters.sent[command]++;
    writeFrame(this.output, headText(command, headers, this.version), body);
    if (this.watched) this.show('out', command, headers, body.length);
  }

  receipt(id: string): void {
    this.frame('RECEIPT', [['receipt-id', id]]);
  }

  /** The connection ends after it. `receipt`: that the frame asked for which is at fault. */
  error({ message, details }: StompFault, receipt: string | undefined): void {
    const body = Buffer.from(`${details === '' ? message : details}\n`);
    const headers: Header[] = [
      ['message', message],
      ['content-type', 'text/plain'],
      ['content-length', String(body.length)],
      // STOMP 1.2, Protocol Negotiation: which versions there are.
      ['version', versions.join(',')],
    ];
    if (receipt !== undefined) headers.push(['receipt-id', receipt]);
    this.frame('ERROR', headers, body);
  }

  /** `own`: the header lines that belong to this delivery. */
  message(own: string, message: Message, style: Style): void {
    this.wrote = true;
    this.#server.counters.sent.MESSAGE++;
    const head = `MESSAGE\n${own}content-length:${message.payloadBytes}\n${messageLines(message, style, this.version)}`;
    writeFrame(this.output, head, message.buffer, message.start, message.end);
    if (this.watched) this.show('out', 'MESSAGE', [['destination', message.topic]], message.payloadBytes);
  }

  line(name: string, value: string): string {
    return headerLine(name, value, this.version);
  }

  beat(): void {
    writeBeat(this.output);
  }

  get watched(): boolean {
    const { trace } = this.#server.parts;
    if (trace.version !== this.#traceVersion) {
      this.#traceVersion = trace.version;
      this.#watched = trace.wants(this.clientId);
    }
    return this.#watched;
  }

  received({ command, headers, bodyBytes }: Frame): void {
    if (this.watched) this.show('in', command, headers, bodyBytes);
  }

  show(direction: 'in' | 'out', command: string, headers: readonly Header[], bodyBytes: number): void {
    this.#server.parts.trace.packet(this.clientId, direction, frameInWords(command, headers, bodyBytes));
  }
}
