// Streams the rows of a replay from the journal's thread to the main thread, a few chunks ahead and no more.

import type { MessagePort } from 'node:worker_threads';
import type { FromWorker } from './messages.ts';
import type { ShardFile } from './shard-file.ts';

/** Chunks on their way that the main thread has not taken yet. */
const maxAhead = 4;
const chunkBytes = 1024 * 1024;
/** Rows below this are copied into one buffer per chunk; larger ones travel in the buffer they were read into. */
const packBelowBytes = 16 * 1024;
/** Empty rows cost no bytes but do cost room in a chunk's index. */
const maxRowsPerChunk = 8192;

export class ReplaySender {
  readonly #port: MessagePort;
  readonly #file: ShardFile;
  #credits = maxAhead;
  #cancelled = false;
  #wake: (() => void) | undefined;
  #index: number[] = [];
  #buffers: Uint8Array[] = [];
  #packed: Uint8Array | undefined;
  #packedBytes = 0;
  #bytes = 0;

  constructor(port: MessagePort, file: ShardFile) {
    this.#port = port;
    this.#file = file;
  }

  /**
   * Sends every row from the checkpoint on; false when it was cancelled.
   * @throws JournalError as `ShardFile.replay`
   */
  async send(): Promise<boolean> {
    for (const { row, bytes } of this.#file.replay()) {
      this.#add(row, bytes);
      if (this.#bytes >= chunkBytes || this.#index.length >= 4 * maxRowsPerChunk) {
        // Even with credit left the port must be heard now and then, or a cancel would wait for the end.
        await this.#flush();
        if (this.#cancelled) return false;
      }
    }
    if (this.#index.length > 0) await this.#flush();
    return !this.#cancelled;
  }

  credit(): void {
    this.#credits++;
    this.#wake?.();
  }

  cancel(): void {
    this.#cancelled = true;
    this.#wake?.();
  }

  #add(row: number, bytes: Uint8Array): void {
    this.#bytes += bytes.length;
    const own = bytes.buffer;
    if (bytes.length >= packBelowBytes && own instanceof ArrayBuffer && own.byteLength === bytes.length) {
      this.#index.push(row, this.#buffers.length, 0, bytes.length);
      this.#buffers.push(bytes);
      return;
    }
    if (this.#packed === undefined || this.#packed.length - this.#packedBytes < bytes.length) {
      this.#packed = new Uint8Array(Math.max(chunkBytes, bytes.length));
      this.#packedBytes = 0;
      this.#buffers.push(this.#packed);
    }
    const start = this.#packedBytes;
    this.#packed.set(bytes, start);
    this.#packedBytes += bytes.length;
    this.#index.push(row, this.#buffers.indexOf(this.#packed), start, this.#packedBytes);
  }

  async #flush(): Promise<void> {
    while (this.#credits === 0 && !this.#cancelled) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    if (this.#cancelled) return;
    this.#credits--;
    const message: FromWorker = { kind: 'rows', index: Float64Array.from(this.#index), buffers: this.#buffers };
    this.#port.postMessage(
      message,
      this.#buffers.map((bytes) => bytes.buffer as ArrayBuffer),
    );
    this.#index = [];
    this.#buffers = [];
    this.#packed = undefined;
    this.#bytes = 0;
  }
}
