// Starts parts in order, and stops those that were started in the opposite order, within a bound.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../base/log.ts';
import type { Config } from '../config.ts';
import type { Part } from './part.ts';

export class Lifecycle {
  readonly #parts: readonly Part[];
  readonly #log: Log;
  #started: Part[] = [];
  #starting: Promise<void> | undefined;
  #stopping: Promise<boolean> | undefined;

  constructor(parts: readonly Part[], log: Log) {
    this.#parts = parts;
    this.#log = log;
  }

  /**
   * Rejects with the first part's error, after stopping those before it. When `stop` is called meanwhile, the part under way
   * ends its start, and no other one begins.
   */
  start(budgetMs: number): Promise<void> {
    this.#starting ??= this.#startParts(budgetMs);
    return this.#starting;
  }

  async #startParts(budgetMs: number): Promise<void> {
    for (const part of this.#parts) {
      if (this.#stopping !== undefined) return;
      try {
        await part.start();
      } catch (error) {
        this.#stopping ??= this.#stopParts(budgetMs);
        await this.#stopping;
        throw error;
      }
      this.#started.push(part);
    }
  }

  /** Returns false when something had to be given up. May be called again. */
  stop(budgetMs: number): Promise<boolean> {
    this.#stopping ??= (async () => {
      await this.#starting?.catch(() => {});
      return this.#stopParts(budgetMs);
    })();
    return this.#stopping;
  }

  async reload(config: Config): Promise<void> {
    for (const part of this.#started) await part.reload?.(config);
  }

  async #stopParts(budgetMs: number): Promise<boolean> {
    const deadlineMs = performance.now() + budgetMs;
    let clean = true;
    for (const part of this.#started.reverse()) clean = (await this.#stopOne(part, deadlineMs)) && clean;
    this.#started = [];
    return clean;
  }

  async #stopOne(part: Part, deadlineMs: number): Promise<boolean> {
    const decided = new AbortController();
    const late = sleep(Math.max(0, deadlineMs - performance.now()), 'late' as const, { signal: decided.signal });
    late.catch(() => {});
    try {
      const stopped = Promise.resolve(part.stop(deadlineMs)).then(() => 'stopped' as const);
      if ((await Promise.race([stopped, late])) === 'stopped') return true;
      this.#log.error('did not stop in time', { part: part.name });
    } catch (error) {
      this.#log.error('did not stop cleanly', { part: part.name, error: (error as Error).message });
    } finally {
      decided.abort();
    }
    return false;
  }
}
