// Bytes on their way to one peer. A protocol writes straight into `buffer` at `position` after `reserve(n)`; whoever owns
// the wire takes the filled chunks once per turn of the event loop. Nothing here knows what a socket is.
//
// Chunks come from a shared pool, so that an idle connection holds none.

const smallChunkBytes = 1024;
const largeChunkBytes = 64 * 1024;
/** How many free chunks of each size are kept for reuse; beyond that they go to the garbage collector. */
const maxPooled = { small: 4096, large: 256 };

const pool: { small: Uint8Array[]; large: Uint8Array[] } = { small: [], large: [] };
const noChunks: readonly Uint8Array[] = [];
const nothing = new Uint8Array(0);

/** Gives a chunk that `takeChunks` handed out back to the pool, once the wire has copied it. */
export function recycleChunk(chunk: Uint8Array): void {
  const whole = chunk.buffer.byteLength;
  if (whole === smallChunkBytes && pool.small.length < maxPooled.small) pool.small.push(new Uint8Array(chunk.buffer));
  else if (whole === largeChunkBytes && pool.large.length < maxPooled.large) pool.large.push(new Uint8Array(chunk.buffer));
}

function newChunk(bytes: number): Uint8Array {
  if (bytes <= smallChunkBytes) return pool.small.pop() ?? new Uint8Array(smallChunkBytes);
  if (bytes <= largeChunkBytes) return pool.large.pop() ?? new Uint8Array(largeChunkBytes);
  return new Uint8Array(bytes);
}

export class Output {
  /** Write here, from `position` on, after `reserve`. */
  buffer: Uint8Array = nothing;
  position = 0;
  /** Bytes that were taken by `takeChunks` and that the wire has not confirmed yet; kept by the owner of the wire. */
  unsentBytes = 0;
  /**
   * Absent while there is none. Were it an empty array, V8 would see thousands of idle connections keep theirs, and from then on
   * put the arrays of every flush among the long-lived objects: pauses of 20 ms.
   */
  #full: Uint8Array[] | undefined = undefined;
  #fullBytes = 0;
  #dirty = false;
  readonly #onDirty: (output: Output) => void;

  /** `onDirty` is called at the first reservation after each `takeChunks`. */
  constructor(onDirty: (output: Output) => void) {
    this.#onDirty = onDirty;
  }

  /** Bytes that the peer has not taken yet: the measure for congestion. */
  get pendingBytes(): number {
    return this.#fullBytes + this.position + this.unsentBytes;
  }

  /** Makes sure that `bytes` more fit into `buffer` at `position`. The caller then writes and moves `position`. */
  reserve(bytes: number): void {
    if (!this.#dirty) {
      this.#dirty = true;
      this.#onDirty(this);
    }
    if (this.buffer.length - this.position < bytes) this.#grow(bytes);
  }

  /** Appends a copy of `source[start..end)`. */
  write(source: Uint8Array, start: number, end: number): void {
    const length = end - start;
    this.reserve(length);
    this.buffer.set(start === 0 && end === source.length ? source : source.subarray(start, end), this.position);
    this.position += length;
  }

  /** The filled chunks in order; the output is empty afterwards. The taker adds their length to `unsentBytes` while the wire is busy. */
  takeChunks(): readonly Uint8Array[] {
    this.#dirty = false;
    if (this.#full === undefined && this.position === 0) return noChunks;
    const chunks = this.#full ?? [];
    if (this.position > 0) chunks.push(this.buffer.subarray(0, this.position));
    this.buffer = nothing;
    this.position = 0;
    this.#full = undefined;
    this.#fullBytes = 0;
    return chunks;
  }

  #grow(bytes: number): void {
    if (this.position === 0) {
      if (this.buffer.length > 0) recycleChunk(this.buffer);
      this.buffer = newChunk(bytes);
      return;
    }
    if (this.buffer.length === smallChunkBytes && this.#full === undefined && this.position + bytes <= largeChunkBytes) {
      // A busy connection: move what the small chunk holds into a large one, and write one piece instead of two.
      const large = newChunk(largeChunkBytes);
      large.set(this.buffer.subarray(0, this.position));
      recycleChunk(this.buffer);
      this.buffer = large;
      return;
    }
    (this.#full ??= []).push(this.buffer.subarray(0, this.position));
    this.#fullBytes += this.position;
    this.buffer = newChunk(Math.max(bytes, largeChunkBytes));
    this.position = 0;
  }
}
