// Mutations that keep a stream of MQTT packets in one piece: packets are changed inside, doubled, dropped, swapped or brought in
// from elsewhere, and their lengths are right again afterwards.

import type { Random } from '../../src/base/random.ts';
import { frame } from '../harness/encode.ts';
import { howMany, isLengthPrefixed, mutate, pick, replaceLengthPrefixed } from './mutators.ts';

type Frame = { readonly firstByte: number; readonly body: Uint8Array };

/** Cuts leniently: a packet that says it is longer than what is left gets what is left. */
export function framesOf(stream: Uint8Array): Frame[] {
  const frames: Frame[] = [];
  let at = 0;
  while (at < stream.length) {
    const firstByte = stream[at++]!;
    let length = 0;
    for (let scale = 1; at < stream.length && scale <= 128 ** 3; scale *= 128) {
      const byte = stream[at++]!;
      length += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    const end = Math.min(stream.length, at + length);
    frames.push({ firstByte, body: stream.slice(at, end) });
    at = end;
  }
  return frames;
}

export function mutateFrames(
  input: Uint8Array,
  headerBytes: number,
  random: Random,
  other: () => Uint8Array,
  words: readonly Uint8Array[],
): Uint8Array {
  const header = input.slice(0, headerBytes);
  if (random.below(16) === 0 && header.length > 0) header[random.below(header.length)] = random.below(256);
  const frames = framesOf(input.subarray(headerBytes));
  const otherFrames = (): Frame[] => framesOf(other().subarray(headerBytes));
  const changes = howMany(random);
  for (let i = 0; i < changes; i++) change(frames, random, otherFrames, words);
  return Buffer.concat([header, ...frames.map(({ firstByte, body }) => frame(firstByte >> 4, firstByte & 0x0f, body))]);
}

function change(frames: Frame[], random: Random, otherFrames: () => Frame[], words: readonly Uint8Array[]): void {
  const kind = frames.length === 0 ? 0 : random.below(13);
  const at = random.below(frames.length);
  const chosen = frames[at];
  if (chosen === undefined || kind === 0) {
    const foreign = otherFrames();
    if (foreign.length > 0) frames.splice(random.below(frames.length + 1), 0, pick(foreign, random));
  } else if (kind === 1) {
    frames.splice(at, 1);
  } else if (kind === 2) {
    frames.splice(random.below(frames.length + 1), 0, chosen);
  } else if (kind === 3) {
    const to = random.below(frames.length);
    frames[at] = frames[to]!;
    frames[to] = chosen;
  } else if (kind === 4) {
    frames[at] = { firstByte: chosen.firstByte ^ (1 << random.below(8)), body: chosen.body };
  } else if (kind > 9) {
    // Another client identifier, topic or filter, and nothing else: names must be just right to do harm.
    const names = words.filter(isLengthPrefixed);
    const body = names.length === 0 ? chosen.body : replaceLengthPrefixed(chosen.body, random, { word: () => pick(names, random) });
    frames[at] = { firstByte: chosen.firstByte, body };
  } else {
    const pieces = { word: () => pick(words, random), other: () => pick([...otherFrames(), chosen], random).body };
    frames[at] = { firstByte: chosen.firstByte, body: mutate(chosen.body, random, pieces, 65_535) };
  }
}
