// The turn of the event loop, as every connection sees it: peers' bytes are handed to their protocols, then, once, what ended is
// told, tasks of the end run, and each connection that has something to say is flushed. One loop per process.

import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Sample } from '../base/metrics.ts';
import type { Output } from '../base/output.ts';
import { Timers } from '../base/timers.ts';
import type { OpenWire, WireOutput } from './open-wire.ts';

export type LoopOptions = {
  readonly clock: Clock & { refresh(): void };
  readonly log: Log;
  /** Above so many unsent bytes a connection is congested; its `onDrained` is called once it is below the low mark again. */
  readonly highWaterBytes: number;
  readonly lowWaterBytes: number;
  /** A handler threw: the house is broken, and the node should stop. Its connection is closed in any case. */
  readonly onInvariantBroken?: (error: unknown) => void;
};

/** Bytes read after which outputs are flushed within a turn, before they outgrow the processor's caches. */
const flushAfterBytes = 64 * 1024;
/**
 * What one peer may send in a turn. Node would hand over 2 MB of it before it looks at the next peer, and with many busy ones a
 * turn, and with it every answer, would take most of a second.
 */
const shareBytes = 64 * 1024;

/** Deadlines are met this late at most, so that thousands of them do not wake the process one by one. */
const timerGrainMs = 5;
/** Longest delay that setTimeout knows. */
const maxTimeoutMs = 0x7fff_ffff;

export class NetLoop {
  readonly clock: LoopOptions['clock'];
  readonly log: Log;
  readonly highWaterBytes: number;
  readonly lowWaterBytes: number;
  readonly timers = new Timers();
  turns = 0;
  flushes = 0;
  brokenInvariants = 0;
  readonly #onInvariantBroken: ((error: unknown) => void) | undefined;
  #inTurn = false;
  #bytesSinceFlush = 0;
  #dirty: OpenWire[] = [];
  #spareDirty: OpenWire[] = [];
  #heldBack: OpenWire[] = [];
  #ended: OpenWire[] = [];
  #atEnd: (() => void)[] = [];
  #later: (() => void)[] = [];
  #timeout: NodeJS.Timeout | undefined;
  #timeoutAtMs = Infinity;
  #stopped = false;

  constructor({ clock, log, highWaterBytes, lowWaterBytes, onInvariantBroken }: LoopOptions) {
    this.clock = clock;
    this.log = log;
    this.highWaterBytes = highWaterBytes;
    this.lowWaterBytes = lowWaterBytes;
    this.#onInvariantBroken = onInvariantBroken;
  }

  /** Runs `task` once when the current turn ends, before outputs are flushed. */
  atEnd(task: () => void): void {
    this.#atEnd.push(task);
    this.enterTurn();
  }

  /** Runs `task` in a later turn, after the system was asked for what has arrived. */
  later(task: () => void): void {
    this.#later.push(task);
    this.enterTurn();
  }

  /** Whatever comes in from outside calls this first: the clock moves, and the end of the turn is arranged. */
  enterTurn(): void {
    if (this.#inTurn) return;
    this.#inTurn = true;
    this.turns++;
    this.clock.refresh();
    setImmediate(this.#endTurn);
  }

  /** `bytes` of a peer have been handled. */
  handled(wire: OpenWire, bytes: number): void {
    if (wire.turn !== this.turns) {
      wire.turn = this.turns;
      wire.turnBytes = 0;
    }
    const before = wire.turnBytes;
    wire.turnBytes = before + bytes;
    if (before < shareBytes && before + bytes >= shareBytes) {
      wire.holdBack();
      this.#heldBack.push(wire);
    }
    this.#bytesSinceFlush += bytes;
    if (this.#bytesSinceFlush >= flushAfterBytes) this.#flush();
  }

  /** For Output: its first byte since it was last taken. */
  readonly outputIsDirty = (output: Output): void => {
    this.wantsFlush((output as WireOutput).wire);
  };

  /** Flushes `wire` at the end of this turn. */
  wantsFlush(wire: OpenWire): void {
    if (wire.isDirty) return;
    wire.isDirty = true;
    this.#dirty.push(wire);
    this.enterTurn();
  }

  /** Tells the wire's connection at the end of this turn that it is over. */
  ended(wire: OpenWire): void {
    this.#ended.push(wire);
    this.enterTurn();
  }

  /** Makes sure that `timers` are looked at when `deadlineMs` has come. */
  wakeAt(deadlineMs: number): void {
    if (deadlineMs >= this.#timeoutAtMs || this.#stopped) return;
    clearTimeout(this.#timeout);
    const delayMs = Math.min(Math.max(deadlineMs - this.clock.monotonicMs(), timerGrainMs), maxTimeoutMs);
    this.#timeoutAtMs = deadlineMs;
    // Sockets and listeners keep the process alive, deadlines alone do not.
    this.#timeout = setTimeout(this.#wake, delayMs).unref();
  }

  /** A handler threw, which no peer can make it do. */
  invariantBroken(error: unknown, where: string): void {
    this.brokenInvariants++;
    const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined };
    this.log.error('a connection’s handler failed', { where, error: message, stack });
    this.#onInvariantBroken?.(error);
  }

  /** Forgets its timer. For after all listeners are closed. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timeout);
    this.#timeoutAtMs = Infinity;
  }

  *metrics(): Iterable<Sample> {
    const counter = (name: string, help: string, value: number): Sample => ({ name, help, type: 'counter', value });
    yield counter('heliograph_net_turns_total', 'Turns of the event loop in which there was something to do.', this.turns);
    yield counter('heliograph_net_flush_rounds_total', 'Rounds in which the outputs of connections were flushed.', this.flushes);
    yield counter('heliograph_net_broken_invariants_total', 'Handlers that failed.', this.brokenInvariants);
  }

  readonly #endTurn = (): void => {
    this.#tellEnded();
    // A task may add another one, which still belongs to this turn.
    const tasks = this.#atEnd;
    for (let i = 0; i < tasks.length; i++) this.#run(tasks[i]!, 'end of turn');
    tasks.length = 0;
    this.#inTurn = false;
    this.#flush();
    for (const wire of this.#heldBack) wire.goOn();
    this.#heldBack.length = 0;
    if (this.#later.length > 0) setImmediate(this.#runLater);
  };

  readonly #runLater = (): void => {
    const tasks = this.#later;
    if (tasks.length === 0) return;
    this.#later = [];
    this.enterTurn();
    for (const task of tasks) this.#run(task, 'later task');
  };

  readonly #wake = (): void => {
    this.#timeoutAtMs = Infinity;
    this.enterTurn();
    const nowMs = this.clock.monotonicMs();
    try {
      this.timers.advance(nowMs);
    } catch (error) {
      this.invariantBroken(error, 'timer');
    }
    const nextMs = this.timers.nextDeadlineMs();
    if (nextMs !== Infinity) this.wakeAt(nextMs);
  };

  #flush(): void {
    this.#bytesSinceFlush = 0;
    const wires = this.#dirty;
    if (wires.length === 0) return;
    this.flushes++;
    // What becomes dirty while this list is worked off waits for the next round.
    this.#dirty = this.#spareDirty;
    this.#spareDirty = wires;
    for (let i = 0; i < wires.length; i++) {
      const wire = wires[i]!;
      wire.isDirty = false;
      try {
        wire.flush();
      } catch (error) {
        this.invariantBroken(error, wire.facts.listener);
        wire.abort();
      }
    }
    wires.length = 0;
  }

  #tellEnded(): void {
    while (this.#ended.length > 0) {
      const wires = this.#ended;
      this.#ended = [];
      for (const wire of wires) wire.tellEnded();
    }
  }

  #run(task: () => void, where: string): void {
    try {
      task();
    } catch (error) {
      this.invariantBroken(error, where);
    }
  }
}
