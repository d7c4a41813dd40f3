// Payloads that say who they are and show whether a byte of them changed on the way.

const utf8 = new TextDecoder();

/** `bytes` long, or as long as the key needs. */
export function payloadOf(key: string, bytes: number): Buffer {
  const head = `${key}|${bytes}|`;
  return Buffer.from(head.padEnd(bytes, key));
}

/** The key; undefined when the payload is not what `payloadOf` made. */
export function keyOf(payload: Uint8Array): string | undefined {
  const [key = '', bytes = ''] = utf8.decode(payload.subarray(0, 100)).split('|');
  return payloadOf(key, Number(bytes)).equals(payload) ? key : undefined;
}
