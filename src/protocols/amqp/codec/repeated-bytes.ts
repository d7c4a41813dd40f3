// Peers say the same again and again: the annotations of a producer's messages are mostly the same bytes. Who has read them once needs not
// read them again: comparing them costs a tenth.

/** Longer ones are never recognised: comparing them would cost more than it saves, and memory. */
const maxBytes = 1024;
const none = -1;

export class RepeatedBytes {
  #bytes = new Uint8Array(0);
  #length = none;

  /** Whether `bytes[start..end)` are those that were kept last. */
  are(bytes: Uint8Array, start: number, end: number): boolean {
    const kept = this.#bytes;
    const length = this.#length;
    if (end - start !== length) return false;
    for (let i = 0; i < length; i++) if (bytes[start + i] !== kept[i]) return false;
    return true;
  }

  keep(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    if (length > maxBytes) return this.forget();
    if (this.#bytes.length < length) this.#bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) this.#bytes[i] = bytes[start + i]!;
    this.#length = length;
  }

  /** Nothing is recognised until the next `keep`. */
  forget(): void {
    this.#length = none;
  }
}
