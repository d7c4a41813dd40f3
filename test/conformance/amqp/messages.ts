// Messages as a peer writes and finds them.

/** A section whose value is a list of 8-bit width. */
export function listSection(code: number, count: number, ...items: readonly number[]): number[] {
  return [0, 0x53, code, 0xc0, items.length + 1, count, ...items];
}

/** A header: priority, then time to live. */
export function header({ durable = false, priority = -1, ttl = -1 }): number[] {
  const ttlBytes = [0x70, ttl >>> 24, (ttl >>> 16) & 0xff, (ttl >>> 8) & 0xff, ttl & 0xff];
  return listSection(0x70, 3, durable ? 0x41 : 0x40, ...(priority < 0 ? [0x40] : [0x50, priority]), ...(ttl < 0 ? [0x40] : ttlBytes));
}

export function data(text: string): number[] {
  return [0, 0x53, 0x75, 0xa0, text.length, ...Buffer.from(text)];
}

/** What is to be found in a header that was received: its delivery-count, 0 if it has none. */
export function deliveryCountOf(message: Buffer): number {
  if (message[2] !== 0x70) return 0;
  const end = message[3] === 0xc0 ? 5 + message[4]! : 4;
  const list = message.subarray(6, end);
  if (message[3] !== 0xc0 || (message[5] ?? 0) < 5) return 0;
  return list.at(-2) === 0x52 ? list.at(-1)! : 0;
}
