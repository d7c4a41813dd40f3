import type { Config } from '../config.ts';

/** Something that starts and stops with the node. */
export type Part = {
  readonly name: string;
  start(): Promise<void> | void;
  /** Must return in bounded time; `deadlineMs` is on performance.now(). */
  stop(deadlineMs: number): Promise<void> | void;
  /** Applies what can change while running. */
  reload?(config: Config): Promise<void> | void;
};
