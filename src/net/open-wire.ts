// One connection: its protocol on one side, bytes of the system on the other. What differs between a TCP handle, a socket and a
// WebSocket is below it, in handle-wire.ts, socket-wire.ts and websocket-wire.ts.
//
//   open ──close()/peer's end──► draining ──all sent, both sides ended, or time is up──► gone
//   open, draining ──abort()/error──► gone
//
// The connection is told at the end of the turn in which it left `open`, and never sees the rest.

import { Output, recycleChunk } from '../base/output.ts';
import type { Timer } from '../base/timers.ts';
import type { Connection, Wire, WireFacts } from '../protocols/protocol.ts';
import type { NetCounters } from './counters.ts';
import type { NetLoop } from './loop.ts';

/** An output that knows its wire, so that one function serves all outputs. */
export class WireOutput extends Output {
  readonly wire: OpenWire;

  constructor(wire: OpenWire, loop: NetLoop) {
    super(loop.outputIsDirty);
    this.wire = wire;
  }
}

/** What a wire needs of the listener that it came in by. */
export type WireHome = {
  readonly counters: NetCounters;
  readonly closeTimeoutMs: number;
  /** The system has let go of it. Called once. */
  gone(wire: OpenWire): void;
};

type State = 'open' | 'draining' | 'gone';

export abstract class OpenWire implements Wire {
  readonly output: WireOutput;
  readonly facts: WireFacts;
  /** In the loop's list of wires to flush. */
  isDirty = false;
  /** The turn in which it last received something, and how much. */
  turn = 0;
  turnBytes = 0;
  protected readonly loop: NetLoop;
  protected readonly home: WireHome;
  protected state: State = 'open';
  #connection: Connection | undefined;
  /** A write is under way; `written` will tell. */
  #writing = false;
  /** The system has been asked for what the peer sends. */
  #reading = false;
  #congested = false;
  #pauses = 0;
  #endSent = false;
  #peerEnded = false;
  #deadlineMs = Infinity;
  #timer: Timer | undefined;
  #timerTask: ((nowMs: number) => void) | undefined;

  constructor(loop: NetLoop, home: WireHome, facts: WireFacts) {
    this.loop = loop;
    this.home = home;
    this.facts = facts;
    this.output = new WireOutput(this, loop);
  }

  // --- what a kind of wire does ---

  /** Gives the chunks to the system. True: it has copied them. False: `written` or `failed` will be called. */
  protected abstract send(chunks: readonly Uint8Array[]): boolean;
  /** Says to the peer that nothing more will come. Called once, when everything is sent. */
  protected abstract sendEnd(): void;
  protected abstract startReading(): void;
  protected abstract stopReading(): void;
  /** Lets go of the system's side at once, and calls `released` when that is done. */
  protected abstract destroy(): void;

  // --- the protocol's hold (Wire) ---

  pause(): void {
    if (++this.#pauses > 1 || this.state !== 'open') return;
    this.home.counters.pauses++;
    this.#read(false);
  }

  resume(): void {
    if (this.#pauses === 0 || --this.#pauses > 0 || this.state !== 'open') return;
    this.#read(true);
  }

  close(): void {
    if (this.state !== 'open') return;
    this.#leaveOpen('draining');
    // To see the peer's end: a socket that is closed with unread bytes is reset, which can cost the peer the last bytes sent.
    if (this.#pauses > 0) this.#read(true);
    this.#setTimer(this.loop.clock.monotonicMs() + this.home.closeTimeoutMs);
    this.loop.wantsFlush(this);
  }

  abort(): void {
    if (this.state === 'gone') return;
    if (this.state === 'open') this.#leaveOpen('gone');
    this.state = 'gone';
    this.loop.timers.cancel(this.#timer);
    this.destroy();
  }

  setDeadline(monotonicMs: number): void {
    if (this.state === 'open') this.#setTimer(monotonicMs);
  }

  // --- the listener's side ---

  /** Gives it its protocol and begins to read. */
  open(connect: (wire: Wire) => Connection): void {
    this.loop.enterTurn();
    try {
      this.#connection = connect(this);
    } catch (error) {
      this.loop.invariantBroken(error, this.facts.listener);
      this.abort();
      return;
    }
    // The protocol may already have closed or paused it.
    if (this.#pauses === 0 && this.state !== 'gone') this.#read(true);
  }

  shutDown(): void {
    if (this.state !== 'open') return;
    this.loop.enterTurn();
    try {
      this.#connection?.shutDown();
    } catch (error) {
      this.#broken(error);
    }
  }

  // --- the loop's side ---

  /** Hands what the output holds to the system. */
  flush(): void {
    if (this.#writing) {
      this.#noteCongestion();
      return;
    }
    const { output } = this;
    this.#noteCongestion();
    const chunks = output.takeChunks();
    if (chunks.length > 0) {
      if (this.state === 'gone') return;
      let bytes = 0;
      for (const chunk of chunks) bytes += chunk.length;
      this.home.counters.writes++;
      this.home.counters.bytesOut += bytes;
      if (!this.send(chunks)) {
        this.#writing = true;
        output.unsentBytes += bytes;
        return;
      }
      for (const chunk of chunks) recycleChunk(chunk);
    }
    this.#afterWrite();
  }

  /** It has had its share of this turn: reading goes on in the next one. */
  holdBack(): void {
    if (this.state === 'open' && this.#pauses === 0) this.#read(false);
  }

  goOn(): void {
    if (this.state === 'draining' || (this.state === 'open' && this.#pauses === 0)) this.#read(true);
  }

  /** Tells the connection that it is over. */
  tellEnded(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    try {
      connection?.onClosed();
    } catch (error) {
      this.loop.invariantBroken(error, this.facts.listener);
    }
  }

  // --- what comes from the system ---

  protected received(bytes: Uint8Array): void {
    const { loop } = this;
    const { counters } = this.home;
    loop.enterTurn();
    counters.reads++;
    counters.bytesIn += bytes.length;
    if (this.state !== 'open') return;
    try {
      this.#connection!.receive(bytes);
    } catch (error) {
      this.#broken(error);
    }
    loop.handled(this, bytes.length);
  }

  /** The chunks that `send` kept have been taken. */
  protected written(chunks: readonly Uint8Array[]): void {
    for (const chunk of chunks) recycleChunk(chunk);
    this.#noteCongestion();
    this.#writing = false;
    this.output.unsentBytes = 0;
    if (this.state === 'gone') return;
    if (this.output.pendingBytes > 0) this.loop.wantsFlush(this);
    this.#afterWrite();
  }

  /** The peer will send nothing more. */
  protected peerEnded(): void {
    this.#peerEnded = true;
    if (this.state === 'open') this.close();
    else if (this.#endSent) this.abort();
  }

  /** The connection broke. */
  protected failed(): void {
    this.abort();
  }

  /** The system has let go, after `destroy` or by itself. */
  protected released(): void {
    if (this.state === 'open') this.#leaveOpen('gone');
    this.state = 'gone';
    this.loop.timers.cancel(this.#timer);
    // A chunk that is still being written is not recycled: the system might read it yet.
    for (const chunk of this.output.takeChunks()) recycleChunk(chunk);
    this.output.unsentBytes = 0;
    this.home.gone(this);
  }

  // --- within ---

  /** Several have a say within a turn, but to ask the system twice is an error there, and would end the connection. */
  #read(on: boolean): void {
    if (this.#reading === on) return;
    this.#reading = on;
    if (on) this.startReading();
    else this.stopReading();
  }

  #afterWrite(): void {
    if (this.state === 'draining') {
      if (this.#endSent || this.output.pendingBytes > 0) return;
      this.#endSent = true;
      if (this.#peerEnded) this.abort();
      else this.sendEnd();
      return;
    }
    if (!this.#congested || this.output.pendingBytes >= this.loop.lowWaterBytes || this.state !== 'open') return;
    this.#congested = false;
    this.loop.enterTurn();
    try {
      this.#connection?.onDrained();
    } catch (error) {
      this.#broken(error);
    }
  }

  #noteCongestion(): void {
    if (this.#congested || this.output.pendingBytes <= this.loop.highWaterBytes) return;
    this.#congested = true;
    this.home.counters.congestions++;
  }

  #leaveOpen(to: 'draining' | 'gone'): void {
    this.state = to;
    this.loop.ended(this);
  }

  #broken(error: unknown): void {
    this.loop.invariantBroken(error, this.facts.listener);
    this.abort();
  }

  #setTimer(deadlineMs: number): void {
    this.#deadlineMs = deadlineMs;
    // A later deadline waits until the armed one comes up: keep-alive moves it with every packet.
    if (this.#timer !== undefined && this.#timer.deadlineMs <= deadlineMs) return;
    this.loop.timers.cancel(this.#timer);
    this.#timer = undefined;
    if (deadlineMs === Infinity) return;
    this.#timerTask ??= (nowMs): void => this.#onTimer(nowMs);
    this.#timer = this.loop.timers.at(deadlineMs, this.#timerTask);
    this.loop.wakeAt(deadlineMs);
  }

  #onTimer(nowMs: number): void {
    this.#timer = undefined;
    if (this.state === 'gone') return;
    if (nowMs < this.#deadlineMs) {
      this.#setTimer(this.#deadlineMs);
      return;
    }
    this.#deadlineMs = Infinity;
    if (this.state === 'draining') {
      this.home.counters.closeTimeouts++;
      this.abort();
      return;
    }
    try {
      this.#connection?.onDeadline();
    } catch (error) {
      this.#broken(error);
    }
  }
}
