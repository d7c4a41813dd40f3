// Rows that were appended and are not durable yet, in memory that the main thread and the journal's worker share: `append`
// copies a row once, the worker stores it from there, and `find` serves it meanwhile. A chunk is written again only after
// every row in it is durable, which is the worker's word that it is done with them.

/** Common rows share chunks of this size; a larger row gets one of its own. */
const chunkBytes = 256 * 1024;
/** Free chunks kept for reuse. Beyond that they go to the garbage collector. */
const maxFreeChunks = 64;

type Chunk = { readonly id: number; readonly bytes: Uint8Array; used: number; lastRow: number };
type Entry = { readonly chunk: Chunk; readonly start: number; readonly length: number };

export class PendingRows {
  /** Bytes of rows that wait. */
  bytes = 0;
  /** Chunks the worker has not been told of, and ones it may forget. The owner takes and empties these. */
  created: [number, SharedArrayBuffer][] = [];
  dropped: number[] = [];
  /** Entries of rows `#firstRow`, `#firstRow` + 1, … from `#head` on; what is before `#head` is done with. */
  readonly #entries: (Entry | undefined)[] = [];
  #head = 0;
  #firstRow = 0;
  /** Chunks with waiting rows, oldest first; the last one is being filled. */
  readonly #chunks: Chunk[] = [];
  readonly #free: Chunk[] = [];
  #nextId = 0;

  get rows(): number {
    return this.#entries.length - this.#head;
  }

  /** Copies a row; rows come in order without gaps. Returns where the copy is. */
  append(row: number, bytes: Uint8Array): { chunk: number; start: number } {
    if (this.rows === 0) this.#firstRow = row;
    const chunk = this.#room(bytes.length);
    const start = chunk.used;
    chunk.bytes.set(bytes, start);
    chunk.used += bytes.length;
    chunk.lastRow = row;
    this.bytes += bytes.length;
    this.#entries.push({ chunk, start, length: bytes.length });
    return { chunk: chunk.id, start };
  }

  /** A copy of a row that waits, or undefined. */
  find(row: number): Uint8Array | undefined {
    if (row < this.#firstRow) return undefined;
    const entry = this.#entries[this.#head + row - this.#firstRow];
    return entry === undefined ? undefined : new Uint8Array(entry.chunk.bytes.subarray(entry.start, entry.start + entry.length));
  }

  /** Every row up to `row` is durable: forget them. */
  release(row: number): void {
    while (this.rows > 0 && this.#firstRow <= row) {
      this.bytes -= this.#entries[this.#head]!.length;
      this.#entries[this.#head++] = undefined;
      this.#firstRow++;
    }
    if (this.#head > 1024 && this.#head * 2 > this.#entries.length) {
      this.#entries.splice(0, this.#head);
      this.#head = 0;
    }
    while (this.#chunks.length > 0 && this.#chunks[0]!.lastRow <= row) {
      const chunk = this.#chunks[0]!;
      chunk.used = 0;
      if (this.#chunks.length === 1 && chunk.bytes.length === chunkBytes) return;
      this.#chunks.shift();
      if (chunk.bytes.length === chunkBytes && this.#free.length < maxFreeChunks) this.#free.push(chunk);
      else this.dropped.push(chunk.id);
    }
  }

  #room(length: number): Chunk {
    const last = this.#chunks.at(-1);
    if (last !== undefined && last.bytes.length - last.used >= length) return last;
    const reusable = length <= chunkBytes ? this.#free.pop() : undefined;
    const chunk = reusable ?? this.#create(Math.max(length, chunkBytes));
    this.#chunks.push(chunk);
    return chunk;
  }

  #create(bytes: number): Chunk {
    const shared = new SharedArrayBuffer(bytes);
    const chunk = { id: this.#nextId++, bytes: new Uint8Array(shared), used: 0, lastRow: 0 };
    this.created.push([chunk.id, shared]);
    return chunk;
  }
}
