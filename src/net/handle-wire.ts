// A wire straight on Node's TCP handle (node-handles.ts): one read buffer for all connections, no stream, no event, no closure
// for a read or a write.

import type { WireFacts } from '../protocols/protocol.ts';
import type { NetLoop } from './loop.ts';
import { endOfFile, type HandleRequest, type NodeHandles, type TcpHandle } from './node-handles.ts';
import { OpenWire, type WireHome } from './open-wire.ts';

/**
 * Shared by all connections, because what is received is only valid during the call. 64 KB is what libuv would read at a time;
 * larger was not faster and leaves the processor's second-level cache.
 */
const readBuffer = new Uint8Array(64 * 1024);
/** Most reads are small, and a connection's are often of one length: the views of those are made once. */
const viewsOfSmallReads: (Uint8Array | undefined)[] = Array.from({ length: 512 });

function firstBytes(count: number): Uint8Array {
  if (count >= viewsOfSmallReads.length) return readBuffer.subarray(0, count);
  return (viewsOfSmallReads[count] ??= readBuffer.subarray(0, count));
}

export class HandleWire extends OpenWire {
  readonly #handles: NodeHandles;
  readonly #handle: TcpHandle;
  /** The request for the next write of any wire: one that was finished at once can be used again. */
  static #spareRequest: HandleRequest<HandleWire> | undefined;

  constructor(loop: NetLoop, home: WireHome, facts: WireFacts, handles: NodeHandles, handle: TcpHandle) {
    super(loop, home, facts);
    this.#handles = handles;
    this.#handle = handle;
    handles.own(handle, this, readBuffer);
  }

  protected send(chunks: readonly Uint8Array[]): boolean {
    const handle = this.#handle;
    const request = HandleWire.#spareRequest ?? this.#handles.writeRequest<HandleWire>();
    HandleWire.#spareRequest = undefined;
    const status = chunks.length === 1 ? handle.writeBuffer(request, chunks[0]!) : handle.writev(request, chunks, true);
    if (status !== 0) {
      this.failed();
      return false;
    }
    if (!this.#handles.lastWriteGoesOn()) {
      HandleWire.#spareRequest = request;
      return true;
    }
    request.owner = this;
    request.chunks = chunks;
    request.oncomplete = onWritten;
    return false;
  }

  protected sendEnd(): void {
    const request = this.#handles.shutdownRequest<HandleWire>();
    request.owner = this;
    request.oncomplete = onEndSent;
    const status = this.#handle.shutdown(request);
    if (status < 0) this.failed();
  }

  protected startReading(): void {
    if (this.#handle.readStart() < 0) this.failed();
  }

  protected stopReading(): void {
    this.#handle.readStop();
  }

  protected destroy(): void {
    this.#handle.close(() => this.released());
  }

  readNow(): void {
    const count = this.#handles.lastRead();
    if (count > 0) this.received(firstBytes(count));
    else if (count === endOfFile) this.peerEnded();
    else if (count < 0) this.failed();
  }

  writtenNow(status: number, chunks: readonly Uint8Array[]): void {
    if (status < 0) this.failed();
    else this.written(chunks);
  }
}

function onWritten(this: HandleRequest<HandleWire>, status: number): void {
  this.owner!.writtenNow(status, this.chunks!);
}

function onEndSent(this: HandleRequest<HandleWire>, status: number): void {
  if (status < 0) this.owner!.abort();
}
