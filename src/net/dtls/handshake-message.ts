// The messages of the handshake (RFC 6347 §4.2.2): their header, and the fragments they come in.

import { recordHeaderBytes } from './record.ts';

export const messageTypes = {
  helloRequest: 0,
  clientHello: 1,
  serverHello: 2,
  helloVerifyRequest: 3,
  certificate: 11,
  serverKeyExchange: 12,
  certificateRequest: 13,
  serverHelloDone: 14,
  certificateVerify: 15,
  clientKeyExchange: 16,
  finished: 20,
} as const;

export const messageHeaderBytes = 12;
/** What stands before a fragment in a datagram in clear. */
export const fragmentOverhead = recordHeaderBytes + messageHeaderBytes;

export type Fragment = {
  readonly type: number;
  /** Of the whole message. */
  readonly length: number;
  readonly sequence: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
};

/** The fragments in one record; undefined: it is malformed. A record may hold several messages. */
export function fragmentsIn(body: Uint8Array): Fragment[] | undefined {
  const found: Fragment[] = [];
  let at = 0;
  while (at < body.length) {
    if (at + messageHeaderBytes > body.length) return undefined;
    const header = Buffer.from(body.buffer, body.byteOffset + at, messageHeaderBytes);
    const fragmentBytes = header.readUIntBE(9, 3);
    const length = header.readUIntBE(1, 3);
    const offset = header.readUIntBE(6, 3);
    at += messageHeaderBytes;
    if (at + fragmentBytes > body.length || offset + fragmentBytes > length) return undefined;
    // An empty fragment of a message that is not empty says nothing.
    if (fragmentBytes > 0 || length === 0) {
      found.push({ type: header[0]!, length, sequence: header.readUInt16BE(4), offset, bytes: body.subarray(at, at + fragmentBytes) });
    }
    at += fragmentBytes;
  }
  return found;
}

/** One fragment, or the whole message, with its header. */
export function fragmentOf(type: number, sequence: number, body: Uint8Array, offset = 0, end = body.length): Buffer {
  const out = Buffer.allocUnsafe(messageHeaderBytes + end - offset);
  out[0] = type;
  out.writeUIntBE(body.length, 1, 3);
  out.writeUInt16BE(sequence, 4);
  out.writeUIntBE(offset, 6, 3);
  out.writeUIntBE(end - offset, 9, 3);
  out.set(body.subarray(offset, end), messageHeaderBytes);
  return out;
}
