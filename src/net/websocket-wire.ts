// A wire on an established WebSocket. Protocols see a stream of bytes: where a frame ends means nothing [MQTT-6.0.0-2].

import type { WebSocket } from 'ws';
import type { WireFacts } from '../protocols/protocol.ts';
import type { NetLoop } from './loop.ts';
import { OpenWire, type WireHome } from './open-wire.ts';

const normalClosure = 1000;
const unsupportedData = 1003;
const sendOptions = { binary: true, compress: false, fin: true } as const;

export class WebSocketWire extends OpenWire {
  readonly #socket: WebSocket;
  #sending: readonly Uint8Array[] = [];
  readonly #onSent = (error?: Error | null): void => this.#sent(error);

  constructor(loop: NetLoop, home: WireHome, facts: WireFacts, socket: WebSocket) {
    super(loop, home, facts);
    this.#socket = socket;
    socket.on('message', (data, isBinary) => {
      // With the default binaryType a message is one Buffer.
      if (isBinary) this.received(data as Buffer);
      else this.#refuseText();
    });
    // `ws` answers a broken frame with its close code; what is left is to see it out.
    socket.on('error', () => this.close());
    socket.on('close', () => this.released());
    socket.pause();
  }

  protected send(chunks: readonly Uint8Array[]): boolean {
    this.#sending = chunks;
    const last = chunks.length - 1;
    // Binary frames only, unmasked: what a server sends [MQTT-6.0.0-1].
    for (let i = 0; i < last; i++) this.#socket.send(chunks[i]!, sendOptions);
    this.#socket.send(chunks[last]!, sendOptions, this.#onSent);
    return false;
  }

  protected sendEnd(): void {
    this.#socket.close(normalClosure);
  }

  protected startReading(): void {
    this.#socket.resume();
  }

  protected stopReading(): void {
    this.#socket.pause();
  }

  protected destroy(): void {
    this.#socket.terminate();
  }

  #refuseText(): void {
    if (this.state !== 'open') return;
    this.home.counters.textMessages++;
    // The wire's own close frame, sent after this one, is ignored.
    this.#socket.close(unsupportedData);
    this.close();
  }

  #sent(error: Error | null | undefined): void {
    const chunks = this.#sending;
    this.#sending = [];
    if (error) this.failed();
    else this.written(chunks);
  }
}
