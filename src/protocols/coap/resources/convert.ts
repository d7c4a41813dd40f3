// CoAP's fields and the neutral message's (docs/mapping.md §5), both ways. CoAP has few: the format of the payload, and how long
// it is fresh. A format that is not registered here is kept as the number it came with (the residue), so that who receives by CoAP,
// too, gets it back.

import type { Attributes } from '../../../message/attributes.ts';
import type { Message } from '../../../message/message.ts';
import { contentFormat, contentFormatNumber, FormatNumber } from '../codec/index.ts';

/** `Attributes.residue.protocol` of a Content-Format without a name; its bytes are the number, two of them. */
export const residueProtocol = 'coap';

/** What a CoAP request says of its message and no neutral field holds. */
export const lostFromCoap: readonly string[] = ['token: it names the exchange, not the message'];

/** Neutral fields, or parts of their meaning, that do not survive a transfer to a CoAP peer. */
export const lostToCoap: readonly string[] = [
  'payloadFormat: utf8 without a contentType becomes text/plain',
  'contentType without a Content-Format number for it and its contentEncoding; its spelling',
  'contentEncoding but where a Content-Format has one with its contentType',
  'properties',
  'correlation',
  'messageId',
  'replyTo',
  'subject',
  'groupId',
  'groupSequence',
  'deliverAtMs',
  'death',
  'annotations',
  'residue of another protocol',
  'priority',
  'expiresAt: Max-Age, in whole seconds, never longer than it is',
];

const byFormat = new Map<number, Attributes>();
/** Of numbers that stand for nothing here: there may be 65,536 of them. */
const maxRemembered = 256;

/** The attributes of a message whose sender gave this Content-Format; -1: none. Shared between messages. */
export function attributesOf(format: number): Attributes | undefined {
  if (format < 0) return undefined;
  let attributes = byFormat.get(format);
  if (attributes === undefined) {
    attributes = attributesFor(format);
    if (byFormat.size < maxRemembered) byFormat.set(format, attributes);
  }
  return attributes;
}

function attributesFor(format: number): Attributes {
  const known = contentFormat(format);
  if (known === undefined) return { residue: { protocol: residueProtocol, bytes: Uint8Array.of(format >>> 8, format) } };
  return { contentType: known.mediaType, ...(known.coding !== undefined && { contentEncoding: known.coding }) };
}

/** The Content-Format of a message's payload; -1: there is none for it, or it is not known. */
export function formatOf(attributes: Attributes | undefined): number {
  if (attributes === undefined) return -1;
  const { residue } = attributes;
  if (residue?.protocol === residueProtocol && residue.bytes.length === 2) return residue.bytes[0]! * 256 + residue.bytes[1]!;
  const { contentType, contentEncoding, payloadFormat } = attributes;
  if (contentType !== undefined) return contentFormatNumber(contentType, contentEncoding) ?? -1;
  return payloadFormat === 'utf8' && contentEncoding === undefined ? FormatNumber.text : -1;
}

/** Whether a payload whose Content-Format is `format` is what `accept` asks for. One of which nothing is known is bytes. */
export function isAcceptable(accept: number, format: number): boolean {
  return accept < 0 || accept === format || (accept === FormatNumber.octets && format < 0);
}

/** For how many seconds the message is fresh: never longer than it lives. */
export function maxAgeOf({ expiresAtMs }: Message, nowMs: number, maxAgeSec: number): number {
  if (expiresAtMs === 0) return maxAgeSec;
  return Math.max(0, Math.min(maxAgeSec, Math.floor((expiresAtMs - nowMs) / 1000)));
}
