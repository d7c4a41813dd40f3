import type { Config } from '../config.ts';

/** Something that starts and stops with the node. */
export type Part = {
  readonly name: string;
  /** @throws UserError when something outside stands in the way; then it must have left nothing open */
  start(): Promise<void> | void;
  /** Is given up when it takes until `deadlineMs`, on performance.now(). */
  stop(deadlineMs: number): Promise<void> | void;
  /** Applies what can change while running. @throws when it cannot, and then keeps what was in force */
  reload?(config: Config): Promise<void> | void;
};
