// Frames to bytes.

import type { Output } from '../../../base/output.ts';
import { escape, escapeName, isEscaped } from './escaping.ts';
import type { Header, Version } from './frame.ts';

/** One header line with its line end. */
export function headerLine(name: string, value: string, version: Version): string {
  return `${escapeName(name, version)}:${escape(value, version)}\n`;
}

/** Command and headers; the empty line that ends the head does not belong to it. */
export function headText(command: string, headers: readonly Header[], version: Version): string {
  const escaping = isEscaped(command) ? version : '1.0';
  let text = `${command}\n`;
  for (const [name, value] of headers) text += headerLine(name, value, escaping);
  return text;
}

/** Writes a frame: a head as headText gives it, and a body. Returns its length. */
export function writeFrame(output: Output, head: string, body: Uint8Array, start = 0, end: number = body.length): number {
  // No character takes more than three bytes per UTF-16 unit.
  output.reserve(head.length * 3 + 1);
  const { buffer } = output;
  const target = Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  const headBytes = target.write(head, output.position);
  target[output.position + headBytes] = lineFeed;
  output.position += headBytes + 1;
  if (end > start) output.write(body, start, end);
  output.reserve(1);
  output.buffer[output.position++] = 0;
  return headBytes + 2 + end - start;
}

const lineFeed = 0x0a;

/** A heart-beat (STOMP 1.2, Heart-beating). */
export function writeBeat(output: Output): void {
  output.reserve(1);
  output.buffer[output.position++] = lineFeed;
}

/** A whole frame as bytes, for clients under test. */
export function encodeFrame(command: string, headers: readonly Header[], body: Uint8Array | string = '', version: Version = '1.2'): Buffer {
  return Buffer.concat([Buffer.from(`${headText(command, headers, version)}\n`), Buffer.from(body as Uint8Array), Buffer.of(0)]);
}
