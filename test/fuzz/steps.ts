// A list of steps as bytes, so that any bytes are a list of steps: a byte of kind and peer, then what the kind needs.

import type { Random } from '../../src/base/random.ts';
import { howMany, mutate, pick } from './mutators.ts';

const kinds = ['send', 'settle', 'answer', 'take', 'open', 'lose', 'endTurn', 'commit', 'advance', 'shutDown', 'restart'] as const;

export type Step = {
  readonly kind: (typeof kinds)[number];
  /** 0 to 2. */
  readonly peer: number;
  /** `advance`: a power of two, of milliseconds. */
  readonly amount: number;
  /** `send`: what is sent. */
  readonly bytes: Uint8Array;
};

const nothing = new Uint8Array(0);
const maxSteps = 128;

export function decodeSteps(bytes: Uint8Array): Step[] {
  const steps: Step[] = [];
  let at = 0;
  while (at < bytes.length && steps.length < maxSteps) {
    const byte = bytes[at++]!;
    const kind = kinds[byte % kinds.length]!;
    const peer = Math.floor(byte / kinds.length) % 3;
    if (kind === 'advance') {
      steps.push({ kind, peer, amount: bytes[at++] ?? 0, bytes: nothing });
    } else if (kind === 'send') {
      const length = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
      at += 2;
      steps.push({ kind, peer, amount: 0, bytes: bytes.slice(at, at + length) });
      at += length;
    } else {
      steps.push({ kind, peer, amount: 0, bytes: nothing });
    }
  }
  return steps;
}

export function encodeSteps(steps: readonly Step[]): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (const { kind, peer, amount, bytes } of steps) {
    const head = kinds.indexOf(kind) + kinds.length * peer;
    if (kind === 'advance') pieces.push(Uint8Array.of(head, amount));
    else if (kind === 'send') pieces.push(Uint8Array.of(head, bytes.length >> 8, bytes.length), bytes);
    else pieces.push(Uint8Array.of(head));
  }
  return new Uint8Array(Buffer.concat(pieces));
}

/** Changes a stream of a protocol's frames and leaves it one: `mutateFrames` of MQTT, `mutateAmqpFrames`. */
type MutateStream = (
  input: Uint8Array,
  headerBytes: number,
  random: Random,
  other: () => Uint8Array,
  words: readonly Uint8Array[],
) => Uint8Array;

/** What a mutation draws on. */
type Means = {
  readonly random: Random;
  readonly other: () => Step[];
  readonly words: readonly Uint8Array[];
  readonly mutateStream: MutateStream;
};

export function mutateSteps(steps: readonly Step[], means: Means): Step[] {
  const { random } = means;
  const out = [...steps];
  const changes = howMany(random);
  for (let i = 0; i < changes; i++) change(out, means);
  return out.slice(0, maxSteps);
}

function change(steps: Step[], means: Means): void {
  const { random, other } = means;
  const at = random.below(steps.length);
  const chosen = steps[at];
  const kind = chosen === undefined ? 0 : random.below(12);
  if (chosen === undefined || kind === 0) {
    const foreign = other();
    const from = random.below(foreign.length + 1);
    steps.splice(random.below(steps.length + 1), 0, ...foreign.slice(from, from + 1 + random.below(4)));
  } else if (kind === 1) steps.splice(at, 1 + random.below(2));
  else if (kind === 2) steps.splice(random.below(steps.length + 1), 0, ...steps.slice(at, at + 1 + random.below(3)));
  else if (kind === 3) steps[at] = { ...chosen, peer: random.below(3) };
  else if (kind === 4) steps.splice(at, 0, { kind: pick(kinds, random), peer: random.below(3), amount: random.below(24), bytes: nothing });
  else if (kind === 5) {
    const to = random.below(steps.length);
    steps[at] = steps[to]!;
    steps[to] = chosen;
  } else changeBytes(steps, means);
}

/** Changes what one of the steps sends. */
function changeBytes(steps: Step[], { random, other, words, mutateStream }: Means): void {
  const sending = steps.flatMap((step, i) => (step.kind === 'send' ? [i] : []));
  if (sending.length === 0) return;
  const at = pick(sending, random);
  const { bytes } = steps[at]!;
  const foreign = (): Uint8Array => other().find((step) => step.kind === 'send')?.bytes ?? nothing;
  const changed =
    random.below(4) === 0
      ? mutate(bytes, random, { word: () => pick(words, random), other: foreign }, 4096)
      : mutateStream(bytes, 0, random, foreign, words);
  steps[at] = { ...steps[at]!, bytes: new Uint8Array(changed.subarray(0, 4096)) };
}
