// Mutations that keep a stream of AMQP frames in one piece: values are exchanged, dropped and doubled within each other, frames likewise,
// and all sizes and counts are right again afterwards, mostly.

import type { Random } from '../../src/base/random.ts';
import { howMany, mutate, pick } from './mutators.ts';

type Frame = {
  readonly type: number;
  readonly channel: number;
  readonly body: Uint8Array;
  /** It is no frame but a protocol header, which is these bytes. */
  readonly header?: Uint8Array;
};

/** A value: its constructor, with what stands behind it, or the values in it. A described value is two nodes, one behind the other. */
type Node = { code: number; data: Uint8Array; children: Node[] | undefined };

const frameHeaderBytes = 8;
const magic = [0x41, 0x4d, 0x51, 0x50]; // AMQP
const nothing = new Uint8Array(0);
const maxDepth = 20;
const fixedWidths = [0, 1, 2, 4, 8, 16];

/** Cuts leniently: a frame that says it is longer than what is left gets what is left. */
export function framesOf(stream: Uint8Array): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at + frameHeaderBytes <= stream.length;) {
    if (magic.every((byte, i) => stream[at + i] === byte)) {
      frames.push({ type: 0, channel: 0, body: nothing, header: stream.slice(at, at + frameHeaderBytes) });
      at += frameHeaderBytes;
      continue;
    }
    const size = new DataView(stream.buffer, stream.byteOffset + at).getUint32(0);
    const end = Math.max(at + frameHeaderBytes, Math.min(stream.length, at + size));
    frames.push({
      type: stream[at + 5]!,
      channel: (stream[at + 6]! << 8) | stream[at + 7]!,
      body: stream.slice(at + frameHeaderBytes, end),
    });
    at = end;
  }
  return frames;
}

export function frame({ type, channel, body, header }: Frame): Uint8Array {
  if (header !== undefined) return header;
  const bytes = new Uint8Array(frameHeaderBytes + body.length);
  new DataView(bytes.buffer).setUint32(0, bytes.length);
  bytes.set([2, type, channel >> 8, channel], 4);
  bytes.set(body, frameHeaderBytes);
  return bytes;
}

export function mutateAmqpFrames(
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
  return Buffer.concat([header, ...frames.map(frame)]);
}

function change(frames: Frame[], random: Random, otherFrames: () => Frame[], words: readonly Uint8Array[]): void {
  const at = random.below(frames.length);
  const chosen = frames[at];
  // Headers are dropped, doubled and moved, but seldom changed: nothing is read behind a wrong one.
  const kind = frames.length === 0 ? 0 : random.below(chosen?.header === undefined || random.below(16) === 0 ? 12 : 3);
  if (chosen === undefined || kind === 0) {
    const foreign = otherFrames();
    if (foreign.length > 0) frames.splice(random.below(frames.length + 1), 0, pick(foreign, random));
  } else if (kind === 1) {
    frames.splice(at, 1);
  } else if (kind === 2) {
    frames.splice(random.below(frames.length + 1), 0, chosen);
  } else if (chosen.header !== undefined) {
    frames[at] = { ...chosen, header: mutate(chosen.header, random, { word: () => pick(words, random), other: () => chosen.body }, 8) };
  } else if (kind === 3) {
    frames[at] = { ...chosen, type: random.below(3), channel: random.below(4) };
  } else if (kind < 10) {
    const foreign = [...otherFrames(), chosen].flatMap(({ body }) => nodesOf(body, 0, body.length, 0).nodes);
    frames[at] = { ...chosen, body: changeValues(chosen.body, random, foreign, words) };
  } else {
    const pieces = { word: () => pick(words, random), other: () => pick([...otherFrames(), chosen], random).body };
    frames[at] = { ...chosen, body: mutate(chosen.body, random, pieces, 65_535) };
  }
}

function changeValues(body: Uint8Array, random: Random, foreign: readonly Node[], words: readonly Uint8Array[]): Uint8Array {
  const { nodes, rest } = nodesOf(body, 0, body.length, 0);
  const lists = [nodes];
  for (let i = 0; i < lists.length; i++) for (const { children } of lists[i]!) if (children !== undefined) lists.push(children);
  const list = pick(lists, random);
  const at = random.below(list.length + 1);
  const fresh = (): Node[] => {
    if (random.below(2) === 0 || foreign.length === 0) {
      const word = pick(words, random);
      return nodesOf(word, 0, word.length, 0).nodes;
    }
    return [pick(all(foreign), random)];
  };
  const kind = random.below(6);
  if (kind === 0) list.splice(at, 1);
  else if (kind === 1 && list[at] !== undefined) list.splice(at, 0, list[at]!);
  else if (kind === 2) list.splice(at, 0, ...fresh());
  else if (kind === 3 && list[at] !== undefined)
    list[at] = { ...list[at]!, data: mutate(list[at]!.data, random, { word: () => pick(words, random), other: () => body }, 300) };
  else list.splice(at, 1, ...fresh());
  return Buffer.concat([...nodes.map(bytesOf), rest]);
}

function all(nodes: readonly Node[]): readonly Node[] {
  return nodes.flatMap((node) => [node, ...(node.children === undefined ? [] : all(node.children))]);
}

/** The values of a range, and what could not be read as values. */
function nodesOf(bytes: Uint8Array, start: number, end: number, depth: number): { readonly nodes: Node[]; readonly rest: Uint8Array } {
  const nodes: Node[] = [];
  let at = start;
  while (at < end) {
    const code = bytes[at]!;
    const category = code >> 4;
    const width = (category & 1) === 0 ? 1 : 4;
    let next = at + 1;
    let data = next;
    let children: Node[] | undefined;
    if (code === 0) {
      nodes.push({ code, data: nothing, children: undefined });
      at++;
      continue;
    }
    if (category >= 4 && category <= 9) {
      next += fixedWidths[category - 4]!;
    } else if (category >= 0xa && at + 1 + width <= end) {
      data += width;
      next = data + (width === 1 ? bytes[at + 1]! : new DataView(bytes.buffer, bytes.byteOffset + at + 1).getUint32(0));
      const isCompound = category === 0xc || category === 0xd;
      if (isCompound && next <= end && data + width <= next && depth < maxDepth) {
        const inner = nodesOf(bytes, data + width, next, depth + 1);
        if (inner.rest.length === 0) children = inner.nodes;
      }
    } else {
      break;
    }
    if (next > end) break;
    nodes.push({ code, data: bytes.slice(data, next), children });
    at = next;
  }
  return { nodes, rest: bytes.slice(at, end) };
}

/** Sizes and counts as they should be; a narrow form turns wide where it must. */
function bytesOf(node: Node): Uint8Array {
  const category = node.code >> 4;
  if (category < 0xa) return Buffer.concat([Uint8Array.of(node.code), node.data]);
  const content = node.children === undefined ? node.data : Buffer.concat(node.children.map(bytesOf));
  const count = node.children?.filter(({ code }) => code !== 0).length;
  // A descriptor and its value count once.
  const described = node.children?.filter(({ code }) => code === 0).length ?? 0;
  const elements = count === undefined ? undefined : count - described;
  const wide = (category & 1) === 1 || content.length > 254;
  const width = wide ? 4 : 1;
  const head = Buffer.alloc(1 + width * (elements === undefined ? 1 : 2));
  head[0] = wide ? node.code | 0x10 : node.code;
  head.writeUIntBE(content.length + (elements === undefined ? 0 : width), 1, width);
  if (elements !== undefined) head.writeUIntBE(Math.max(0, elements) % (wide ? 2 ** 32 : 256), 1 + width, width);
  return Buffer.concat([head, content]);
}
