// The value of Block1 and Block2 (RFC 7959 §2.2; RFC 8323 §6 for BERT): which part of a body a message carries.

import { uintOption, uintValue } from '../codec/option-values.ts';

import type { CoapOption } from '../codec/message.ts';

/** Sizes are 16 << szx, 16 to 1024 bytes. */
export const largestSzx = 6;
/** RFC 8323 §6: several blocks of 1024 bytes in one message. Over UDP this value is reserved. */
export const bertSzx = 7;
/** Numbers have twenty bits. */
export const maxBlockNumber = 0xf_ffff;

export type Block = { readonly number: number; readonly more: boolean; readonly szx: number };

/** Of at most three bytes: longer ones are for who looks at critical options. */
export function readBlock(value: Uint8Array): Block {
  const word = uintValue(value);
  return { number: word >>> 4, more: (word & 8) !== 0, szx: word & 7 };
}

export function blockOption(option: number, block: Block): CoapOption {
  return uintOption(option, block.number * 16 + (block.more ? 8 : 0) + block.szx);
}

/** Bytes that one number stands for. */
export function blockBytes(szx: number): number {
  return szx >= largestSzx ? 1024 : 16 << szx;
}

/** Where in the body the block begins. */
export function blockOffset(block: Block): number {
  return block.number * blockBytes(block.szx);
}

/** The largest size that is not above `bytes`; the smallest one when none is. */
export function szxWithin(bytes: number): number {
  for (let szx = largestSzx; szx > 0; szx--) if (blockBytes(szx) <= bytes) return szx;
  return 0;
}
