// Messages of the simulation in AMQP's form: a header where it says something, application properties for selectors, one data section.

import { encodeValue, MessageSections, scanMessage, type AmqpEntry, type AmqpValue } from '../../src/protocols/amqp/codec/index.ts';

export type TextOptions = {
  readonly priority?: number;
  readonly color?: string;
  /** Milliseconds. */
  readonly delay?: number;
  readonly groupId?: string;
};

const text = new TextEncoder();
const fromText = new TextDecoder();

export function encodeText(payload: string, { priority, color, delay, groupId }: TextOptions = {}): Uint8Array {
  const parts: Uint8Array[] = [];
  if (priority !== undefined)
    parts.push(
      section(0x70, [
        { type: 'boolean', value: true },
        { type: 'ubyte', value: priority },
      ]),
    );
  if (delay !== undefined) {
    const entry: AmqpEntry = [
      { type: 'symbol', value: 'x-opt-delivery-delay' },
      { type: 'long', value: BigInt(delay) },
    ];
    parts.push(described(0x72, { type: 'map', value: [entry] }));
  }
  if (groupId !== undefined) {
    const nulls = Array.from({ length: 10 }, (): AmqpValue => ({ type: 'null', value: null }));
    parts.push(section(0x73, [...nulls, { type: 'string', value: groupId }]));
  }
  if (color !== undefined) {
    const entry: AmqpEntry = [
      { type: 'string', value: 'color' },
      { type: 'string', value: color },
    ];
    parts.push(described(0x74, { type: 'map', value: [entry] }));
  }
  parts.push(described(0x75, { type: 'binary', value: text.encode(payload) }));
  return Buffer.concat(parts);
}

const sections = new MessageSections();

/** The text of its first data section; undefined: it has none, or cannot be read. */
export function decodeText(message: Uint8Array): string | undefined {
  if (scanMessage(message, 0, message.length, sections) !== undefined || sections.dataStart < 0) return undefined;
  return fromText.decode(message.subarray(sections.dataStart, sections.dataEnd));
}

/** What is asked of a coordinator. */
export function encodeRequest(code: number, fields: readonly AmqpValue[]): Uint8Array {
  const request: AmqpValue = {
    type: 'described',
    descriptor: { type: 'ulong', value: BigInt(code) },
    value: { type: 'list', value: fields },
  };
  return described(0x77, request);
}

function section(code: number, fields: readonly AmqpValue[]): Uint8Array {
  return described(code, { type: 'list', value: fields });
}

function described(code: number, value: AmqpValue): Uint8Array {
  return encodeValue({ type: 'described', descriptor: { type: 'ulong', value: BigInt(code) }, value });
}
