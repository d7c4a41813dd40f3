// Block coverage of chosen modules from V8 itself, by the inspector. Modules must be loaded after `start`: what was compiled
// before counts by function only.

import { Session, type Profiler } from 'node:inspector';

/** Sorted, disjoint ranges of source that never ran: start, end, start, end… */
type Gaps = readonly number[];

/** What ran in a while: by function, the ranges that did not. */
export type Snapshot = readonly { readonly key: string; readonly gaps: Gaps }[];

export class Coverage {
  readonly #session = new Session();
  #covers: RegExp;
  /** By function that ever ran: what of it never did. */
  readonly #known = new Map<string, Gaps>();

  private constructor(covers: RegExp) {
    this.#covers = covers;
  }

  static start(covers: RegExp): Coverage {
    const coverage = new Coverage(covers);
    coverage.#session.connect();
    coverage.#session.post('Profiler.enable');
    coverage.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
    return coverage;
  }

  /** From now on only these modules count. */
  narrow(covers: RegExp): void {
    this.#covers = covers;
  }

  stop(): void {
    this.#session.post('Profiler.stopPreciseCoverage');
    this.#session.post('Profiler.disable');
    this.#session.disconnect();
  }

  /** What ran since the last call. */
  take(): Snapshot {
    let scripts: readonly Profiler.ScriptCoverage[] = [];
    // A session to one's own thread answers before `post` returns.
    this.#session.post('Profiler.takePreciseCoverage', (error, answer) => {
      if (error) throw error;
      scripts = answer.result;
    });
    const snapshot: { key: string; gaps: Gaps }[] = [];
    for (const { url, scriptId, functions } of scripts) {
      if (!this.#covers.test(url)) continue;
      for (const { ranges } of functions) {
        const whole = ranges[0];
        if (whole === undefined || whole.count === 0) continue;
        snapshot.push({ key: `${scriptId}:${whole.startOffset}:${whole.endOffset}`, gaps: gapsOf(ranges) });
      }
    }
    return snapshot;
  }

  /** Whether anything in it ran for the first time. */
  isNew(snapshot: Snapshot): boolean {
    for (const { key, gaps } of snapshot) {
      const known = this.#known.get(key);
      if (known === undefined) return true;
      if (known.length > 0 && length(intersection(known, gaps)) < length(known)) return true;
    }
    return false;
  }

  remember(snapshot: Snapshot): void {
    for (const { key, gaps } of snapshot) {
      const known = this.#known.get(key);
      if (known === undefined) this.#known.set(key, gaps);
      else if (known.length > 0) this.#known.set(key, intersection(known, gaps));
    }
  }

  /** How many functions ran, and how many ranges within them never did. */
  get counts(): { readonly functions: number; readonly gaps: number } {
    let gaps = 0;
    for (const known of this.#known.values()) gaps += known.length / 2;
    return { functions: this.#known.size, gaps };
  }
}

/** Ranges come outer first; an inner one overrules what it lies in. */
export function gapsOf(ranges: readonly { startOffset: number; endOffset: number; count: number }[]): Gaps {
  let gaps: number[] = [];
  for (const { startOffset, endOffset, count } of ranges) {
    if (count === 0) gaps = union(gaps, startOffset, endOffset);
    else if (gaps.length > 0) gaps = difference(gaps, startOffset, endOffset);
  }
  return gaps;
}

function union(gaps: Gaps, start: number, end: number): number[] {
  const out: number[] = [];
  let from = start;
  let to = end;
  let placed = false;
  for (let i = 0; i < gaps.length; i += 2) {
    const a = gaps[i]!;
    const b = gaps[i + 1]!;
    if (b < from) out.push(a, b);
    else if (a > to) {
      if (!placed) out.push(from, to);
      placed = true;
      out.push(a, b);
    } else {
      from = Math.min(from, a);
      to = Math.max(to, b);
    }
  }
  if (!placed) out.push(from, to);
  return out;
}

function difference(gaps: Gaps, start: number, end: number): number[] {
  const out: number[] = [];
  for (let i = 0; i < gaps.length; i += 2) {
    const a = gaps[i]!;
    const b = gaps[i + 1]!;
    if (a < Math.min(b, start)) out.push(a, Math.min(b, start));
    if (Math.max(a, end) < b) out.push(Math.max(a, end), b);
  }
  return out;
}

export function intersection(one: Gaps, two: Gaps): number[] {
  const out: number[] = [];
  let i = 0;
  let j = 0;
  while (i < one.length && j < two.length) {
    const start = Math.max(one[i]!, two[j]!);
    const end = Math.min(one[i + 1]!, two[j + 1]!);
    if (start < end) out.push(start, end);
    if (one[i + 1]! < two[j + 1]!) i += 2;
    else j += 2;
  }
  return out;
}

function length(gaps: Gaps): number {
  let sum = 0;
  for (let i = 0; i < gaps.length; i += 2) sum += gaps[i + 1]! - gaps[i]!;
  return sum;
}
