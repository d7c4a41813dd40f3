// Messages of one tenant whose time has not come (`attributes.deliverAtMs`). They are taken and acknowledged like those of a queue,
// and wait in one that nobody consumes. When one is due it is distributed as if it had just been published, and leaves: in one row
// where everything it goes to is in its own shard. Else each shard's row says where the message came from (`movedFrom`), and it
// leaves when all of them are durable; after a crash in between only the shards that do not say so get it.
//
// Who published it was asked for its rights then, and is not asked again. What a full queue cannot take is tried again; what
// expires meanwhile is dropped.

import { CompetingConsumers } from './competing-consumers.ts';
import type { BrokerContext } from '../context.ts';
import { distribute } from '../routing/distribution.ts';
import { Outcome } from '../port.ts';
import type { Entry, Queue } from './queue.ts';
import { writeSettle } from '../journal/records.ts';
import { whenAllDurable } from '../journal/shard.ts';
import type { Shard } from '../journal/shard.ts';
import type { TopicSpace } from '../routing/topic-space.ts';

const retryMs = 1000;
/** Each of them is read for it, and perhaps for nothing. */
const retriesPerSecond = 1000;
/** The wall clock may be set meanwhile. */
const maxWaitMs = 60_000;
/** Messages distributed before other work gets its turn. */
const sliceMessages = 1000;
/** What left the queue before its time, by its expiry or an operator, may stand in the heap as often as what waits, and so often. */
const heapSlack = 1000;

type Due = { readonly atMs: number; readonly entry: Entry; readonly isRetry?: boolean };

export class DelayedMessages extends CompetingConsumers {
  readonly #context: BrokerContext;
  readonly #space: TopicSpace;
  /** A heap: the earliest is the first. */
  readonly #heap: Due[] = [];
  /** Shards that hold a message already, by position; from before a crash. */
  readonly #done: ReadonlyMap<number, readonly number[]>;
  /** Monotonic time at which it is looked next. */
  #wakesAtMs = Infinity;
  #busy = false;
  /** Those in the heap that could not be taken when their time came. */
  #retries = 0;

  constructor(context: BrokerContext, space: TopicSpace, queue: Queue, done: ReadonlyMap<number, readonly number[]> = new Map()) {
    super(queue, '');
    this.#context = context;
    this.#space = space;
    this.#done = done;
  }

  /** How many times are remembered. */
  get scheduled(): number {
    return this.#heap.length;
  }

  /** An entry waits. */
  arrived(entry: Entry): void {
    this.#push({ atMs: entry.stored!.terms!.deliverAtMs, entry });
    this.#wake(entry.stored!.terms!.deliverAtMs);
  }

  #wake(atMs: number): void {
    const { clock, timers } = this.#context;
    const nowMs = clock.monotonicMs();
    const wakesAtMs = nowMs + Math.min(maxWaitMs, Math.max(0, atMs - clock.wallMs()));
    if (wakesAtMs >= this.#wakesAtMs) return;
    this.#wakesAtMs = wakesAtMs;
    timers.at(wakesAtMs, () => {
      if (this.#wakesAtMs !== wakesAtMs) return;
      this.#wakesAtMs = Infinity;
      this.pump();
    });
  }

  /** Distributes what is due. */
  override pump(): void {
    if (this.#busy || this.retired) return;
    this.#busy = true;
    let left = sliceMessages;
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      const { clock, turn } = this.#context;
      if (first.atMs > clock.wallMs()) {
        this.#wake(first.atMs);
        break;
      }
      if (left-- === 0) {
        turn.later(() => this.pump());
        break;
      }
      this.#pop();
      if (first.isRetry === true) this.#retries--;
      if (first.entry.waits) this.#deliver(first);
    }
    this.#busy = false;
  }

  #deliver(due: Due): void {
    const { entry } = due;
    const { queue } = this;
    const { shard } = queue;
    const { expiresAtMs } = entry.stored!;
    if (expiresAtMs > 0 && expiresAtMs <= this.#context.clock.wallMs()) {
      queue.takeOut(entry);
      queue.expire(entry);
      return;
    }
    const again = (): void => {
      if (!entry.waits) return;
      this.#push({ atMs: due.atMs, entry });
      this.pump();
    };
    // It is not safe yet, or must be read first.
    if (shard.stall !== undefined) return this.#tryLater(entry);
    if (entry.row > shard.durableRow) return shard.after(entry.row, again);
    const message = shard.load(entry.stored!, { holder: { pump: again } });
    if (message === undefined) return;
    const skip = this.#done.get(entry.position);
    const publisher = { session: undefined, origin: 0, id: 0, skip, isDue: true };
    const source = { shard: shard.index, queueId: queue.id, position: entry.position };
    shard.atomically(() => {
      const { outcome, shards } = distribute(this.#context, this.#space, this.#space.route(message.topic), message, publisher);
      if (outcome === Outcome.quotaExceeded || outcome === Outcome.unavailable) return this.#tryLater(entry);
      queue.takeOut(entry);
      if (skip === undefined && shards.every((each) => each === shard)) {
        writeSettle(shard.writer, queue.id, entry.position);
        queue.movedInRow(entry);
        return;
      }
      queue.setAside(entry);
      for (const each of shards) each.writeMovedFrom(source);
      whenAllDurable(
        shards.map((each) => ({ shard: each, row: each.row })),
        () => this.#left(entry),
      );
    });
  }

  #left(entry: Entry): void {
    const { queue } = this;
    queue.movedAway(entry);
    // When it is durable that it has left, nobody need know where it went.
    queue.shard.afterAll(() => {
      for (const shard of this.#context.shards) forgetMove(shard, queue, entry.position);
    });
  }

  #tryLater(entry: Entry): void {
    const inMs = retryMs * (1 + Math.floor(this.#retries / retriesPerSecond));
    const atMs = this.#context.clock.wallMs() + inMs;
    this.#retries++;
    this.#push({ atMs, entry, isRetry: true });
    this.#wake(atMs);
  }

  #push(due: Due): void {
    if (this.#heap.length >= 2 * this.queue.ready.length + heapSlack) this.#tidy();
    const heap = this.#heap;
    let at = heap.push(due) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(due, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = due;
  }

  #tidy(): void {
    const waiting = this.#heap.filter(({ entry }) => entry.waits);
    // What is sorted is a heap.
    waiting.sort((a, b) => (isBefore(a, b) ? -1 : 1));
    this.#heap.length = 0;
    for (const due of waiting) this.#heap.push(due);
    this.#retries = waiting.filter(({ isRetry }) => isRetry === true).length;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

/** Those of one time in the order in which they came. */
function isBefore(a: Due, b: Due): boolean {
  return a.atMs === b.atMs ? a.entry.position < b.entry.position : a.atMs < b.atMs;
}

function forgetMove(shard: Shard, { id, shard: source }: Queue, position: number): void {
  for (const from of shard.movedFrom) {
    if (from.queueId === id && from.position === position && from.shard === source.index) shard.movedFrom.delete(from);
  }
}
