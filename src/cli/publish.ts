// What `heliograph pub` does.

import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { UserError } from '../base/user-error.ts';
import { defaultReconnect, MqttClient, type OutgoingMessage } from '../client/index.ts';
import { ReasonCode, reasonText, type PublishProperties } from '../protocols/mqtt/codec/index.ts';
import { inWords } from './connection-problem.ts';
import { connectionOf, type Connection } from './connection.ts';
import { wrongUsage } from './wrong-usage.ts';
import type { PubOptions } from './pub.ts';

/** More than any broker takes. */
const largestPayloadBytes = 256 * 1024 * 1024;
/** Lines that are read ahead of their acknowledgements. */
const linesAhead = 1000;
/** A broker that restarts keeps the session meanwhile, so that nothing of QoS 2 comes twice. */
const sessionExpirySec = 300;

type Sent = { messages: number; reason: ReasonCode };

export async function publish(options: PubOptions): Promise<void> {
  const properties = propertiesOf(options);
  const { topic, qos, retain = false } = options;
  const message = { topic, qos, retain, ...(properties === undefined ? {} : { properties }) };
  // Before connecting: a file that is not there need not bother a broker.
  const payload = options.lines ? undefined : await payloadOf(options);
  const connection = await connectionOf(options, process.env);
  const client = new MqttClient({
    ...connection,
    ...(options.lines ? { reconnect: defaultReconnect, onRetry: (error) => note(`${error.message}; trying again`) } : {}),
    ...(options.lines && qos === 2 && connection.version === 5 ? { sessionExpirySec } : {}),
  });
  try {
    await client.connect();
    const sent = payload === undefined ? await publishLines(client, message) : await publishOne(client, { ...message, payload });
    await client.disconnect(ReasonCode.success, connection.version === 5 && options.lines ? { sessionExpiryInterval: 0 } : undefined);
    tell(options, connection, sent);
  } catch (error) {
    throw inWords(error, connection);
  } finally {
    client.destroy();
  }
}

async function publishOne(client: MqttClient, message: OutgoingMessage): Promise<Sent> {
  return { messages: 1, reason: await client.publish(message) };
}

/** Stops reading at the first line that is refused. */
async function publishLines(client: MqttClient, message: Omit<OutgoingMessage, 'payload'>): Promise<Sent> {
  const sent: Sent = { messages: 0, reason: ReasonCode.success };
  let open = 0;
  let failure: Error | undefined;
  let wake = (): void => {};
  const changed = (): Promise<void> => new Promise((resolve) => (wake = resolve));
  const publishLine = async (payload: string): Promise<void> => {
    open++;
    try {
      sent.reason = await client.publish({ ...message, payload });
      sent.messages++;
    } catch (error) {
      failure ??= error as Error;
    }
    open--;
    wake();
  };
  const lines = createInterface({ input: process.stdin, crlfDelay: Infinity });
  for await (const line of lines) {
    void publishLine(line);
    while (open >= linesAhead && failure === undefined) await changed();
    if (failure !== undefined) break;
  }
  lines.close();
  while (open > 0 && failure === undefined) await changed();
  if (failure === undefined) return sent;
  note(`${sent.messages} messages were acknowledged before this:`);
  throw failure;
}

async function payloadOf({ message, file, stdin, empty }: PubOptions): Promise<Uint8Array | string> {
  if (message !== undefined) return message;
  if (empty === true) return '';
  if (stdin === true) return allOf(process.stdin, 'standard input');
  if (file === undefined) throw wrongUsage('There is no message.', 'give one of --message, --file, --stdin, --lines and --empty');
  try {
    return await allOf(createReadStream(file), file);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`The message cannot be read: ${(error as Error).message}`, {
      where: file,
      fix: 'check the path of --file',
      cause: error,
    });
  }
}

async function allOf(stream: Readable, where: string): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += (chunk as Buffer).length;
    if (bytes > largestPayloadBytes)
      throw new UserError('This is more than a message can hold.', { where, fix: 'send it in parts, such as with --lines' });
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

function propertiesOf(options: PubOptions): PublishProperties | undefined {
  const { property, expiry, contentType, responseTopic, correlation, mqttVersion } = options;
  const properties: PublishProperties = {
    ...(property === undefined ? {} : { userProperties: property.map((text) => userProperty(text)) }),
    ...(expiry === undefined ? {} : { messageExpiryInterval: expiry }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(responseTopic === undefined ? {} : { responseTopic }),
    ...(correlation === undefined ? {} : { correlationData: Buffer.from(correlation) }),
  };
  if (Object.keys(properties).length === 0) return undefined;
  if (mqttVersion !== '5') throw wrongUsage(`MQTT ${mqttVersion} has no properties.`, 'leave -V out, or the properties');
  return properties;
}

function userProperty(text: string): { key: string; value: string } {
  const at = text.indexOf('=');
  if (at <= 0) throw wrongUsage(`"${text}" is not a property.`, 'write it as key=value');
  return { key: text.slice(0, at), value: text.slice(at + 1) };
}

function tell({ topic, qos, json }: PubOptions, { version }: Connection, { messages, reason }: Sent): void {
  if (json === true) process.stdout.write(`${JSON.stringify({ topic, qos, messages, reason: reasonText(reason) })}\n`);
  else if (reason === ReasonCode.noMatchingSubscribers && version === 5) note('nobody subscribes to this topic');
}

function note(text: string): void {
  process.stderr.write(`${text}\n`);
}
