// An ETag for bodies that have none: by it a peer sees that all blocks are of one representation (RFC 7959 §2.4).
// From the content alone, so that it is the same when the answer had to be made again. It protects from accidents, not from forgers:
// who can choose two bodies with one tag is who answers.

const prime = 0x0100_0193;

/** 8 bytes. */
export function contentTag(body: Uint8Array): Uint8Array {
  let low = 0x811c_9dc5;
  let high = 0x1b87_3593 ^ body.length;
  for (let i = 0; i < body.length; i++) {
    const byte = body[i]!;
    low = Math.imul(low ^ byte, prime);
    high = Math.imul(high ^ byte, 0x5bd1_e995) ^ (high >>> 15);
  }
  const tag = new Uint8Array(8);
  const view = new DataView(tag.buffer);
  view.setUint32(0, mixed(low ^ (high >>> 11)));
  view.setUint32(4, mixed(high));
  return tag;
}

function mixed(value: number): number {
  let word = Math.imul(value ^ (value >>> 16), 0x85eb_ca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2_ae35);
  return (word ^ (word >>> 16)) >>> 0;
}
