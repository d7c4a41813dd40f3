// CoAP with the other protocols: the same topics, queues and last values, whoever asks for them by which words.

import { randomBytes } from 'node:crypto';

import { connectAsync } from 'mqtt';

import { Peer, textOf } from '../amqp/rhea-client.ts';
import { until } from '../checks.ts';
import { Child, run } from '../process.ts';

import type { MqttClient } from 'mqtt';
import type { CheckContext, Checks } from '../checks.ts';
import type { CoapTarget } from './coap-target.ts';

class World {
  readonly #target: CoapTarget;
  readonly context: CheckContext;

  constructor(target: CoapTarget, context: CheckContext) {
    this.#target = target;
    this.context = context;
  }

  #uri(path: string): string {
    return `coap://127.0.0.1:${this.#target.coap.port}/${path}`;
  }

  async coap(method: string, path: string, ...options: readonly string[]): Promise<string> {
    return (await run('coap-client-notls', ['-B', '20', '-m', method, ...options, this.#uri(path)])).output;
  }

  observer(path: string): Child {
    return this.context.child(new Child('coap-client-notls', ['-s', '25', '-B', '30', '-w', this.#uri(path)]));
  }

  async mqtt(): Promise<MqttClient> {
    const { mqtt, credentials } = this.#target;
    const client = await connectAsync(`mqtt://${mqtt.host}:${mqtt.port}`, { ...credentials, protocolVersion: 5 });
    this.context.after(() => client.end(true));
    return client;
  }

  amqp(): Promise<Peer> {
    const { amqp, credentials } = this.#target;
    const target = {
      name: 'heliograph',
      tcp: this.#target.mqtt,
      tls: undefined,
      ws: undefined,
      wss: undefined,
      amqp,
      tlsFacts: undefined,
      credentials,
    };
    return Peer.connect({ ...target, crash: undefined, stop: async () => {} }, this.context);
  }
}

function same(actual: unknown, expected: unknown): void {
  if (JSON.stringify(actual) !== JSON.stringify(expected))
    throw new Error(`expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`);
}

export async function acrossChecks(checks: Checks, target: CoapTarget): Promise<void> {
  const check = (name: string, body: (world: World, unique: string) => Promise<void>): Promise<void> =>
    checks.check(`CoAP with others: ${name}`, (context) => body(new World(target, context), context.unique));
  await check('published by CoAP, subscribed to by MQTT and AMQP', async (world, unique) => {
    const seen: [string, string, string | undefined][] = [];
    const subscriber = await world.mqtt();
    subscriber.on('message', (topic, payload, { properties }) => seen.push([topic, payload.toString(), properties?.contentType]));
    await subscriber.subscribeAsync(`${unique}/#`, { qos: 1 });
    const receiver = await (await world.amqp()).receiver({ address: `${unique}/#`, capabilities: ['topic'] } as never);
    same(await world.coap('post', `t/${unique}/a`, '-t', '50', '-e', '{"t":1}'), '');
    await until(() => seen.length === 1);
    same(seen, [[`${unique}/a`, '{"t":1}', 'application/json']]);
    same(textOf((await receiver.expect(1))[0]!.message), '{"t":1}');
  });
  await check('published by MQTT and AMQP, observed by CoAP', async (world, unique) => {
    const publisher = await world.mqtt();
    await publisher.publishAsync(`${unique}/a`, 'kept', { qos: 1, retain: true });
    const observer = world.observer(`t/${unique}/a`);
    await observer.waitFor(/^kept$/);
    await publisher.publishAsync(`${unique}/a`, 'by mqtt', { qos: 2 });
    await observer.waitFor(/^by mqtt$/);
    const sender = await (await world.amqp()).sender(`${unique}/a`);
    await sender.accepted({ body: 'by amqp' });
    await observer.waitFor(/by amqp/);
  });
  await check('the last value is one, whoever set it', async (world, unique) => {
    const client = await world.mqtt();
    same(await world.coap('put', `t/${unique}/v`, '-e', 'by coap'), '');
    const seen: string[] = [];
    client.on('message', (_topic, payload) => seen.push(payload.toString()));
    await client.subscribeAsync(`${unique}/v`);
    await until(() => seen.length === 1);
    same(seen, ['by coap']);
    await client.publishAsync(`${unique}/v`, 'by mqtt', { qos: 1, retain: true });
    same(await world.coap('get', `t/${unique}/v`), 'by mqtt');
    await client.publishAsync(`${unique}/v`, '', { qos: 1, retain: true });
    same((await world.coap('get', `t/${unique}/v`)).slice(0, 4), '4.04');
  });
  await check('a queue that all three share', async (world, unique) => {
    const amqp = await world.amqp();
    same(await world.coap('post', `q/${unique}`, '-e', 'by coap'), '');
    await (await amqp.sender(`queue:${unique}`)).accepted({ body: 'by amqp' });
    await (await world.mqtt()).publishAsync(`$queue/${unique}`, 'by mqtt', { qos: 1 });
    same(await world.coap('get', `q/${unique}`), 'by coap');
    const receiver = await amqp.receiver({ address: `queue:${unique}` } as never);
    same(
      (await receiver.expect(2)).map(({ message }) => textOf(message)),
      ['by amqp', 'by mqtt'],
    );
  });
  await check('a message of 1 MiB from MQTT comes to CoAP in blocks', async (world, unique) => {
    const text = randomBytes(512 * 1024).toString('hex');
    await (await world.mqtt()).publishAsync(`${unique}/large`, text, { qos: 1, retain: true });
    same(await world.coap('get', `t/${unique}/large`), text);
  });
}
