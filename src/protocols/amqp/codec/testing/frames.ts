// A stream of bytes as the frames that a FrameReader makes of it.

import { Output } from '../../../../base/output.ts';
import type { AmqpFault } from '../amqp-fault.ts';
import { FrameReader, type FrameSink } from '../frame-reader.ts';

export type ReadFrame =
  | { readonly header: readonly [id: number, major: number, minor: number, revision: number] }
  | { readonly type: number; readonly channel: number; readonly body: Uint8Array };

export type ReadStream = { readonly frames: readonly ReadFrame[]; readonly fault: AmqpFault | undefined; readonly mostBuffered: number };

/** Feeds `pieces` in order. `again`: after how many frames a protocol header comes again. Bodies are copies. */
export function readFrames(pieces: readonly Uint8Array[], maxFrameSize = 65_536, again = -1): ReadStream {
  const reader = new FrameReader(maxFrameSize);
  const frames: ReadFrame[] = [];
  const took = (frame: ReadFrame): true => {
    frames.push(frame);
    if (frames.length === again) reader.expectHeader();
    return true;
  };
  const sink: FrameSink = {
    protocolHeader: (...header) => took({ header }),
    frame: (type, channel, bytes, start, end) => took({ type, channel, body: new Uint8Array(bytes.subarray(start, end)) }),
  };
  let mostBuffered = 0;
  for (const piece of pieces) {
    const fault = reader.push(piece, sink);
    mostBuffered = Math.max(mostBuffered, reader.bufferedBytes);
    if (fault !== undefined) return { frames, fault, mostBuffered };
  }
  return { frames, fault: undefined, mostBuffered };
}

export function bytewise(bytes: Uint8Array): readonly Uint8Array[] {
  return Array.from(bytes, (byte) => Uint8Array.of(byte));
}

/** The bytes that `write` puts into an output. */
export function outputOf(write: (output: Output) => void): Uint8Array {
  const output = new Output(() => {});
  write(output);
  return new Uint8Array(Buffer.concat(output.takeChunks()));
}
