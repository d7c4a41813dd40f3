// The message format of CoAP over UDP and DTLS (RFC 7252 §3), with tokens of any length (RFC 8974).

import type { CoapMessage, CoapOption } from './message.ts';
import {
  ascending,
  optionsLength,
  payloadLength,
  readBody,
  tokenExtensionBytes,
  tokenLength,
  tokenNibble,
  tokenWireLength,
  writeBody,
  writeToken,
} from './message-body.ts';
import { noBytes } from './option-values.ts';

/** RFC 7252 §3. */
export const MessageType = { confirmable: 0, nonConfirmable: 1, acknowledgement: 2, reset: 3 } as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

export type UdpMessage = CoapMessage & { readonly type: MessageType; readonly messageId: number };

export const headerBytes = 4;

/** Whether it can be a message of this version: anything else is ignored in silence (RFC 7252 §3). */
export function isCoap(bytes: Uint8Array): boolean {
  return bytes.length >= headerBytes && bytes[0]! >>> 6 === 1;
}

export function typeOf(bytes: Uint8Array): MessageType {
  return ((bytes[0]! >>> 4) & 3) as MessageType;
}

export function codeOf(bytes: Uint8Array): number {
  return bytes[1]!;
}

export function messageIdOf(bytes: Uint8Array): number {
  return (bytes[2]! << 8) | bytes[3]!;
}

/** One datagram for which `isCoap` is true; undefined: a message format error (RFC 7252 §4.2, §4.3). The message is made of views of `bytes`. */
export function decodeUdp(bytes: Uint8Array): UdpMessage | undefined {
  const end = bytes.length;
  const code = bytes[1]!;
  const tkl = bytes[0]! & 0x0f;
  const messageId = messageIdOf(bytes);
  const type = typeOf(bytes);
  if (code === 0) {
    // RFC 7252 §4.1: an empty message has a token length of zero and nothing behind the message id.
    if (tkl !== 0 || end !== headerBytes) return undefined;
    return { type, messageId, code, token: noBytes, options: [], payload: noBytes };
  }
  // RFC 7252 §4.2: the classes 1, 6 and 7 are reserved here; 7 is for signals of reliable transports (RFC 8323 §5).
  if (isReservedClass(code >>> 5)) return undefined;
  const extension = tokenExtensionBytes(tkl);
  if (extension < 0 || headerBytes + extension > end) return undefined;
  const tokenStart = headerBytes + extension;
  const tokenEnd = tokenStart + tokenLength(tkl, bytes, headerBytes);
  if (tokenEnd > end) return undefined;
  const body = readBody(bytes, tokenEnd, end);
  if (body === undefined) return undefined;
  const token = tokenEnd === tokenStart ? noBytes : new Uint8Array(bytes.buffer, bytes.byteOffset + tokenStart, tokenEnd - tokenStart);
  return { type, messageId, code, token, options: body.options, payload: body.payload };
}

/** A datagram of its own. Options out of order are put in order. */
export function encodeUdp(
  type: MessageType,
  messageId: number,
  code: number,
  token: Uint8Array,
  options: readonly CoapOption[],
  payload: Uint8Array,
): Uint8Array {
  const ordered = ascending(options);
  const bytes = new Uint8Array(headerBytes + tokenWireLength(token.length) + optionsLength(ordered) + payloadLength(payload));
  bytes[0] = 0x40 | (type << 4) | tokenNibble(token.length);
  bytes[1] = code;
  bytes[2] = messageId >>> 8;
  bytes[3] = messageId;
  writeBody(bytes, writeToken(bytes, headerBytes, token), ordered, payload);
  return bytes;
}

/** How long the datagram would be. */
export function udpLength(tokenBytes: number, options: readonly CoapOption[], payload: Uint8Array): number {
  return headerBytes + tokenWireLength(tokenBytes) + optionsLength(ascending(options)) + payloadLength(payload);
}

/** An empty ACK or RST, or a ping (RFC 7252 §4.2, §4.3). */
export function emptyMessage(type: MessageType, messageId: number): Uint8Array {
  return Uint8Array.of(0x40 | (type << 4), 0, messageId >>> 8, messageId);
}

function isReservedClass(codeClass: number): boolean {
  return codeClass === 1 || codeClass >= 6;
}
