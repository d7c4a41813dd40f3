// The other end of the registry's thread: calls go out, answers come back in their order. A thread that died is started again by the
// next call: everything it knows is in the file.

import { Worker } from 'node:worker_threads';
import { refusal, type Result } from '../registry.ts';
import type { Call, FromThread, ThreadData, ToThread } from './calls.ts';

/** A caller that does not wait for its answers is told to. */
const maxWaiting = 1024;

type Waiting = { readonly resolve: (result: Result<unknown>) => void; readonly reject: (bug: Error) => void };

export class RegistryThread {
  readonly #data: ThreadData;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #exited: Promise<void> = Promise.resolve();
  #nextId = 0;

  constructor(path: string, writeWaitMs: number) {
    this.#data = { path, writeWaitMs };
  }

  /** Rejects only when there is a bug in the thread. */
  call(call: Call): Promise<Result<unknown>> {
    if (this.#waiting.size >= maxWaiting)
      return Promise.resolve(refusal('unavailable', `${maxWaiting} calls wait for the registry already`));
    const worker = (this.#worker ??= this.#start());
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      // Throws what cannot be sent, and then nobody waits.
      worker.postMessage({ id, call } satisfies ToThread, []);
      worker.ref();
      this.#waiting.set(id, { resolve, reject });
    });
  }

  /** What was called before is still done. */
  async close(): Promise<void> {
    this.#worker?.ref();
    this.#worker?.postMessage('close' satisfies ToThread);
    await this.#exited;
  }

  #start(): Worker {
    const url = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);
    const worker = new Worker(url, { workerData: this.#data, execArgv: [], name: 'registry' });
    let died = 'it ended';
    worker.on('message', (answer: FromThread) => this.#take(answer));
    worker.on('error', (error) => (died = error.message));
    this.#exited = new Promise((resolve) => {
      worker.on('exit', () => {
        if (this.#worker === worker) this.#worker = undefined;
        // Whether their work was done is not known: a transaction is whole or was never there.
        for (const { resolve: answer } of this.#waiting.values()) answer(refusal('unavailable', `the registry's thread was lost: ${died}`));
        this.#waiting.clear();
        resolve();
      });
    });
    return worker;
  }

  #take(answer: FromThread): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    // An idle thread keeps no process alive.
    if (this.#waiting.size === 0) this.#worker?.unref();
    if (waiting === undefined) return;
    if ('bug' in answer) waiting.reject(new Error(`in the registry's thread: ${answer.bug}`));
    else waiting.resolve(answer.result);
  }
}
