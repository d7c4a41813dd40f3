// How the broker asks to be called again, without timers of its own: the node (or the simulator) owns the event loop.

export interface Turn {
  /** Runs `task` once when the current turn of the event loop ends, after everything that arrived in it. */
  atEnd(task: () => void): void;
  /** Runs `task` in a later turn, so that other work gets its chance. */
  later(task: () => void): void;
}
