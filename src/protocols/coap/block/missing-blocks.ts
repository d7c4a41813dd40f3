// The list of blocks that are missing (RFC 9177 §5): a sequence of unsigned integers of CBOR, ascending.

/** application/missing-blocks+cbor-seq (RFC 9177 §12.3). */
export const missingBlocksFormat = 272;

/** Numbers of blocks are below 2^20: five bytes each at most. */
export function missingBlocks(numbers: readonly number[]): Uint8Array {
  const bytes: number[] = [];
  for (const number of numbers) {
    if (number < 24) bytes.push(number);
    else if (number < 0x100) bytes.push(24, number);
    else if (number < 0x1_0000) bytes.push(25, number >>> 8, number & 0xff);
    else bytes.push(26, number >>> 24, (number >>> 16) & 0xff, (number >>> 8) & 0xff, number & 0xff);
  }
  return Uint8Array.from(bytes);
}
