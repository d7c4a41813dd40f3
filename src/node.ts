// The composition root: the only file that knows every room. A node is a list of parts; they start in order and stop in the
// opposite order.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from './base/log.ts';
import { differences, withLiveChanges, type Change, type Config } from './config.ts';
import { dataDirectory } from './node/data-directory.ts';
import type { Part } from './node/part.ts';

export type NodeOptions = {
  readonly config: Config;
  readonly log: Log;
  /** Anonymous peers may do everything. */
  readonly dev: boolean;
};

export type OpenListener = { readonly name: string; readonly kind: string; readonly host: string; readonly port: number };

export class HeliographNode {
  readonly #log: Log;
  #config: Config;
  readonly #parts: readonly Part[];
  #started: Part[] = [];
  #stopping: Promise<boolean> | undefined;

  constructor({ config, log }: NodeOptions) {
    this.#config = config;
    this.#log = log;
    this.#parts = [dataDirectory(config.node.dataDir)];
  }

  get config(): Config {
    return this.#config;
  }

  /** Where peers can connect, with the ports that the system chose. */
  get listeners(): readonly OpenListener[] {
    return [];
  }

  /**
   * @throws UserError when something outside stands in the way (a port in use, an unwritable directory…); nothing is left open
   */
  async start(): Promise<void> {
    for (const part of this.#parts) {
      try {
        await part.start();
      } catch (error) {
        await this.stop();
        throw error;
      }
      this.#started.push(part);
    }
  }

  /** Stops within the configured time. Returns false when something had to be cut short. May be called again. */
  stop(): Promise<boolean> {
    this.#stopping ??= this.#stopParts();
    return this.#stopping;
  }

  async #stopParts(): Promise<boolean> {
    const budgetMs = this.#config.node.shutdownTimeoutMs;
    const deadlineMs = performance.now() + budgetMs;
    let clean = true;
    for (const part of this.#started.reverse()) {
      const overdue = new AbortController();
      const outOfTime = sleep(Math.max(0, deadlineMs - performance.now()), 'late' as const, { signal: overdue.signal, ref: false });
      outOfTime.catch(() => {});
      try {
        const outcome = await Promise.race([Promise.resolve(part.stop(deadlineMs)).then(() => 'done' as const), outOfTime]);
        if (outcome === 'late') this.#log.error('did not stop in time', { part: part.name, budgetMs });
        clean &&= outcome === 'done';
      } catch (error) {
        this.#log.error('did not stop cleanly', { part: part.name, error: (error as Error).message });
        clean = false;
      } finally {
        overdue.abort();
      }
    }
    return clean;
  }

  /** Applies what can change while running, and returns every change, also those that want a restart. */
  async reload(config: Config): Promise<readonly Change[]> {
    const changes = differences(this.#config, config);
    this.#config = withLiveChanges(this.#config, config);
    for (const part of this.#started) await part.reload?.(this.#config);
    return changes;
  }
}
