// The only file that knows Node's TCP handles from inside. Driving a handle without a net.Socket around it saves about a
// sixth of the CPU of a small read and its answer, and about 2 KB a connection. None of it is documented, so everything that
// is used is looked for first; where something is missing the house uses net.Socket (socket-wire.ts) and works the same.

import { Socket, type Server, type SocketConstructorOpts } from 'node:net';

/** Answers of a handle: 0 is success, below 0 is an error of the system. */
type Status = number;

/** A write or shutdown request; Node calls `oncomplete` on it unless it was finished at once. */
export type HandleRequest<Owner> = {
  oncomplete: ((this: HandleRequest<Owner>, status: Status) => void) | undefined;
  owner: Owner | undefined;
  /** Keeps what is being written from the garbage collector. */
  chunks: readonly Uint8Array[] | undefined;
};

/** Told of each read; how it went is in `lastRead()`. */
export type HandleOwner = { readNow(): void };

/** One TCP connection, as libuv has it. */
export type TcpHandle = {
  owner: HandleOwner | undefined;
  onread: (this: TcpHandle) => void;
  useUserBuffer(buffer: Uint8Array): void;
  readStart(): Status;
  readStop(): Status;
  writeBuffer<Owner>(request: HandleRequest<Owner>, bytes: Uint8Array): Status;
  writev<Owner>(request: HandleRequest<Owner>, chunks: readonly Uint8Array[], allBuffers: true): Status;
  /** 1: finished at once. */
  shutdown<Owner>(request: HandleRequest<Owner>): Status;
  close(closed: () => void): void;
  getpeername(into: { address?: string; port?: number }): Status;
  setNoDelay(on: boolean): Status;
  setKeepAlive(on: boolean, delaySeconds: number): Status;
};

const methods = [
  'useUserBuffer',
  'readStart',
  'readStop',
  'writeBuffer',
  'writev',
  'shutdown',
  'close',
  'getpeername',
  'setNoDelay',
  'setKeepAlive',
] as const;

/** libuv's end-of-file. */
export const endOfFile = -4095;

type StreamBinding = {
  readonly WriteWrap: new () => object;
  readonly ShutdownWrap: new () => object;
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kLastWriteWasAsync: number;
};

export class NodeHandles {
  readonly #binding: StreamBinding;
  readonly #state: Int32Array;
  readonly #readIndex: number;
  readonly #asyncIndex: number;

  constructor(binding: StreamBinding) {
    this.#binding = binding;
    this.#state = binding.streamBaseState;
    this.#readIndex = binding.kReadBytesOrError;
    this.#asyncIndex = binding.kLastWriteWasAsync;
  }

  /** Bytes of the read that `onread` is called for; 0: nothing; below 0: an error, or `endOfFile`. */
  lastRead(): number {
    return this.#state[this.#readIndex]!;
  }

  /** Whether the write just made goes on, so that its request's `oncomplete` will be called. */
  lastWriteGoesOn(): boolean {
    return this.#state[this.#asyncIndex] !== 0;
  }

  writeRequest<Owner>(): HandleRequest<Owner> {
    return prepared(new this.#binding.WriteWrap());
  }

  shutdownRequest<Owner>(): HandleRequest<Owner> {
    return prepared(new this.#binding.ShutdownWrap());
  }

  /** Gives the handle an owner, and the buffer that is read into from here on. */
  own(handle: TcpHandle, owner: HandleOwner, buffer: Uint8Array): void {
    handle.owner = owner;
    handle.onread = onRead;
    handle.useUserBuffer(buffer);
  }

  /** A socket that owns the handle from here on; it does not read by itself. */
  socketOf(handle: TcpHandle): Socket {
    handle.owner = undefined;
    const options: object = { handle, manualStart: true };
    return new Socket(options as SocketConstructorOpts);
  }

  /**
   * Makes a listening server hand over bare handles instead of sockets. `accept` gets undefined and a status when a connection
   * could not be accepted. False: this server cannot, and goes on making sockets.
   */
  takeOver(server: Server, accept: (handle: TcpHandle | undefined, status: Status) => void): boolean {
    const listening = (server as unknown as { _handle?: { onconnection?: unknown } })._handle;
    if (typeof listening?.onconnection !== 'function') return false;
    listening.onconnection = (status: Status, handle: TcpHandle | undefined): void => accept(handle, status);
    return true;
  }
}

function onRead(this: TcpHandle): void {
  this.owner?.readNow();
}

function prepared<Owner>(request: object): HandleRequest<Owner> {
  return Object.assign(request, { oncomplete: undefined, owner: undefined, chunks: undefined });
}

let found: NodeHandles | undefined | null;

/** The way in, or undefined when this Node does not have everything that is needed. */
export function nodeHandles(): NodeHandles | undefined {
  if (found === undefined) found = look() ?? null;
  return found ?? undefined;
}

function look(): NodeHandles | undefined {
  try {
    const { binding } = process as unknown as { binding: (name: string) => unknown };
    const stream = binding('stream_wrap') as Partial<StreamBinding>;
    const tcp = binding('tcp_wrap') as { TCP?: { prototype: Record<string, unknown> } };
    const complete =
      typeof stream.WriteWrap === 'function' &&
      typeof stream.ShutdownWrap === 'function' &&
      ArrayBuffer.isView(stream.streamBaseState) &&
      isIndex(stream.kReadBytesOrError, stream.streamBaseState) &&
      isIndex(stream.kLastWriteWasAsync, stream.streamBaseState) &&
      tcp.TCP !== undefined &&
      methods.every((name) => typeof tcp.TCP!.prototype[name] === 'function') &&
      'onread' in tcp.TCP.prototype;
    return complete ? new NodeHandles(stream as StreamBinding) : undefined;
  } catch {
    // Forbidden by the permission model, or gone.
    return undefined;
  }
}

function isIndex(value: number | undefined, into: Int32Array): boolean {
  return Number.isInteger(value) && value! >= 0 && value! < into.length;
}
