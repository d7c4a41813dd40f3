// Clients of STOMP: SEND with receipts, transactions, a queue acknowledged message by message, and a durable subscription.

import { connect, type Socket } from 'node:net';
import { encodeFrame, FrameReader, type Frame, type Header } from '../../src/protocols/stomp/codec/index.ts';
import type { SentMessage, TransactionFacts } from '../../sim/facts.ts';
import { chance, pick } from '../../sim/random-choices.ts';
import { Got, Letters, type Peers, type Surroundings } from './peers.ts';

const limits = { maxHeadBytes: 64 * 1024, maxHeaders: 200, maxBodyBytes: 16 * 1024 * 1024 };
const tryAgainMs = 60;
const everyMs = 15;
const window = 10;

/** A connection that comes back, whatever happens, until it is left. */
class StompClient {
  readonly name: string;
  connections = 0;
  isConnected = false;
  onConnected: () => void = () => {};
  onLost: () => void = () => {};
  onMessage: (frame: Frame) => void = () => {};
  readonly #port: number;
  readonly #around: Surroundings;
  #socket: Socket | undefined;
  readonly #receipts = new Map<string, () => void>();
  #nextReceipt = 1;
  #isLeft = false;

  constructor(port: number, name: string, around: Surroundings) {
    this.#port = port;
    this.name = name;
    this.#around = around;
  }

  connect(): void {
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true });
    this.#socket = socket;
    const reader = new FrameReader(limits);
    const sink = {
      frame: (frame: Frame): boolean => {
        if (this.#socket === socket) this.#heard(frame);
        return true;
      },
    };
    socket.on('connect', () =>
      this.#write('CONNECT', [
        ['accept-version', '1.2'],
        ['host', 'crash'],
        ['client-id', this.name],
      ]),
    );
    socket.on('data', (bytes) => {
      const fault = reader.push(bytes, sink);
      if (fault !== undefined) this.#around.facts.complain(`MISTAKE: ${this.name} cannot read a frame: ${fault.message}`);
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      if (this.#socket !== socket) return;
      this.#lost();
      if (!this.#isLeft) setTimeout(() => this.connect(), tryAgainMs);
    });
  }

  #heard(frame: Frame): void {
    switch (frame.command) {
      case 'CONNECTED':
        this.isConnected = true;
        this.connections++;
        return this.onConnected();
      case 'RECEIPT': {
        const id = frame.get('receipt-id')!;
        const task = this.#receipts.get(id);
        if (task === undefined) this.#around.facts.complain(`MISTAKE: ${this.name} got a receipt ${id} for which it did not ask`);
        this.#receipts.delete(id);
        return task?.();
      }
      case 'MESSAGE':
        return this.onMessage(frame);
      default: {
        const text = Buffer.from(frame.buffer.subarray(frame.start, frame.end)).toString();
        this.#around.facts.complain(`MISTAKE: ${this.name} got ${frame.command} ${frame.get('message')}: ${text.trim()}`);
      }
    }
  }

  #lost(): void {
    this.isConnected = false;
    this.#receipts.clear();
    this.onLost();
  }

  #write(command: string, headers: readonly Header[], body: Uint8Array | string = ''): void {
    this.#socket!.write(encodeFrame(command, headers, body));
  }

  /** `done`: its receipt has come. Never called when the connection is lost before. */
  send(command: string, headers: readonly Header[], body: Uint8Array | string = '', done?: () => void): void {
    if (!this.isConnected) return;
    if (done === undefined) return this.#write(command, headers, body);
    const id = `r${this.#nextReceipt++}`;
    this.#receipts.set(id, done);
    this.#write(command, [...headers, ['receipt', id]], body);
  }

  /** Nothing is waited for. */
  get isQuiet(): boolean {
    return this.isConnected && this.#receipts.size === 0;
  }

  cut(): void {
    this.#socket?.destroy();
  }

  leave(): void {
    this.#isLeft = true;
    this.cut();
  }
}

function destinationOf(topic: string): string {
  return topic.startsWith('$queue/') ? `/queue/${topic.slice('$queue/'.length)}` : `/topic/${topic}`;
}

function topicOf(frame: Frame): string {
  const destination = frame.get('destination') ?? '';
  return destination.startsWith('/queue/') ? `$queue/${destination.slice('/queue/'.length)}` : destination.slice('/topic/'.length);
}

function bodyOf({ buffer, start, end }: Frame): Uint8Array {
  return buffer.subarray(start, end);
}

/** What has no receipt yet is sent again on the next connection, in its order. */
class StompPublisher {
  readonly client: StompClient;
  readonly #letters: Letters;
  readonly #waiting = new Set<SentMessage>();

  constructor(client: StompClient, around: Surroundings) {
    this.client = client;
    this.#letters = new Letters(client.name, around);
    client.onConnected = () => {
      for (const message of this.#waiting) {
        message.attempts++;
        this.#send(message);
      }
    };
  }

  get isIdle(): boolean {
    return this.#waiting.size === 0;
  }

  publish(topic: string): void {
    if (!this.client.isConnected || this.#waiting.size >= window) return;
    const message = this.#letters.next(topic, 1);
    this.#waiting.add(message);
    this.#send(message);
  }

  #send(message: SentMessage): void {
    this.client.send('SEND', [['destination', destinationOf(message.topic)]], this.#letters.payloadOf(message), () => {
      this.#waiting.delete(message);
      this.#letters.acknowledged(message);
    });
  }
}

const postedTo = ['t/c', 't/d', '$queue/stomp-tx'];

/** One transaction at a time; all of its frames are sent at once. */
class StompTransactor {
  readonly client: StompClient;
  readonly #around: Surroundings;
  readonly #letters: Letters;
  #count = 0;
  #open: TransactionFacts | undefined;

  constructor(client: StompClient, around: Surroundings) {
    this.client = client;
    this.#around = around;
    this.#letters = new Letters(client.name, around);
    client.onLost = () => (this.#open = undefined);
  }

  get isIdle(): boolean {
    return this.#open === undefined;
  }

  begin(): void {
    if (!this.client.isConnected || this.#open !== undefined) return;
    const { random, facts } = this.#around;
    const name = `tx${++this.#count}`;
    const commits = chance(random, 0.8);
    const transaction: TransactionFacts = { keys: [], fate: commits ? 'unknown' : 'rolledBack' };
    this.#open = transaction;
    facts.transactions.push(transaction);
    this.client.send('BEGIN', [['transaction', name]]);
    const messages: SentMessage[] = [];
    for (let i = 1 + random.below(4); i > 0; i--) {
      const message = this.#letters.next(pick(random, postedTo), 1);
      messages.push(message);
      transaction.keys.push(message.key);
      this.client.send(
        'SEND',
        [
          ['destination', destinationOf(message.topic)],
          ['transaction', name],
        ],
        this.#letters.payloadOf(message),
      );
    }
    this.client.send(commits ? 'COMMIT' : 'ABORT', [['transaction', name]], '', () => {
      this.#open = undefined;
      if (!commits) return;
      transaction.fate = 'committed';
      for (const message of messages) this.#letters.acknowledged(message);
    });
  }
}

/** Acknowledges each message by itself: some with a receipt, some in a transaction, some late. */
class StompConsumer {
  readonly client: StompClient;
  readonly #got: Got;
  readonly #around: Surroundings;
  #isDiligent = false;
  #transactions = 0;

  constructor(client: StompClient, filter: string, isDurable: boolean, around: Surroundings) {
    this.client = client;
    this.#around = around;
    this.#got = new Got(client.name, filter, around);
    client.onMessage = (frame) => this.#take(frame);
    client.onConnected = () => {
      this.#got.connection = client.connections;
      const headers: Header[] = [
        ['id', 's'],
        ['destination', destinationOf(filter)],
        ['ack', 'client-individual'],
        ['prefetch-count', '40'],
      ];
      if (isDurable) headers.push(['durable', 'true']);
      client.send('SUBSCRIBE', headers, '', () => this.#got.subscribed());
    };
  }

  beDiligent(): void {
    this.#isDiligent = true;
  }

  #take(frame: Frame): void {
    const key = this.#got.take(topicOf(frame), bodyOf(frame), frame.get('redelivered') === 'true');
    if (key === undefined) return;
    const ack = frame.get('ack')!;
    const { random } = this.#around;
    if (this.#isDiligent || chance(random, 0.8)) return this.#acknowledge(ack, key);
    const { connections } = this.client;
    setTimeout(() => {
      if (connections === this.client.connections) this.#acknowledge(ack, key);
    }, random.below(400));
  }

  #acknowledge(ack: string, key: string): void {
    const { random } = this.#around;
    const how = random.below(3);
    const settled = (): void => this.#got.settled(key);
    if (how === 0) return this.client.send('ACK', [['id', ack]]);
    if (how === 1) return this.client.send('ACK', [['id', ack]], '', settled);
    const transaction = `a${++this.#transactions}`;
    this.client.send('BEGIN', [['transaction', transaction]]);
    this.client.send('ACK', [
      ['id', ack],
      ['transaction', transaction],
    ]);
    this.client.send('COMMIT', [['transaction', transaction]], '', settled);
  }
}

const sentTo = ['t/a', 't/b', 't/d', '$queue/stomp-q', '$queue/http-q', '$queue/coap-q'];

export class StompPeers implements Peers {
  readonly #clients: StompClient[] = [];
  readonly #around: Surroundings;
  readonly #port: number;
  readonly #publisher: StompPublisher;
  readonly #transactor: StompTransactor;
  readonly #consumers: StompConsumer[];
  #timer: NodeJS.Timeout | undefined;

  constructor(port: number, around: Surroundings) {
    this.#port = port;
    this.#around = around;
    this.#publisher = new StompPublisher(this.#client('stomp-pub'), around);
    this.#transactor = new StompTransactor(this.#client('stomp-poster'), around);
    this.#consumers = [
      new StompConsumer(this.#client('stomp-worker'), '$queue/stomp-q', false, around),
      new StompConsumer(this.#client('stomp-tx-worker'), '$queue/stomp-tx', false, around),
      new StompConsumer(this.#client('stomp-durable'), 't/#', true, around),
    ];
  }

  #client(name: string): StompClient {
    const client = new StompClient(this.#port, name, this.#around);
    this.#clients.push(client);
    return client;
  }

  start(): void {
    const { random } = this.#around;
    for (const client of this.#clients) client.connect();
    this.#timer = setInterval(() => {
      if (chance(random, 0.6)) this.#publisher.publish(pick(random, sentTo));
      if (chance(random, 0.3)) this.#transactor.begin();
    }, everyMs);
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const consumer of this.#consumers) consumer.beDiligent();
  }

  cutOne(): void {
    pick(this.#around.random, this.#clients).cut();
  }

  get isIdle(): boolean {
    return this.#publisher.isIdle && this.#transactor.isIdle && this.#clients.every(({ isQuiet }) => isQuiet);
  }

  problems(): string[] {
    return this.#clients
      .filter(({ isQuiet }) => !isQuiet)
      .map(({ name, isConnected }) => `STUCK: ${name} ${isConnected ? 'waits for a receipt' : 'is not connected'}`);
  }

  get connections(): number {
    return this.#clients.reduce((sum, { connections }) => sum + connections, 0);
  }

  leave(): void {
    for (const client of this.#clients) client.leave();
  }
}
