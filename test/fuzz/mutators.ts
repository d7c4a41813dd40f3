// How a good input becomes a new one: small accidents, and the ones that hurt formats made of lengths.

import type { Random } from '../../src/base/random.ts';

type Mutator = (input: Uint8Array, random: Random, pieces: Pieces) => Uint8Array;

/** Where foreign bytes come from. */
export type Pieces = {
  /** A piece of the target's dictionary; may be empty. */
  word(): Uint8Array;
  /** Another good input. */
  other(): Uint8Array;
};

const interestingBytes = [0x00, 0x01, 0x02, 0x7f, 0x80, 0x81, 0xc0, 0xfe, 0xff, 0x23, 0x24, 0x2b, 0x2f];
const interestingWords = [0, 1, 2, 127, 128, 255, 256, 0x7fff, 0x8000, 0xd800, 0xfffe, 0xffff];
const interestingLongs = [0, 1, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];
const interestingVarints = [[0x00], [0x7f], [0x80, 0x01], [0x80, 0x00], [0xff, 0x7f], [0xff, 0xff, 0xff, 0x7f], [0xff, 0xff, 0xff, 0xff]];

/** One to eight random changes; the result has at most `maxBytes`. */
export function mutate(input: Uint8Array, random: Random, pieces: Pieces, maxBytes: number): Uint8Array {
  let bytes: Uint8Array = new Uint8Array(input);
  const changes = howMany(random);
  for (let i = 0; i < changes; i++) bytes = mutators[random.below(mutators.length)]!(bytes, random, pieces);
  return bytes.length > maxBytes ? bytes.slice(0, maxBytes) : bytes;
}

const mutators: readonly Mutator[] = [
  function flipBit(input, random) {
    if (input.length > 0) input[random.below(input.length)]! ^= 1 << random.below(8);
    return input;
  },
  function setByte(input, random) {
    if (input.length > 0) input[random.below(input.length)] = random.below(256);
    return input;
  },
  function setInterestingByte(input, random) {
    if (input.length > 0) input[random.below(input.length)] = pick(interestingBytes, random);
    return input;
  },
  function addToByte(input, random) {
    if (input.length > 0) input[random.below(input.length)]! += random.below(33) - 16;
    return input;
  },
  function setWord(input, random) {
    if (input.length < 2) return input;
    const at = random.below(input.length - 1);
    const word = pick(interestingWords, random);
    input[at] = word >> 8;
    input[at + 1] = word;
    return input;
  },
  function setLong(input, random) {
    if (input.length < 4) return input;
    new DataView(input.buffer, input.byteOffset).setUint32(random.below(input.length - 3), pick(interestingLongs, random));
    return input;
  },
  function setVarint(input, random) {
    const at = random.below(input.length + 1);
    return splice(input, at, random.below(2), Uint8Array.from(pick(interestingVarints, random)));
  },
  function insertBytes(input, random) {
    return splice(input, random.below(input.length + 1), 0, random.bytes(1 + random.below(8)));
  },
  function deleteRange(input, random) {
    const at = random.below(input.length + 1);
    return splice(input, at, rangeLength(input.length - at, random), nothing);
  },
  function repeatRange(input, random) {
    const at = random.below(input.length + 1);
    return splice(input, at, 0, input.slice(at, at + rangeLength(input.length - at, random)));
  },
  function copyRange(input, random) {
    const from = random.below(input.length + 1);
    const range = input.slice(from, from + rangeLength(input.length - from, random));
    return splice(input, random.below(input.length + 1), range.length, range);
  },
  function truncate(input, random) {
    return input.slice(0, random.below(input.length + 1));
  },
  function insertWord(input, random, pieces) {
    return splice(input, random.below(input.length + 1), 0, pieces.word());
  },
  function overwriteWithWord(input, random, pieces) {
    const word = pieces.word();
    return splice(input, random.below(input.length + 1), word.length, word);
  },
  function crossOver(input, random, pieces) {
    const other = pieces.other();
    return splice(input.slice(0, random.below(input.length + 1)), Infinity, 0, other.slice(random.below(other.length + 1)));
  },
  function insertFromOther(input, random, pieces) {
    const other = pieces.other();
    const from = random.below(other.length + 1);
    return splice(input, random.below(input.length + 1), 0, other.slice(from, from + rangeLength(other.length - from, random)));
  },
  changeLengthPrefixed,
  replaceLengthPrefixed,
];

/** Finds something behind a two-byte length, changes what it holds, and mends the length (or, sometimes, forgets to). */
function changeLengthPrefixed(input: Uint8Array, random: Random, pieces: Pieces): Uint8Array {
  const at = lengthPrefixedAt(input, random);
  if (at === -1) return input;
  const length = (input[at]! << 8) | input[at + 1]!;
  const inside = input.slice(at + 2, at + 2 + length);
  const from = random.below(length + 1);
  const content = random.below(2) === 0 ? pieces.word() : random.bytes(random.below(6));
  const changed = splice(inside, from, random.below(3) === 0 ? rangeLength(length - from, random) : 0, content);
  const out = splice(input, at + 2, length, changed);
  if (random.below(8) !== 0) {
    out[at] = changed.length >> 8;
    out[at + 1] = changed.length;
  }
  return out;
}

/** Puts a piece of the dictionary in the place of something behind a two-byte length. */
export function replaceLengthPrefixed(input: Uint8Array, random: Random, pieces: Pick<Pieces, 'word'>): Uint8Array {
  const at = lengthPrefixedAt(input, random);
  if (at === -1) return input;
  const length = (input[at]! << 8) | input[at + 1]!;
  const word = pieces.word();
  return splice(input, at, 2 + length, isLengthPrefixed(word) ? word : Uint8Array.of(word.length >> 8, word.length, ...word));
}

export function isLengthPrefixed(word: Uint8Array): boolean {
  return word.length >= 2 && ((word[0]! << 8) | word[1]!) === word.length - 2;
}

/** A place where a two-byte length fits what follows, or -1. */
function lengthPrefixedAt(input: Uint8Array, random: Random): number {
  const places: number[] = [];
  for (let at = 0; at + 2 <= input.length && places.length < 64; at++) {
    const length = (input[at]! << 8) | input[at + 1]!;
    if (length > 0 && at + 2 + length <= input.length) places.push(at);
  }
  return places.length === 0 ? -1 : pick(places, random);
}

const nothing = new Uint8Array(0);

/** Mostly short, sometimes up to `most`. */
function rangeLength(most: number, random: Random): number {
  return Math.min(most, random.below(4) === 0 ? random.below(most + 1) : 1 + random.below(8));
}

/** One change half of the time: more are likely to break what one of them found. */
export function howMany(random: Random): number {
  return random.below(2) === 0 ? 1 : 1 << random.below(4);
}

export function pick<T>(from: readonly T[], random: Random): T {
  return from[random.below(from.length)]!;
}

function splice(input: Uint8Array, at: number, remove: number, insert: Uint8Array): Uint8Array {
  const start = Math.min(at, input.length);
  const end = Math.min(start + remove, input.length);
  const out = new Uint8Array(input.length - (end - start) + insert.length);
  out.set(input.subarray(0, start));
  out.set(insert, start);
  out.set(input.subarray(end), start + insert.length);
  return out;
}
