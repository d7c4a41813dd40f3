// What `heliograph sub` does.

import { UserError } from '../base/user-error.ts';
import { ClientError, defaultReconnect, endpointText, MqttClient, type ClientOptions, type IncomingMessage } from '../client/index.ts';
import { ReasonCode, reasonText } from '../protocols/mqtt/codec/index.ts';
import { inWords } from './connection-problem.ts';
import { connectionOf, type Connection } from './connection.ts';
import { wrongUsage } from './wrong-usage.ts';
import { messageAsJson } from './message-json.ts';
import type { SubOptions } from './sub.ts';

export async function subscribe(options: SubOptions): Promise<void> {
  if (options.session !== undefined && options.id !== undefined) throw wrongUsage('--session is the client id already.', 'leave --id out');
  const connection = await connectionOf(options, process.env);
  await new Subscriber(options, connection).run();
}

class Subscriber {
  readonly #options: SubOptions;
  readonly #connection: Connection;
  readonly #client: MqttClient;
  readonly #over = Promise.withResolvers<void>();
  #received = 0;
  #isOver = false;

  constructor(options: SubOptions, connection: Connection) {
    this.#options = options;
    this.#connection = connection;
    // Whoever runs it hears of it when it is time.
    this.#over.promise.catch(() => {});
    this.#client = new MqttClient({
      ...connection,
      ...sessionOf(options, connection),
      reconnect: defaultReconnect,
      onMessage: (message) => this.#take(message),
      onRetry: (error) => this.#note(`${error.message}; trying again`),
      onEnd: (error) => this.#over.reject(error),
    });
  }

  async run(): Promise<void> {
    const { timeout, count } = this.#options;
    const end = (): void => this.#end();
    const drained = (): void => this.#client.resume();
    process.once('SIGINT', end).once('SIGTERM', end);
    // `heliograph sub … | head` ends without a fuss.
    process.stdout.once('error', end);
    process.stdout.on('drain', drained);
    const timer = timeout === undefined ? undefined : setTimeout(end, timeout * 1000);
    try {
      await this.#client.connect();
      await this.#subscribe();
      await this.#over.promise;
      await this.#client.disconnect();
    } catch (error) {
      if (!(this.#isOver && error instanceof ClientError && error.code === 'closed')) throw inWords(error, this.#connection);
    } finally {
      clearTimeout(timer);
      process.off('SIGINT', end).off('SIGTERM', end);
      process.stdout.off('error', end).off('drain', drained);
      this.#client.destroy();
    }
    if (timeout !== undefined && count !== undefined && this.#received < count) {
      throw new UserError(`${this.#received} of ${count} messages came within ${timeout} s.`);
    }
  }

  async #subscribe(): Promise<void> {
    const { topic: filters, qos, retained } = this.#options;
    const retainHandling = retained ? 0 : 2;
    const reasons = await this.#client.subscribe(filters.map((filter) => ({ filter, qos, retainHandling })));
    for (const [i, filter] of filters.entries()) {
      const reason = reasons[i] ?? ReasonCode.unspecifiedError;
      if (reason >= 0x80) {
        throw new ClientError('rejected', `the broker refuses the subscription to ${filter}: ${reasonText(reason)}`, { reason });
      }
      this.#note(`subscribed to ${filter} at QoS ${reason}, ${endpointText(this.#connection.endpoint)}`);
    }
  }

  #take(message: IncomingMessage): void {
    const { json, verbose, retained, count } = this.#options;
    // Before version 5 the broker cannot be asked not to send them.
    if (message.retain && !retained) return;
    this.#received++;
    const { topic, payload } = message;
    const text =
      json === true ? Buffer.from(messageAsJson(message)) : verbose === true ? Buffer.concat([Buffer.from(`${topic} `), payload]) : payload;
    process.stdout.write(text);
    if (!process.stdout.write('\n')) this.#client.pause();
    if (this.#received === count) this.#end();
  }

  /** Nothing is taken any more, so that what follows waits for the next one. */
  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#over.resolve();
    void this.#client.disconnect();
  }

  #note(text: string): void {
    if (this.#options.quiet !== true) process.stderr.write(`${text}\n`);
  }
}

function sessionOf({ session, sessionExpiry }: SubOptions, { version }: Connection): Partial<ClientOptions> {
  if (session === undefined) return {};
  return { clientId: session, cleanStart: false, ...(version === 5 ? { sessionExpirySec: sessionExpiry } : {}) };
}
