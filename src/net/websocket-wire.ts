// A wire on an established WebSocket. Most protocols see a stream of bytes: where a frame ends means nothing [MQTT-6.0.0-2]. To those that
// say where their messages end, each is one of the WebSocket's (CoAP, RFC 8323 §4.2).

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
  /** Where messages end that are not taken from the output yet, counted from its beginning. */
  #ends: number[] = [];
  readonly #onSent = (error?: Error | null): void => this.#sent(error);

  constructor(loop: NetLoop, home: WireHome, facts: WireFacts, socket: WebSocket, takesText = false) {
    super(loop, home, facts);
    this.#socket = socket;
    socket.on('message', (data, isBinary) => {
      // With the default binaryType a message is one Buffer.
      if (isBinary || takesText) this.received(data as Buffer);
      else this.#refuseText();
    });
    // `ws` answers a broken frame with its close code; what is left is to see it out.
    socket.on('error', () => this.close());
    socket.on('close', () => this.released());
    socket.pause();
  }

  endMessage(): void {
    this.#ends.push(this.output.pendingBytes - this.output.unsentBytes);
  }

  protected send(chunks: readonly Uint8Array[]): boolean {
    this.#sending = chunks;
    const messages = this.#ends.length === 0 ? chunks : cutAt(chunks, this.#ends);
    this.#ends = [];
    const last = messages.length - 1;
    // Binary frames only, unmasked: what a server sends [MQTT-6.0.0-1].
    for (let i = 0; i < last; i++) this.#socket.send(messages[i]!, sendOptions);
    this.#socket.send(messages[last]!, sendOptions, this.#onSent);
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

/** One piece for each message. None lies in two chunks: it was written in one piece. */
function cutAt(chunks: readonly Uint8Array[], ends: readonly number[]): Uint8Array[] {
  const messages: Uint8Array[] = [];
  let chunkStart = 0;
  let next = 0;
  for (const chunk of chunks) {
    let at = 0;
    for (; next < ends.length && ends[next]! <= chunkStart + chunk.length; next++) {
      messages.push(chunk.subarray(at, ends[next]! - chunkStart));
      at = ends[next]! - chunkStart;
    }
    chunkStart += chunk.length;
  }
  return messages;
}
