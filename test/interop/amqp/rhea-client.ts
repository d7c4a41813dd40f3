// rhea with promises: what its checks say in a line.

import { readFileSync } from 'node:fs';

import rhea from 'rhea';
import { WebSocket } from 'ws';

import { until } from '../checks.ts';

import type {
  Connection,
  ConnectionOptions,
  Delivery,
  EventContext,
  Message,
  Receiver,
  ReceiverOptions,
  Sender,
  SenderOptions,
} from 'rhea';
import type { CheckContext } from '../checks.ts';
import type { AmqpTarget } from './amqp-target.ts';

export type Transport = 'amqp' | 'amqps' | 'external' | 'ws' | 'wss';
export type Received = { readonly message: Message; readonly delivery: Delivery; readonly settledOnArrival: boolean };

/** What a connection, a session or a link was closed with, as an error. */
function failure(context: EventContext): Error {
  const ends = [context.receiver?.error, context.sender?.error, context.session?.error, context.connection?.error, context.error];
  const error = ends.find((end) => end !== undefined && end !== null) as
    | { condition?: string; description?: string; message?: string }
    | undefined;
  return new Error(`${error?.condition ?? 'closed'}: ${error?.description ?? error?.message ?? ''}`);
}

export class Peer {
  readonly connection: Connection;
  private constructor(connection: Connection) {
    this.connection = connection;
    connection.setMaxListeners(1000);
  }

  /** @throws Error when the broker does not let it in */
  static async connect(
    target: AmqpTarget,
    context: CheckContext,
    transport: Transport = 'amqp',
    more: Partial<ConnectionOptions> = {},
  ): Promise<Peer> {
    const container = rhea.create_container();
    // Without a listener rhea throws what a broker says.
    for (const event of ['error', 'connection_error', 'session_error', 'receiver_error', 'sender_error', 'protocol_error']) {
      container.on(event, () => {});
    }
    const options = {
      container_id: context.unique,
      reconnect: false,
      ...optionsFor(target, transport, container),
      ...more,
    } as ConnectionOptions;
    const connection = container.connect(options);
    context.after(() => {
      connection['set_reconnect'](false);
      connection.close();
    });
    await new Promise<void>((resolve, reject) => {
      container.once('connection_open', () => resolve());
      for (const event of ['disconnected', 'connection_error', 'error'])
        container.once(event, (ended: EventContext) => reject(failure(ended)));
    });
    return new Peer(connection);
  }

  receiver(source: ReceiverOptions['source'], more: Partial<ReceiverOptions> = {}): Promise<Inbox> {
    const receiver = this.connection.open_receiver({ source, ...more } as ReceiverOptions);
    const inbox = new Inbox(receiver);
    return new Promise((resolve, reject) => {
      receiver.once('receiver_open', (context: EventContext) => {
        if (context.receiver!.source?.address !== undefined || context.receiver!.source?.filter !== undefined) resolve(inbox);
      });
      receiver.once('receiver_error', (context: EventContext) => reject(failure(context)));
      receiver.once('receiver_close', (context: EventContext) => reject(failure(context)));
      this.connection.once('disconnected', (context: EventContext) => reject(failure(context)));
    });
  }

  sender(target: SenderOptions['target'], more: Partial<SenderOptions> = {}): Promise<Outbox> {
    const sender = this.connection.open_sender({ target, ...more } as SenderOptions);
    return new Promise((resolve, reject) => {
      sender.once('sendable', () => resolve(new Outbox(sender)));
      sender.once('sender_error', (context: EventContext) => reject(failure(context)));
      sender.once('sender_close', (context: EventContext) => reject(failure(context)));
      this.connection.once('disconnected', (context: EventContext) => reject(failure(context)));
    });
  }

  /** Ends, and waits for the broker's word. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.connection.once('connection_close', () => resolve());
      this.connection.once('disconnected', () => resolve());
      this.connection.close();
    });
  }
}

function optionsFor(target: AmqpTarget, transport: Transport, container: ReturnType<typeof rhea.create_container>): object {
  const credentials = target.credentials ?? { username: 'anonymous' };
  const { tlsFacts } = target;
  const ca = tlsFacts === undefined ? undefined : readFileSync(tlsFacts.caFile);
  switch (transport) {
    case 'amqp':
      return { ...target.amqp, ...credentials };
    case 'amqps':
      return { ...target.amqps!, transport: 'tls', ca, ...credentials };
    case 'external': {
      const { certFile, keyFile } = tlsFacts!.client!;
      return {
        ...target.amqps!,
        transport: 'tls',
        ca,
        cert: readFileSync(certFile),
        key: readFileSync(keyFile),
        enable_sasl_external: true,
      };
    }
    case 'ws':
    case 'wss': {
      const { host, port } = (transport === 'ws' ? target.ws : target.wss)!;
      const connect = container.websocket_connect(WebSocket as never);
      return { connection_details: connect(`${transport}://${host}:${port}/amqp`, ['amqp'], { ca }), ...credentials };
    }
  }
}

/** What a link has received, in order. */
export class Inbox {
  readonly receiver: Receiver;
  readonly received: Received[] = [];

  constructor(receiver: Receiver) {
    this.receiver = receiver;
    receiver.on('message', ({ message, delivery }: EventContext) => {
      this.received.push({ message: message!, delivery: delivery!, settledOnArrival: delivery!.remote_settled });
    });
  }

  get texts(): string[] {
    return this.received.map(({ message }) => textOf(message));
  }

  async expect(count: number): Promise<Received[]> {
    await until(() => this.received.length >= count);
    return this.received;
  }

  /** Gives credit and takes it back once the broker has nothing more; what came. */
  async drain(credit = 100): Promise<string[]> {
    const drained = new Promise((resolve) => this.receiver.once('receiver_drained', resolve));
    this.receiver.drain = true;
    this.receiver.add_credit(credit);
    await drained;
    this.receiver.drain = false;
    return this.texts;
  }

  /** Leaves the terminus where it is. */
  detach(): Promise<void> {
    const { receiver } = this;
    return new Promise((resolve) => {
      receiver.once('receiver_close', () => resolve());
      receiver.once('receiver_detached' as 'receiver_close', () => resolve());
      receiver.detach();
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.receiver.once('receiver_close', () => resolve());
      this.receiver.close();
    });
  }
}

export type Outcome = 'accepted' | 'rejected' | 'released' | 'modified' | 'settled';

type Told = { readonly outcome: Outcome; readonly error: string | undefined };

export class Outbox {
  readonly sender: Sender;
  readonly #waiting = new Map<unknown, (told: Told) => void>();
  #lost: ((error: Error) => void)[] = [];

  constructor(sender: Sender) {
    this.sender = sender;
    for (const outcome of ['accepted', 'rejected', 'released', 'modified'] as const) {
      sender.on(outcome, ({ delivery }: EventContext) => {
        const state = delivery!.remote_state as { error?: { condition?: string } } | undefined;
        this.#waiting.get(delivery)?.({ outcome, error: state?.error?.condition });
        this.#waiting.delete(delivery);
      });
    }
    for (const event of ['sender_error', 'sender_close'] as const) {
      sender.on(event, (context: EventContext) => {
        for (const reject of this.#lost) reject(failure(context));
      });
    }
  }

  /** Sends, and says what became of it. */
  send(message: Message): Promise<Told> {
    const delivery = this.sender.send(message);
    // rhea has events for what is not settled by the sender.
    if (this.sender.snd_settle_mode === 1) return Promise.resolve({ outcome: 'settled', error: undefined });
    return new Promise((resolve, reject) => {
      this.#waiting.set(delivery, resolve);
      this.#lost.push(reject);
    });
  }

  /** Sends, and throws unless it is accepted. */
  async accepted(message: Message): Promise<void> {
    const { outcome, error } = await this.send(message);
    if (outcome !== 'accepted' && outcome !== 'settled') throw new Error(`${outcome} ${error ?? ''}`);
  }
}

/** The body as text, whether it came as data or as a value. */
export function textOf({ body }: Message): string {
  const content = (body as { content?: Buffer } | undefined)?.content;
  return content === undefined ? String(body) : content.toString();
}
