// A run that never ends stops the thread it is in, so somebody else must see it: this thread is shown each input before it
// runs, and when it sees the same one for too long, it writes it down and ends the process.

import { mkdirSync, writeFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { isMainThread, Worker, workerData } from 'node:worker_threads';

type Shared = {
  /** Runs begun; length of the input. */
  readonly header: Int32Array;
  readonly input: Uint8Array;
  readonly limitMs: number;
  readonly file: string;
  readonly advice: string;
};

export class Watchdog {
  readonly #shared: Shared;
  readonly #worker: Worker;

  /** `file` is where an input that never ends is written to; `advice` is what is printed then. */
  constructor(maxBytes: number, limitMs: number, file: string, advice: string) {
    this.#shared = {
      header: new Int32Array(new SharedArrayBuffer(8)),
      input: new Uint8Array(new SharedArrayBuffer(maxBytes)),
      limitMs,
      file,
      advice,
    };
    this.#worker = new Worker(new URL(import.meta.url), { workerData: this.#shared });
    this.#worker.unref();
  }

  show(input: Uint8Array): void {
    const { header } = this.#shared;
    const length = Math.min(input.length, this.#shared.input.length);
    this.#shared.input.set(input.subarray(0, length));
    header[1] = length;
    Atomics.add(header, 0, 1);
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }
}

function watch({ header, input, limitMs, file, advice }: Shared): void {
  let seen = 0;
  setInterval(() => {
    const now = Atomics.load(header, 0);
    if (now !== seen || now === 0) {
      seen = now;
      return;
    }
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, input.slice(0, header[1]));
    // The main thread is busy: neither would it print for this thread, nor could this thread make it exit.
    writeSync(2, `\n✖ an input has not ended after ${limitMs} ms: ${file}\n  ${advice}\n`);
    process.kill(process.pid, 'SIGKILL');
  }, limitMs);
}

if (!isMainThread && workerData !== null && typeof workerData === 'object' && 'limitMs' in workerData) watch(workerData as Shared);
