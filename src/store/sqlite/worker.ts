// The journal's thread: the only one that waits for the disk.
//
// One transaction per turn of this thread's event loop; what the main thread sends while a commit runs waits, and goes into
// the next one together. Reads are answered between commits, and a backup runs beside them.

import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { JournalError } from '../journal.ts';
import { backupShard } from './backup-shard.ts';
import { counter, toPlain, type FromWorker, type ToWorker, type WorkerOptions } from './messages.ts';
import { unpack, type Operation } from './operations.ts';
import { ReplaySender } from './replay-sender.ts';
import { ShardFile } from './shard-file.ts';
import { toJournalError } from './sqlite-errors.ts';
import { Upkeep } from './upkeep.ts';

/** A stalled journal waits up to this many times `retryMs` between attempts. */
const maxBackoff = 8;

class JournalWorker {
  readonly #port: MessagePort;
  readonly #options: WorkerOptions;
  readonly #file: ShardFile;
  readonly #sender: ReplaySender;
  readonly #chunks = new Map<number, Uint8Array>();
  readonly #backups = new Set<Promise<void>>();
  #upkeep: Upkeep | undefined;
  #waiting: Operation[] = [];
  #state: 'replaying' | 'running' | 'stalled' | 'closing' | 'failed' = 'replaying';
  /** Per transaction; small for a while after the disk has refused one. */
  #maxOperations = Infinity;
  #scheduled = false;
  #retry: NodeJS.Timeout | undefined;
  #retryMs: number;

  /** @throws JournalError as `ShardFile.open` */
  constructor(port: MessagePort, options: WorkerOptions) {
    this.#port = port;
    this.#options = options;
    this.#retryMs = options.retryMs;
    this.#file = ShardFile.open({ path: options.path, shard: options.shard });
    this.#sender = new ReplaySender(port, this.#file);
    port.on('message', (message: ToWorker) => this.#take(message));
  }

  /** Sends what is stored; appends are taken from then on. @throws JournalError as `ShardFile.replay` */
  async replay(): Promise<void> {
    try {
      if (!(await this.#sender.send())) return this.#letGo();
    } catch (error) {
      this.#file.closeDamaged();
      throw error;
    }
    this.#state = 'running';
    this.#upkeep = new Upkeep(this.#file, this.#options, {
      trouble: (error) => this.#trouble(error),
      sizeChanged: () => {
        this.#file.look();
        this.#count();
      },
    });
    this.#count();
    this.#say({ kind: 'opened', next: this.#file.next, checkpoint: this.#file.checkpoint });
  }

  #take(message: ToWorker): void {
    switch (message.kind) {
      case 'work':
        this.#work(message);
        break;
      case 'read':
        this.#read(message.id, message.row);
        break;
      case 'backup':
        this.#backup(message.id, message.path);
        break;
      case 'exec':
        this.#file.db.exec(message.sql);
        this.#say({ kind: 'done', id: message.id, error: undefined });
        break;
      case 'credit':
        this.#sender.credit();
        break;
      case 'close':
        void this.#close();
        break;
    }
  }

  #work(message: Extract<ToWorker, { kind: 'work' }>): void {
    for (const [id, shared] of message.created) this.#chunks.set(id, new Uint8Array(shared));
    for (const id of message.dropped) this.#chunks.delete(id);
    unpack(
      message.operations,
      (id) => this.#chunks.get(id)!,
      (operation) => this.#waiting.push(operation),
    );
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#state !== 'running' || this.#waiting.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#state !== 'running') return;
      this.#commit();
      this.#schedule();
    });
  }

  /** Commits what waits, as much as one transaction takes. */
  #commit(): 'committed' | 'smaller' | 'failed' {
    const some = takeSome(this.#waiting, this.#maxOperations, this.#options.maxTransactionBytes);
    const startMs = performance.now();
    try {
      this.#file.commit(some.operations);
    } catch (error) {
      if (some.operations.length > 1 && isRefusal(error)) {
        // Perhaps there is room for less: the disk only counts as full when it takes not even one.
        this.#maxOperations = 1;
        return 'smaller';
      }
      this.#trouble(error);
      return 'failed';
    }
    const ms = performance.now() - startMs;
    this.#maxOperations *= 2;
    this.#waiting = this.#waiting.slice(some.operations.length);
    this.#options.counters[counter.commits]!++;
    this.#options.counters[counter.commitMs]! += ms;
    this.#count();
    if (this.#state === 'stalled') this.#resume();
    this.#say({ kind: 'durable', row: some.lastRow, seconds: ms / 1000 });
    if (this.#state === 'running') this.#upkeep?.afterCommit(some.bytes, this.#waiting.length > 0);
    return 'committed';
  }

  #trouble(error: unknown): void {
    const known = toJournalError(error, this.#options.path);
    if (!isRefusal(known)) return this.#fail(known);
    if (this.#state === 'running') {
      this.#state = 'stalled';
      this.#retryMs = this.#options.retryMs;
      this.#say({ kind: 'stalled', error: toPlain(known) });
    }
    if (this.#state !== 'stalled' || this.#retry !== undefined) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#tryAgain();
    }, this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, this.#options.retryMs * maxBackoff);
  }

  #tryAgain(): void {
    if (this.#state !== 'stalled') return;
    if (this.#upkeep?.makeRoom() !== true) return;
    this.#maxOperations = 1;
    if (this.#waiting.length > 0) this.#commit();
    else this.#resume();
    this.#schedule();
  }

  #resume(): void {
    this.#state = 'running';
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#say({ kind: 'resumed' });
  }

  #fail(error: JournalError): void {
    if (this.#state === 'failed') return;
    this.#state = 'failed';
    this.#say({ kind: 'failed', error: toPlain(error) });
  }

  #read(id: number, row: number): void {
    try {
      const bytes = this.#file.read(row);
      this.#port.postMessage({ kind: 'read', id, bytes, error: undefined } satisfies FromWorker, [bytes.buffer as ArrayBuffer]);
    } catch (error) {
      this.#say({ kind: 'read', id, bytes: undefined, error: toPlain(toJournalError(error, this.#options.path)) });
    }
  }

  #backup(id: number, path: string): void {
    const done = backupShard(this.#file, path)
      .then(
        () => this.#say({ kind: 'done', id, error: undefined }),
        (error: unknown) => this.#say({ kind: 'done', id, error: toPlain(toJournalError(error, path)) }),
      )
      .finally(() => this.#backups.delete(done));
    this.#backups.add(done);
  }

  async #close(): Promise<void> {
    if (this.#state === 'replaying') return this.#sender.cancel();
    const canCommit = this.#state === 'running' || this.#state === 'stalled';
    if (canCommit) this.#state = 'closing';
    this.#upkeep?.stop();
    clearTimeout(this.#retry);
    while (canCommit && this.#waiting.length > 0 && this.#commit() !== 'failed');
    await Promise.all(this.#backups);
    this.#letGo();
  }

  #letGo(): void {
    this.#file.close();
    this.#port.close();
  }

  #count(): void {
    const counters = this.#options.counters;
    counters[counter.rows] = this.#file.rows;
    counters[counter.bytes] = this.#file.bytes;
    counters[counter.storedBytes] = this.#file.storedBytes;
  }

  #say(message: FromWorker): void {
    this.#port.postMessage(message, []);
  }
}

/** The disk does not take it now, and may later. */
function isRefusal(error: unknown): boolean {
  return error instanceof JournalError && (error.code === 'full' || error.code === 'io');
}

/** The first operations, up to about `maxBytes` but at least one. */
function takeSome(
  waiting: readonly Operation[],
  maxOperations: number,
  maxBytes: number,
): { operations: readonly Operation[]; bytes: number; lastRow: number } {
  let end = 0;
  let bytes = 0;
  let lastRow = 0;
  while (end < Math.min(waiting.length, maxOperations) && bytes < maxBytes) {
    const operation = waiting[end++]!;
    if (operation.kind === 'append') lastRow = operation.row;
    bytes += costOf(operation);
  }
  return { operations: end === waiting.length ? waiting : waiting.slice(0, end), bytes, lastRow };
}

/** Bytes that an operation adds to a transaction, roughly. */
function costOf(operation: Operation): number {
  switch (operation.kind) {
    case 'append':
      return operation.bytes.length + 64;
    case 'trim':
      return 16 * 1024; // Its row is read and written again; most rows are about this long.
    case 'discard':
      return operation.rows.length * 1024;
    case 'checkpoint':
      return 64;
  }
}

async function start(port: MessagePort): Promise<void> {
  try {
    await new JournalWorker(port, workerData as WorkerOptions).replay();
  } catch (error) {
    const known = toJournalError(error, (workerData as WorkerOptions).path);
    port.postMessage({ kind: 'refused', error: toPlain(known) } satisfies FromWorker);
    port.close();
  }
}

if (parentPort !== null) await start(parentPort);
