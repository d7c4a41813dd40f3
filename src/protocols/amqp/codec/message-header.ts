// The header of a message [AMQP 3.2.1].

import type { AmqpFault } from './amqp-fault.ts';
import { CompactReader } from './compact-reader.ts';
import { FormatCode } from './format-code.ts';
import { SectionCode } from './message-sections.ts';

/** To be used again and again. Holds the defaults where a header, or one of its fields, is absent. */
export class HeaderFields {
  durable = false;
  priority = 4;
  /** Milliseconds; -1: none. */
  ttl = -1;
  firstAcquirer = false;
  deliveryCount = 0;

  reset(): void {
    this.durable = false;
    this.priority = 4;
    this.ttl = -1;
    this.firstAcquirer = false;
    this.deliveryCount = 0;
  }
}

const reader = new CompactReader();

/** Decodes the value of a header section: MessageSections.headerStart to headerEnd. */
export function decodeHeader(bytes: Uint8Array, start: number, end: number, into: HeaderFields): AmqpFault | undefined {
  if (!reader.enterList(bytes, start, end, 5, 'header')) return reader.fault;
  into.durable = reader.flag();
  const priority = reader.ubyte();
  into.priority = priority < 0 ? 4 : priority;
  into.ttl = reader.uint();
  into.firstAcquirer = reader.flag();
  const deliveryCount = reader.uint();
  into.deliveryCount = deliveryCount < 0 ? 0 : deliveryCount;
  return reader.leave('header');
}

/** The longest header section. */
export const maxHeaderBytes = 20;

/** Writes a header section into `buffer`, which has room for `maxHeaderBytes`; returns where it ends. Nothing if all is as by default. */
export function writeHeader(buffer: Uint8Array, start: number, header: Readonly<Omit<HeaderFields, 'reset'>>): number {
  const count =
    header.deliveryCount > 0 ? 5 : header.firstAcquirer ? 4 : header.ttl >= 0 ? 3 : header.priority !== 4 ? 2 : header.durable ? 1 : 0;
  if (count === 0) return start;
  buffer[start] = FormatCode.described;
  buffer[start + 1] = FormatCode.smallulong;
  buffer[start + 2] = SectionCode.header;
  buffer[start + 3] = FormatCode.list8;
  buffer[start + 5] = count;
  let at = start + 6;
  buffer[at++] = header.durable ? FormatCode.true : FormatCode.false;
  if (count > 1) {
    if (header.priority === 4) {
      buffer[at++] = FormatCode.null;
    } else {
      buffer[at++] = FormatCode.ubyte;
      buffer[at++] = header.priority;
    }
  }
  if (count > 2) at = header.ttl < 0 ? writeNull(buffer, at) : writeUint(buffer, at, header.ttl);
  if (count > 3) buffer[at++] = header.firstAcquirer ? FormatCode.true : FormatCode.false;
  if (count > 4) at = writeUint(buffer, at, header.deliveryCount);
  buffer[start + 4] = at - start - 5;
  return at;
}

function writeNull(buffer: Uint8Array, at: number): number {
  buffer[at] = FormatCode.null;
  return at + 1;
}

function writeUint(buffer: Uint8Array, at: number, value: number): number {
  if (value === 0) {
    buffer[at] = FormatCode.uint0;
    return at + 1;
  }
  if (value <= 0xff) {
    buffer[at] = FormatCode.smalluint;
    buffer[at + 1] = value;
    return at + 2;
  }
  buffer[at] = FormatCode.uint;
  buffer[at + 1] = value >>> 24;
  buffer[at + 2] = value >>> 16;
  buffer[at + 3] = value >>> 8;
  buffer[at + 4] = value;
  return at + 5;
}
