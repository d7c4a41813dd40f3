// A frame of STOMP as a value.

export const versions = ['1.0', '1.1', '1.2'] as const;
export type Version = (typeof versions)[number];

/** Names and values in the order of the frame. */
export type Header = readonly [name: string, value: string];

export class Frame {
  readonly command: string;
  readonly headers: readonly Header[];
  /** Holds the body from `start` to `end`; when it came from a wire, it is valid only during the call. */
  readonly buffer: Uint8Array;
  readonly start: number;
  readonly end: number;

  constructor(command: string, headers: readonly Header[], buffer: Uint8Array = nothing, start = 0, end: number = buffer.length) {
    this.command = command;
    this.headers = headers;
    this.buffer = buffer;
    this.start = start;
    this.end = end;
  }

  /** The value of the first header of this name (STOMP 1.2, Repeated Header Entries). */
  get(name: string): string | undefined {
    for (const header of this.headers) if (header[0] === name) return header[1];
    return undefined;
  }

  get bodyBytes(): number {
    return this.end - this.start;
  }
}

const nothing = new Uint8Array(0);
