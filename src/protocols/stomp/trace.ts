// Frames in words, for an operator who watches one client. Of bodies their length, of headers only those that are STOMP's own and no secret.

import type { Header } from './codec/index.ts';

const shown: ReadonlySet<string> = new Set([
  'accept-version',
  'ack',
  'client-id',
  'destination',
  'durable',
  'heart-beat',
  'host',
  'id',
  'login',
  'message',
  'message-id',
  'prefetch-count',
  'receipt',
  'receipt-id',
  'redelivered',
  'retain',
  'subscription',
  'transaction',
  'version',
]);

export function frameInWords(command: string, headers: readonly Header[], bodyBytes: number): string {
  const words = headers.filter(([name]) => shown.has(name)).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const hidden = headers.length - words.length;
  if (hidden > 0) words.push(`${hidden} more headers`);
  if (bodyBytes > 0) words.push(`${bodyBytes} bytes`);
  return [command, ...words].join(' ');
}
