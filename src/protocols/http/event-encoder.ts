// Messages as events of a stream: Server-Sent Events (the HTML standard, §9.2) or JSON lines. What goes to many streams is encoded once.

import { isUtf8 } from 'node:buffer';
import type { Message } from '../../message/message.ts';
import { valueOfMessage, type Delivered } from './message-value.ts';

/**
 * `json`: an event's data is the message as JSON. `payload`: its payload alone, as lines of text; what is not UTF-8 is base64 in an event
 * named `binary`. `lines`: JSON lines.
 */
export type EventFormat = 'json' | 'payload' | 'lines';

const plain: Delivered = {};

export class EventEncoder {
  readonly #turn: { atEnd(task: () => void): void };
  /** What was encoded last in this turn, by format. */
  readonly #last = new Map<EventFormat, { readonly message: Message; readonly retained: boolean; readonly bytes: Uint8Array }>();

  constructor(turn: { atEnd(task: () => void): void }) {
    this.#turn = turn;
  }

  /** An event without an id. */
  shared(message: Message, format: EventFormat, retained: boolean): Uint8Array {
    const last = this.#last.get(format);
    if (last !== undefined && last.message === message && last.retained === retained) return last.bytes;
    const bytes = new Uint8Array(Buffer.from(eventText(message, format, retained ? { retained } : plain)));
    if (this.#last.size === 0) this.#turn.atEnd(() => this.#last.clear());
    this.#last.set(format, { message, retained, bytes });
    return bytes;
  }
}

export function eventText(message: Message, format: EventFormat, delivered: Delivered, id?: string): string {
  if (format === 'lines') {
    const value = valueOfMessage(message, 'json', delivered);
    return `${JSON.stringify(id === undefined ? value : { ...value, id })}\n`;
  }
  const head = id === undefined ? '' : `id: ${id}\n`;
  if (format === 'json') return `${head}data: ${JSON.stringify(valueOfMessage(message, 'json', delivered))}\n\n`;
  const payload = message.payload();
  if (!isUtf8(payload)) return `${head}event: binary\ndata: ${Buffer.from(payload).toString('base64')}\n\n`;
  const lines = Buffer.from(payload)
    .toString('utf8')
    .split(/\r\n|\r|\n/);
  return `${head}${lines.map((line) => `data: ${line}\n`).join('')}\n`;
}
