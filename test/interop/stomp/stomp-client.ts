// @stomp/stompjs over WebSocket, TCP or TLS, with answers that can be awaited.

import { readFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

import { Client, type IFrame, type IMessage, StompSocketState, type StompSubscription } from '@stomp/stompjs';
import { WebSocket } from 'ws';

import { until, type CheckContext } from '../checks.ts';

import type { StompTarget } from './stomp-target.ts';

export type Transport = 'tcp' | 'tls' | 'ws' | 'wss';

/** What stompjs wants of a WebSocket, over a socket: its README says how. */
function overSocket(socket: Socket): object {
  const adapter = {
    url: 'tcp',
    protocol: 'v12.stomp',
    readyState: StompSocketState.CONNECTING as number,
    onopen: undefined as ((event?: unknown) => void) | undefined,
    onclose: undefined as ((event?: unknown) => void) | undefined,
    onerror: undefined as ((event: unknown) => void) | undefined,
    onmessage: undefined as ((event: { data: unknown }) => void) | undefined,
    send: (data: string | ArrayBuffer) => socket.write(typeof data === 'string' ? data : Buffer.from(data)),
    close: () => socket.end(),
    terminate: () => socket.destroy(),
  };
  const opened = (): void => {
    adapter.readyState = StompSocketState.OPEN;
    adapter.onopen?.();
  };
  socket.once('secureConnect', opened);
  if (!('encrypted' in socket)) socket.once('connect', opened);
  // Byte ranges of their own: the parser reads a whole ArrayBuffer.
  socket.on('data', (data) => adapter.onmessage?.({ data: new Uint8Array(data).buffer }));
  socket.on('error', (error) => adapter.onerror?.(error));
  socket.on('close', () => {
    adapter.readyState = StompSocketState.CLOSED;
    adapter.onclose?.({ code: 1000, reason: '', wasClean: true });
  });
  return adapter;
}

function socketOf(target: StompTarget, transport: Transport): object {
  const ca = target.tlsFacts === undefined ? undefined : readFileSync(target.tlsFacts.caFile);
  switch (transport) {
    case 'tcp':
      return overSocket(connectTcp(target.stomp));
    case 'tls':
      return overSocket(connectTls({ ...target.stomps, servername: target.stomps.host, ca }));
    case 'ws':
    case 'wss': {
      const { host, port } = target[transport]!;
      const socket = new WebSocket(`${transport}://${host}:${port}/stomp`, ['v12.stomp', 'v11.stomp', 'v10.stomp'], { ca });
      socket.binaryType = 'arraybuffer';
      return socket;
    }
  }
}

export type Headers = Record<string, string>;

export class StompPeer {
  readonly client: Client;
  readonly heard: IMessage[] = [];
  error: IFrame | undefined = undefined;
  #receipts = 0;

  private constructor(client: Client) {
    this.client = client;
  }

  static async connect(
    target: StompTarget,
    context: CheckContext,
    transport: Transport,
    headers: Headers = {},
    beatMs = 0,
  ): Promise<StompPeer> {
    const { username, password } = target.credentials ?? { username: '', password: '' };
    const client = new Client({
      webSocketFactory: () => socketOf(target, transport) as never,
      connectHeaders: { login: username, passcode: password, ...headers },
      heartbeatIncoming: beatMs,
      heartbeatOutgoing: beatMs,
      reconnectDelay: 0,
    });
    const peer = new StompPeer(client);
    context.after(() => client.deactivate({ force: true }));
    client.onStompError = (frame) => (peer.error = frame);
    client.activate();
    await until(() => client.connected || peer.error !== undefined);
    if (peer.error !== undefined) throw new Error(peer.error.headers['message']);
    return peer;
  }

  get texts(): string[] {
    return this.heard.map(({ body }) => body);
  }

  /** Waits for the receipt. */
  async send(destination: string, body: string | Uint8Array, headers: Headers = {}): Promise<void> {
    const content = typeof body === 'string' ? { body } : { binaryBody: body };
    await this.receipt((receipt) => this.client.publish({ destination, ...content, headers: { ...headers, receipt } }));
  }

  async subscribe(destination: string, headers: Headers = {}): Promise<StompSubscription> {
    let subscription!: StompSubscription;
    await this.receipt((receipt) => {
      subscription = this.client.subscribe(destination, (message) => this.heard.push(message), { ...headers, receipt });
    });
    return subscription;
  }

  async receipt(ask: (receipt: string) => void): Promise<void> {
    const receipt = `r${++this.#receipts}`;
    let isThere = false;
    this.client.watchForReceipt(receipt, () => (isThere = true));
    ask(receipt);
    await until(() => isThere || this.error !== undefined);
    if (this.error !== undefined) throw new Error(this.error.headers['message']);
  }

  async expect(count: number): Promise<readonly IMessage[]> {
    await until(() => this.heard.length >= count);
    return this.heard;
  }
}
