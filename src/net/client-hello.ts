// The time before TLS: a connection waits here, as a bare handle, until its first bytes have come.
//
// It saves memory for as long as the connection lives. Left alone, Node's TLS gives every connection a receive buffer of 64 KB,
// and what of it has been touched stays resident; given a first piece below 1 KB, it starts with a buffer of 1 KB that grows only
// for those that send much. It also keeps those who connect and say nothing, or do not speak TLS, from costing a TLS state.

import type { Socket } from 'node:net';
import type { HandshakeFailure } from './counters.ts';
import type { NodeHandles, TcpHandle } from './node-handles.ts';

/** Below 1,024, where Node's buffer would be full and get a second part of 16 KB. Longer hellos come in two reads. */
const firstPieceBytes = 1000;
const firstPiece = new Uint8Array(firstPieceBytes);

/** The type of a TLS record that holds a handshake (RFC 8446 §5.1). */
const handshakeRecord = 0x16;

export type ClientHelloEvents = {
  /** The socket has the first bytes in its buffer, and nothing else has been done with it. */
  arrived(socket: Socket): void;
  /** Closed. The reason is missing when it was `destroy`. */
  gone(reason: HandshakeFailure | undefined): void;
};

export class ClientHello {
  readonly #handles: NodeHandles;
  readonly #handle: TcpHandle;
  readonly #events: ClientHelloEvents;
  #state: 'waiting' | 'arrived' | 'gone' = 'waiting';

  constructor(handles: NodeHandles, handle: TcpHandle, events: ClientHelloEvents) {
    this.#handles = handles;
    this.#handle = handle;
    this.#events = events;
    handles.own(handle, this, firstPiece);
    if (handle.readStart() < 0) this.#close('reset');
  }

  destroy(): void {
    if (this.#state === 'waiting') this.#close(undefined);
  }

  readNow(): void {
    const count = this.#handles.lastRead();
    if (count === 0 || this.#state !== 'waiting') return;
    if (count < 0) {
      this.#close('reset');
      return;
    }
    if (firstPiece[0] !== handshakeRecord) {
      this.#close('protocol');
      return;
    }
    this.#state = 'arrived';
    this.#handle.readStop();
    const socket = this.#handles.socketOf(this.#handle);
    socket.unshift(firstPiece.slice(0, count));
    this.#events.arrived(socket);
  }

  #close(reason: HandshakeFailure | undefined): void {
    this.#state = 'gone';
    this.#handle.close(() => this.#events.gone(reason));
  }
}
