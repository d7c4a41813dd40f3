// A wire on a socket with the documented interface of node:net: TLS, and plain TCP where node-handles.ts is not to be had.

import type { Socket } from 'node:net';
import type { WireFacts } from '../protocols/protocol.ts';
import type { NetLoop } from './loop.ts';
import { OpenWire, type WireHome } from './open-wire.ts';

const wireOf = Symbol('wire');
type OwnedSocket = Socket & { [wireOf]: SocketWire };

export class SocketWire extends OpenWire {
  readonly #socket: Socket;
  #sending: readonly Uint8Array[] = [];
  #onSent: ((error?: Error | null) => void) | undefined;

  constructor(loop: NetLoop, home: WireHome, facts: WireFacts, socket: Socket) {
    super(loop, home, facts);
    this.#socket = socket;
    (socket as OwnedSocket)[wireOf] = this;
    socket.on('data', onData);
    socket.on('end', onEnd);
    socket.on('error', onError);
    socket.on('close', onClose);
    socket.pause();
  }

  protected send(chunks: readonly Uint8Array[]): boolean {
    const socket = this.#socket;
    this.#sending = chunks;
    this.#onSent ??= (error): void => this.#sent(error);
    const last = chunks.length - 1;
    // Corked, several chunks become one writev.
    if (last > 0) socket.cork();
    for (let i = 0; i < last; i++) socket.write(chunks[i]!);
    socket.write(chunks[last]!, this.#onSent);
    if (last > 0) socket.uncork();
    return false;
  }

  protected sendEnd(): void {
    this.#socket.end();
  }

  protected startReading(): void {
    this.#socket.resume();
  }

  protected stopReading(): void {
    this.#socket.pause();
  }

  protected destroy(): void {
    this.#socket.destroy();
  }

  // Called by the functions below, which all sockets share.

  dataNow(bytes: Uint8Array): void {
    this.received(bytes);
  }

  endNow(): void {
    this.peerEnded();
  }

  errorNow(): void {
    this.failed();
  }

  closeNow(): void {
    this.released();
  }

  #sent(error: Error | null | undefined): void {
    const chunks = this.#sending;
    this.#sending = [];
    if (error) this.failed();
    else this.written(chunks);
  }
}

function onData(this: Socket, bytes: Uint8Array): void {
  (this as OwnedSocket)[wireOf].dataNow(bytes);
}

function onEnd(this: Socket): void {
  (this as OwnedSocket)[wireOf].endNow();
}

function onError(this: Socket): void {
  (this as OwnedSocket)[wireOf].errorNow();
}

function onClose(this: Socket): void {
  (this as OwnedSocket)[wireOf].closeNow();
}
