// Bytes to frames (STOMP 1.2, Augmented BNF). Three answers: a frame, more is needed, or a fault. What is kept of a frame that is
// not whole never exceeds the limits, which are looked at while it comes. A frame that comes in one piece is not copied.

import { isUtf8 } from 'node:buffer';
import { isEscaped, unescape } from './escaping.ts';
import { StompFault } from './fault.ts';
import { Frame, type Header, type Version } from './frame.ts';

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const firstKeptBytes = 256;

export type FrameLimits = {
  /** Command and headers, with their line ends. */
  readonly maxHeadBytes: number;
  readonly maxHeaders: number;
  readonly maxBodyBytes: number;
};

export interface FrameSink {
  /** A whole frame; its body is valid during the call. Returns whether the next one may follow now. */
  frame(frame: Frame): boolean;
}

type Head = { readonly command: string; readonly headers: readonly Header[]; readonly bodyBytes: number | undefined };

export class FrameReader {
  version: Version = '1.2';
  limits: FrameLimits;
  /** What of the last bytes was not looked at, because the sink wanted nothing more: they begin here. -1: all was. */
  rest = -1;
  /** What of the frame has come: its head first, then its body. */
  #kept = new Uint8Array(0);
  #keptBytes = 0;
  /** Where to go on looking for the end of the head. */
  #scanned = 0;
  #lineStart = 0;
  #head: Head | undefined = undefined;
  /** Only line ends have come since the last frame. */
  #isBetween = true;
  #pendingReturn = false;

  constructor(limits: FrameLimits) {
    this.limits = limits;
  }

  /** Any cut. Returns why the connection must end, if it must; nothing may be pushed after that. */
  push(bytes: Uint8Array, sink: FrameSink): StompFault | undefined {
    this.rest = -1;
    let at = 0;
    while (at < bytes.length) {
      const next = this.#head === undefined ? this.#readHead(bytes, at, sink) : this.#readBody(bytes, at, sink);
      if (next instanceof StompFault) return next;
      at = next;
      if (this.rest >= 0) return undefined;
    }
    return undefined;
  }

  /** Bytes of a frame that is not whole. */
  get keptBytes(): number {
    return this.#keptBytes;
  }

  #readHead(bytes: Uint8Array, from: number, sink: FrameSink): number | StompFault {
    let at = from;
    if (this.#isBetween) {
      at = this.#skipLineEnds(bytes, at);
      if (at < 0) return new StompFault('malformed frame', 'a carriage return without a line feed between frames');
      if (at === bytes.length) return at;
      this.#isBetween = false;
    }
    if (this.#keptBytes === 0) {
      const end = endOfHead(bytes, at);
      if (end >= 0) return this.#headEnds(bytes, at, end, bytes, end, sink);
      if (bytes.length - at > this.limits.maxHeadBytes) return this.#headTooLarge();
      this.#keep(bytes, at, bytes.length, this.limits.maxHeadBytes);
      this.#scan();
      return bytes.length;
    }
    return this.#continueHead(bytes, at, sink);
  }

  /** The head has come in pieces: byte for byte into what is kept, up to its end. */
  #continueHead(bytes: Uint8Array, from: number, sink: FrameSink): number | StompFault {
    const { maxHeadBytes } = this.limits;
    for (let at = from; at < bytes.length;) {
      // Line by line, so that nothing of the body is taken.
      let end = bytes.indexOf(lineFeed, at);
      end = end < 0 ? bytes.length : end + 1;
      if (this.#keptBytes + end - at > maxHeadBytes) return this.#headTooLarge();
      this.#keep(bytes, at, end, maxHeadBytes);
      at = end;
      if (this.#scan()) {
        const [kept, length] = [this.#kept, this.#keptBytes];
        this.#forget();
        return this.#headEnds(kept, 0, length, bytes, at, sink);
      }
    }
    return bytes.length;
  }

  /** Looks whether what is kept ends with an empty line. */
  #scan(): boolean {
    for (; this.#scanned < this.#keptBytes; this.#scanned++) {
      if (this.#kept[this.#scanned] !== lineFeed) continue;
      const length = this.#scanned - this.#lineStart;
      const isEmpty = length === 0 || (length === 1 && this.#kept[this.#lineStart] === carriageReturn);
      this.#lineStart = this.#scanned + 1;
      if (isEmpty) return true;
    }
    return false;
  }

  #headEnds(head: Uint8Array, start: number, end: number, bytes: Uint8Array, at: number, sink: FrameSink): number | StompFault {
    if (end - start > this.limits.maxHeadBytes) return this.#headTooLarge();
    const parsed = this.#parse(head, start, end);
    if (parsed instanceof StompFault) return parsed;
    this.#head = parsed;
    return at < bytes.length ? this.#readBody(bytes, at, sink) : at;
  }

  #readBody(bytes: Uint8Array, from: number, sink: FrameSink): number | StompFault {
    const { bodyBytes } = this.#head!;
    const { maxBodyBytes } = this.limits;
    if (bodyBytes !== undefined) {
      const missing = bodyBytes - this.#keptBytes;
      const end = from + missing;
      if (end >= bytes.length) {
        this.#keep(bytes, from, bytes.length, bodyBytes);
        return bytes.length;
      }
      if (bytes[end] !== 0) return new StompFault('malformed frame', 'the body is longer than its content-length says');
      return this.#bodyEnds(bytes, from, end, sink);
    }
    const end = bytes.indexOf(0, from);
    if (this.#keptBytes + (end < 0 ? bytes.length : end) - from > maxBodyBytes) return bodyTooLarge(maxBodyBytes);
    if (end >= 0) return this.#bodyEnds(bytes, from, end, sink);
    this.#keep(bytes, from, bytes.length, maxBodyBytes);
    return bytes.length;
  }

  #bodyEnds(bytes: Uint8Array, from: number, end: number, sink: FrameSink): number {
    const { command, headers } = this.#head!;
    let frame: Frame;
    if (this.#keptBytes === 0) {
      frame = new Frame(command, headers, bytes, from, end);
    } else {
      this.#keep(bytes, from, end, this.#keptBytes + end - from);
      frame = new Frame(command, headers, this.#kept, 0, this.#keptBytes);
    }
    this.#head = undefined;
    this.#isBetween = true;
    this.#forget();
    if (!sink.frame(frame)) this.rest = end + 1;
    return end + 1;
  }

  /** Returns where something else begins; -1 when a carriage return stands alone. */
  #skipLineEnds(bytes: Uint8Array, from: number): number {
    let at = from;
    for (; at < bytes.length; at++) {
      const byte = bytes[at];
      if (byte === lineFeed) this.#pendingReturn = false;
      else if (this.#pendingReturn) return -1;
      else if (byte === carriageReturn) this.#pendingReturn = true;
      else break;
    }
    return at;
  }

  #parse(bytes: Uint8Array, start: number, end: number): Head | StompFault {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
    if (!isUtf8(view)) return new StompFault('malformed frame', 'command and headers are not well-formed UTF-8');
    const lines = view.toString('utf8').split('\n');
    // The empty line, and what follows its line feed.
    lines.length -= 2;
    const command = withoutReturn(lines[0] ?? '');
    if (lines.length - 1 > this.limits.maxHeaders) return new StompFault('too many headers', `at most ${this.limits.maxHeaders} are taken`);
    const version = isEscaped(command) ? this.version : '1.0';
    const headers: Header[] = [];
    let bodyBytes: number | undefined;
    for (let i = 1; i < lines.length; i++) {
      const header = headerOf(withoutReturn(lines[i]!), version);
      if (header instanceof StompFault) return header;
      headers.push(header);
      if (bodyBytes !== undefined || header[0] !== 'content-length') continue;
      if (!/^ *\d{1,15} *$/.test(header[1])) return new StompFault('malformed frame', 'content-length is not a number of bytes');
      bodyBytes = Number(header[1]);
      if (bodyBytes > this.limits.maxBodyBytes) return bodyTooLarge(this.limits.maxBodyBytes);
    }
    return { command, headers, bodyBytes };
  }

  /** Grows as bytes come, so that nobody makes it large by saying how much is to follow. */
  #keep(bytes: Uint8Array, start: number, end: number, most: number): void {
    const needed = this.#keptBytes + end - start;
    if (needed > this.#kept.length) {
      const grown = new Uint8Array(Math.max(needed, Math.min(most, Math.max(firstKeptBytes, this.#kept.length * 2))));
      grown.set(this.#kept.subarray(0, this.#keptBytes));
      this.#kept = grown;
    }
    this.#kept.set(bytes.subarray(start, end), this.#keptBytes);
    this.#keptBytes = needed;
  }

  #forget(): void {
    this.#kept = new Uint8Array(0);
    this.#keptBytes = 0;
    this.#scanned = 0;
    this.#lineStart = 0;
  }

  #headTooLarge(): StompFault {
    return new StompFault('headers too large', `command and headers of a frame take at most ${this.limits.maxHeadBytes} bytes`);
  }
}

function bodyTooLarge(maxBodyBytes: number): StompFault {
  return new StompFault('body too large', `the body of a frame takes at most ${maxBodyBytes} bytes`);
}

/** After the empty line that ends the head which begins at `start`; -1: it has not come. */
function endOfHead(bytes: Uint8Array, start: number): number {
  let lineStart = start;
  for (let at = bytes.indexOf(lineFeed, start); at >= 0; at = bytes.indexOf(lineFeed, lineStart)) {
    if (at === lineStart || (at === lineStart + 1 && bytes[lineStart] === carriageReturn)) return at + 1;
    lineStart = at + 1;
  }
  return -1;
}

/** A line ends with LF, before which a CR may stand (STOMP 1.2, EOL); taken from peers of all versions. */
function withoutReturn(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}

function headerOf(line: string, version: Version): Header | StompFault {
  const colon = line.indexOf(':');
  if (colon <= 0) return new StompFault('malformed frame', 'a header is a name, a colon and a value');
  if (line.includes('\r')) return new StompFault('malformed frame', 'a carriage return within a header');
  // It ends a frame: others on the way would see another one begin here.
  if (line.includes('\0')) return new StompFault('malformed frame', 'the frame ends within a header');
  const name = unescape(line.slice(0, colon), version);
  if (name instanceof StompFault) return name;
  const value = unescape(line.slice(colon + 1), version);
  return value instanceof StompFault ? value : [name, value];
}
