// A DTLS client on a real UDP socket, for tests.

import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { secureRandom } from '../../../src/base/secure-random.ts';
import { TestClient, type TestClientOptions } from '../../../src/net/dtls/testing/test-client.ts';

export class DtlsUdpClient {
  readonly client: TestClient;
  socket: Socket;
  readonly #port: number;
  readonly #timer: NodeJS.Timeout;

  constructor(socket: Socket, port: number, options: Partial<TestClientOptions>) {
    this.#port = port;
    this.client = new TestClient({ random: secureRandom, ...options });
    this.socket = socket;
    this.#listen();
    // Loopback may lose datagrams when the machine is busy.
    this.#timer = setInterval(() => {
      this.client.tick(performance.now());
      this.#flush();
    }, 200);
  }

  get heard(): string[] {
    return this.client.data.map((bytes) => bytes.toString('latin1'));
  }

  start(): this {
    this.client.start(performance.now());
    this.#flush();
    return this;
  }

  say(text: string): void {
    this.send(Buffer.from(text, 'latin1'));
  }

  send(data: Uint8Array): void {
    this.#sendOut(this.client.seal(data));
  }

  goodbye(): void {
    this.#sendOut(this.client.goodbye());
  }

  /** Goes on from another port, as behind a NAT that has forgotten it. */
  async move(): Promise<void> {
    this.socket.close();
    this.socket = await boundSocket();
    this.#listen();
  }

  /** Says goodbye, and is closed when that is out. */
  leave(): void {
    clearInterval(this.#timer);
    this.socket.send(this.client.goodbye(), this.#port, '127.0.0.1', () => this.socket.close());
  }

  close(): void {
    clearInterval(this.#timer);
    this.socket.close();
  }

  #listen(): void {
    this.socket.on('message', (bytes) => {
      this.client.receive(bytes, performance.now());
      this.#flush();
    });
  }

  #flush(): void {
    for (const datagram of this.client.takeOut()) this.#sendOut(datagram);
  }

  #sendOut(datagram: Uint8Array): void {
    this.socket.send(datagram, this.#port, '127.0.0.1');
  }
}

export async function boundSocket(): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}
