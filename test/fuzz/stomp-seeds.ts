// Dialogues of STOMP to start from, and words that are hard to guess.

import { encodeFrame } from '../../src/protocols/stomp/codec/index.ts';

const frame = (command: string, headers: Readonly<Record<string, string>> = {}, body = ''): Uint8Array =>
  encodeFrame(command, Object.entries(headers), body);
const connect = frame('CONNECT', { 'accept-version': '1.0,1.1,1.2', host: 'h', 'client-id': 'c', 'heart-beat': '1000,1000' });

export function stompStreams(): Uint8Array[] {
  return [
    [
      connect,
      frame('SUBSCRIBE', { id: '1', destination: 'a/+', ack: 'client', receipt: 's' }),
      frame('SEND', { destination: 'a/b', 'content-length': '2', k: 'v:\n\r\\' }, 'x\0'),
    ],
    [
      connect,
      frame('SUBSCRIBE', { id: '1', destination: '/queue/q', ack: 'client-individual', 'prefetch-count': '2' }),
      frame('SEND', { destination: '/queue/q' }, 'x'),
      frame('SEND', { destination: '/queue/q', retain: 'true' }, 'y'),
      frame('ACK', { id: '1-1', receipt: 'a' }),
      frame('NACK', { id: '1-2', requeue: 'false' }),
    ],
    [
      connect,
      frame('BEGIN', { transaction: 't' }),
      frame('SEND', { destination: 'a', transaction: 't' }, 'x'),
      frame('COMMIT', { transaction: 't', receipt: 'c' }),
      frame('DISCONNECT', { receipt: 'd' }),
    ],
    [
      connect,
      frame('SUBSCRIBE', { id: 'd', destination: '/topic/a', durable: 'true', ack: 'client' }),
      frame('BEGIN', { transaction: 't' }),
      frame('SEND', { destination: '/topic/a', priority: '9', expires: '1', 'reply-to': '/queue/r' }, 'x'),
      frame('ACK', { id: '1-1', transaction: 't' }),
      frame('ABORT', { transaction: 't' }),
      frame('UNSUBSCRIBE', { id: 'd', durable: 'true' }),
    ],
    [
      frame('CONNECT'),
      frame('SUBSCRIBE', { destination: '$share/g/a', ack: 'client' }),
      frame('SEND', { destination: 'a' }, 'x'),
      frame('ACK', { 'message-id': '1-1' }),
      Buffer.from('\r\n\n'),
    ],
  ].map((pieces) => new Uint8Array(Buffer.concat(pieces)));
}

export const stompWords: readonly Uint8Array[] = [
  ...['CONNECT', 'STOMP', 'SEND', 'SUBSCRIBE', 'UNSUBSCRIBE', 'ACK', 'NACK', 'BEGIN', 'COMMIT', 'ABORT', 'DISCONNECT'].map(
    (each) => `${each}\n`,
  ),
  ...[
    'destination',
    'id',
    'ack',
    'receipt',
    'transaction',
    'content-length',
    'message-id',
    'subscription',
    'durable',
    'selector',
    'retain',
    'persistent',
  ].map((each) => `${each}:`),
  ...[
    '\n\n\0',
    '\r\n',
    '\\c',
    '\\n',
    '\\\\',
    '\\r',
    'secret/x',
    'secret/#',
    '#',
    '/queue/jobs',
    '/share/g/secret/#',
    'witness/own',
    '1-1',
    '2-1',
    'client',
    'true',
    'false',
    "a = 'b'",
  ],
].map((text) => new Uint8Array(Buffer.from(text)));
