// Short names for bytes: entity tags, and tags of idempotency keys. Nobody gains by a collision of values that he chose himself, so
// nothing secret is needed: four lanes of 32 bits, each mixed as MurmurHash3 does it.

const multipliers = [0x239b961b, 0xab0e9789, 0x38b34ae5, 0xa1e38b93] as const;

/** 16 bytes, one character each. */
export function fingerprint(bytes: Uint8Array, seed = 0): string {
  let text = '';
  for (const [lane, multiplier] of multipliers.entries()) text += characters(hash(bytes, seed ^ (lane * 0x9e3779b9), multiplier));
  return text;
}

function hash(bytes: Uint8Array, seed: number, multiplier: number): number {
  let state = seed | 0;
  for (let i = 0; i < bytes.length; i++) {
    state = Math.imul(state ^ bytes[i]!, multiplier);
    state = (state << 13) | (state >>> 19);
    state = (Math.imul(state, 5) + 0x561ccd1b) | 0;
  }
  state ^= bytes.length;
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return (state ^ (state >>> 16)) >>> 0;
}

function characters(word: number): string {
  return String.fromCharCode(word >>> 24, (word >>> 16) & 0xff, (word >>> 8) & 0xff, word & 0xff);
}
