// Runs checks one after the other, each within a time limit, prints a line for each and counts.

import type { Child } from './process.ts';

export type CheckContext = {
  /** Is ended with the check. */
  child<T extends Child>(child: T): T;
  /** Runs when the check is over, last one first. */
  after(task: () => unknown): void;
  /** A name that no other check uses, for topics and client identifiers. */
  readonly unique: string;
};

export class Checks {
  passed = 0;
  failed = 0;
  skipped = 0;
  readonly failures: string[] = [];
  readonly only: string | undefined;
  readonly #limitMs: number;
  #count = 0;

  constructor(only: string | undefined, limitMs = 30_000) {
    this.only = only;
    this.#limitMs = limitMs;
  }

  wanted(name: string): boolean {
    return this.only === undefined || name.includes(this.only);
  }

  async check(name: string, body: (context: CheckContext) => Promise<void>, limitMs = this.#limitMs): Promise<void> {
    if (!this.wanted(name)) return;
    const started = performance.now();
    const cleanups: (() => unknown)[] = [];
    const context: CheckContext = {
      child: (child) => {
        cleanups.push(() => child.kill('SIGKILL'));
        return child;
      },
      after: (task) => cleanups.push(task),
      unique: `i${process.pid}x${++this.#count}`,
    };
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done within ${limitMs} ms`)), limitMs);
    });
    try {
      await Promise.race([body(context), limit]);
      this.pass(name, performance.now() - started);
    } catch (error) {
      this.fail(name, error instanceof Error ? error.message : String(error));
    } finally {
      clearTimeout(timer);
      for (const cleanup of cleanups.reverse()) await Promise.resolve(cleanup()).catch(() => {});
    }
  }

  pass(name: string, ms?: number): void {
    this.passed++;
    console.log(`ok    ${name}${ms === undefined ? '' : ` (${ms.toFixed(0)} ms)`}`);
  }

  fail(name: string, why: string): void {
    this.failed++;
    this.failures.push(name);
    console.log(`FAIL  ${name}\n      ${why.split('\n').join('\n      ')}`);
  }

  skip(name: string, why: string): void {
    if (!this.wanted(name)) return;
    this.skipped++;
    console.log(`SKIP  ${name}: ${why}`);
  }

  summary(): string {
    return `${this.passed} passed, ${this.failed} failed, ${this.skipped} skipped`;
  }
}

/** Resolves when the condition holds; the check's limit bounds the wait. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10));
}
