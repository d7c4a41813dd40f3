// What a client says before its CONNECT is answered: it need not wait. Kept in small measure, done once the answer is yes, forgotten when it is no [MQTT-3.1.4-6].

/** What a kept packet costs beside its bytes. */
const overheadBytes = 64;

export class EarlyPackets {
  readonly packets: { readonly firstByte: number; readonly body: Uint8Array }[] = [];
  #bytes = 0;

  /** Keeps a copy. Returns false when that would be more than `maxBytes` in all. */
  add(firstByte: number, bytes: Uint8Array, start: number, end: number, maxBytes: number): boolean {
    this.#bytes += end - start + overheadBytes;
    if (this.#bytes > maxBytes) return false;
    this.packets.push({ firstByte, body: new Uint8Array(bytes.subarray(start, end)) });
    return true;
  }
}
