// Frames in words, for an operator who watches one peer.

import { AmqpFault, decodePerformative, decodeSaslFrame, decodeTransfer, FrameType, TransferFields } from './codec/index.ts';

/** A frame as one line. Says nothing of payloads, credentials and annotations but their length. */
export function frameInWords(type: number, channel: number, bytes: Uint8Array, start: number, end: number): string {
  if (start === end) return 'empty frame';
  if (type === FrameType.sasl) return saslInWords(bytes, start, end);
  const performative = decodePerformative(bytes, start, end);
  if (performative instanceof AmqpFault) return `ch=${channel} (${performative.condition}: ${performative.message}) ${end - start} bytes`;
  const words = Object.entries(performative).flatMap(([name, value]) => (name === 'type' ? [] : [`${kebab(name)}=${valueInWords(value)}`]));
  if (performative.type === 'transfer') words.push(`${payloadBytes(bytes, start, end)} bytes`);
  return [`ch=${channel}`, performative.type, ...words].join(' ');
}

function saslInWords(bytes: Uint8Array, start: number, end: number): string {
  const frame = decodeSaslFrame(bytes, start, end);
  if (frame instanceof AmqpFault) return `sasl (${frame.condition}: ${frame.message}) ${end - start} bytes`;
  switch (frame.type) {
    case 'sasl-mechanisms':
      return `${frame.type} ${frame.saslServerMechanisms.join(' ')}`;
    case 'sasl-init':
      return `${frame.type} ${frame.mechanism} ${frame.initialResponse?.length ?? 0} bytes`;
    case 'sasl-challenge':
      return `${frame.type} ${frame.challenge.length} bytes`;
    case 'sasl-response':
      return `${frame.type} ${frame.response.length} bytes`;
    case 'sasl-outcome':
      return `${frame.type} code=${frame.code}`;
  }
}

const fields = new TransferFields();

function payloadBytes(bytes: Uint8Array, start: number, end: number): number {
  return decodeTransfer(bytes, start, end, fields) === undefined ? fields.payloadEnd - fields.payloadStart : 0;
}

function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Longer texts of a peer are cut. */
const longestText = 200;

function valueInWords(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > longestText ? `${value.slice(0, longestText)}…` : value);
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (value instanceof Uint8Array) return `0x${Buffer.from(value).toString('hex')}`;
  if (Array.isArray(value)) return `[${value.map(valueInWords).join(' ')}]`;
  if (value instanceof Map) return `{${value.size}}`;
  if (typeof value === 'object' && value !== null) {
    const words = Object.entries(value).flatMap(([name, inner]) =>
      name === 'type' || inner === undefined ? [] : [`${kebab(name)}=${valueInWords(inner)}`],
    );
    return `${'type' in value ? String(value.type) : ''}(${words.join(' ')})`;
  }
  return String(value);
}
