// The loop: take a good input, change it, run it, and keep what reaches code that nothing reached before.
//
// Asking V8 for coverage takes about a millisecond, a run often a microsecond. So a batch of inputs runs between two questions,
// and only a batch that reached something new is run again in halves to find the inputs that did it.

import type { Random } from '../../src/base/random.ts';
import type { Coverage } from './coverage.ts';
import { failureOf, type Failure } from './failure.ts';
import { minimize } from './minimize.ts';
import { mutate, pick, type Pieces } from './mutators.ts';
import type { Target } from './target.ts';

export type Crash = { readonly failure: Failure; readonly input: Uint8Array };

const batchSize = 256;
/** A batch is cut short after this time, so that slow targets are asked for their coverage often enough. */
const batchMs = 50;
/** Half of the choices are among so many newest inputs: what was found last leads on soonest. */
const newest = 16;
const nothing = new Uint8Array(0);

export class Engine {
  readonly #target: Target;
  readonly #random: Random;
  readonly #coverage: Coverage;
  /** Told before each run, for who watches from outside. */
  readonly #beforeRun: (input: Uint8Array) => void;
  readonly #words = new Set<string>();
  readonly #crashKeys = new Set<string>();
  readonly #pieces: Pieces;
  readonly corpus: Uint8Array[] = [];
  readonly crashes: Crash[] = [];
  runs = 0;

  constructor(target: Target, random: Random, coverage: Coverage, beforeRun: (input: Uint8Array) => void = () => {}) {
    this.#target = target;
    this.#random = random;
    this.#coverage = coverage;
    this.#beforeRun = beforeRun;
    this.#pieces = {
      word: () => (target.dictionary.length === 0 ? nothing : pick(target.dictionary, random)),
      other: () => (this.corpus.length === 0 ? nothing : pick(this.corpus, random)),
    };
  }

  /** Runs the given inputs and keeps those that reach something. */
  async load(inputs: readonly Uint8Array[]): Promise<void> {
    const fitting = inputs.filter((input) => input.length <= this.#target.maxBytes).map((input) => new Uint8Array(input));
    for (let at = 0; at < fitting.length;) at += await this.#runBatch(fitting.slice(at, at + batchSize));
  }

  /** Runs one batch of new inputs. */
  async step(): Promise<void> {
    const inputs: Uint8Array[] = [];
    for (let i = 0; i < batchSize; i++) inputs.push(this.#newInput());
    await this.#runBatch(inputs);
  }

  #newInput(): Uint8Array {
    const { corpus } = this;
    const random = this.#random;
    if (corpus.length === 0) return random.bytes(random.below(64));
    const fresh = random.below(2) === 0 ? Math.max(0, corpus.length - newest) : 0;
    const parent = corpus[fresh + random.below(corpus.length - fresh)]!;
    const { maxBytes } = this.#target;
    if (this.#target.mutate !== undefined && random.below(2) === 0) {
      return new Uint8Array(this.#target.mutate(parent, random, () => this.#pieces.other()).subarray(0, maxBytes));
    }
    return mutate(parent, random, this.#pieces, maxBytes);
  }

  /** Returns how many it has run: all, or those that fit into the time. */
  async #runBatch(inputs: readonly Uint8Array[]): Promise<number> {
    this.#coverage.take();
    const start = performance.now();
    let done = 0;
    while (done < inputs.length) {
      await this.#run(inputs[done++]!);
      if (performance.now() - start > batchMs && done >= 8) break;
    }
    const snapshot = this.#coverage.take();
    if (this.#coverage.isNew(snapshot)) {
      await this.#attribute(inputs.slice(0, done));
      // Some of it may not come back in a second run, as what only happens once in a process.
      this.#coverage.remember(snapshot);
    }
    return done;
  }

  /** Finds the inputs that reach something new, in halves. */
  async #attribute(inputs: readonly Uint8Array[]): Promise<void> {
    if (inputs.length === 1) {
      this.corpus.push(inputs[0]!);
      return;
    }
    const middle = inputs.length >> 1;
    for (const half of [inputs.slice(0, middle), inputs.slice(middle)]) {
      this.#coverage.take();
      for (const input of half) await this.#run(input);
      const snapshot = this.#coverage.take();
      if (!this.#coverage.isNew(snapshot)) continue;
      await this.#attribute(half);
      if (half.length === 1) this.#coverage.remember(snapshot);
    }
  }

  async #run(input: Uint8Array): Promise<void> {
    this.runs++;
    const failure = await this.#failureOf(input);
    if (failure === undefined || this.#crashKeys.has(failure.key)) return;
    this.#crashKeys.add(failure.key);
    const smallest = await minimize(input, async (candidate) => (await this.#failureOf(candidate))?.key === failure.key);
    this.crashes.push({ failure: (await this.#failureOf(smallest)) ?? failure, input: smallest });
  }

  async #failureOf(input: Uint8Array): Promise<Failure | undefined> {
    this.#beforeRun(input);
    const start = performance.now();
    let words: readonly string[] | undefined;
    try {
      words = await this.#target.run(input.slice());
    } catch (error) {
      return failureOf(error);
    }
    if (performance.now() - start > this.#target.slowMs && (await this.#isSlow(input))) {
      return { key: 'slow', text: `takes longer than ${this.#target.slowMs} ms, three times in a row` };
    }
    if (words !== undefined) this.#learn(words, input);
    return undefined;
  }

  #learn(words: readonly string[], input: Uint8Array): void {
    let isNew = false;
    for (const word of words) {
      if (this.#words.has(word)) continue;
      this.#words.add(word);
      isNew = true;
    }
    if (isNew) this.corpus.push(input);
  }

  /** A pause of the machine or the collector is not the input's fault. */
  async #isSlow(input: Uint8Array): Promise<boolean> {
    for (let i = 0; i < 2; i++) {
      const start = performance.now();
      await this.#target.run(input.slice());
      if (performance.now() - start <= this.#target.slowMs) return false;
    }
    return true;
  }
}
