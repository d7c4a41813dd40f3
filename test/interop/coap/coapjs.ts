// The client of npm (`coap`), an implementation in JavaScript.

import { randomBytes } from 'node:crypto';

import * as coap from 'coap';

import { until } from '../checks.ts';

import type { CoapRequestParams, IncomingMessage, ObserveReadStream } from 'coap';
import type { Checks } from '../checks.ts';
import type { CoapTarget } from './coap-target.ts';

type Answer = { readonly code: string; readonly payload: Buffer };

class CoapJs {
  readonly #target: CoapTarget;

  constructor(target: CoapTarget) {
    this.#target = target;
  }

  ask(
    method: CoapRequestParams['method'],
    pathname: string,
    payload: Buffer | string = '',
    more: Partial<CoapRequestParams> = {},
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const request = coap.request({ ...this.#target.coap, method: method!, pathname, agent: false, ...more });
      request.on('error', reject);
      // It cuts what it sends only when it is told to.
      if (payload.length > 1024) request.setOption('Block1', Buffer.of(6));
      request.on('response', (response: IncomingMessage) => resolve({ code: response.code, payload: response.payload }));
      request.end(payload);
    });
  }

  /** What is told of it, as it comes. */
  observe(pathname: string): Promise<{ readonly seen: string[]; readonly stream: ObserveReadStream }> {
    return new Promise((resolve, reject) => {
      const request = coap.request({ ...this.#target.coap, pathname, observe: true, agent: false });
      request.on('error', reject);
      request.on('response', (stream: ObserveReadStream) => {
        const seen: string[] = [];
        stream.on('data', (value: Buffer) => seen.push(value.toString()));
        resolve({ seen, stream });
      });
      request.end();
    });
  }
}

function expectCode(answer: Answer, code: string): Answer {
  if (answer.code !== code) throw new Error(`expected ${code}, got ${answer.code} ${answer.payload.toString().slice(0, 200)}`);
  return answer;
}

export async function coapJsChecks(checks: Checks, target: CoapTarget): Promise<void> {
  const check = (name: string, body: (client: CoapJs, unique: string) => Promise<void>): Promise<void> =>
    checks.check(`coap (npm): ${name}`, (context) => body(new CoapJs(target), context.unique));
  await check('put, get, post, delete', async (client, unique) => {
    const topic = `/t/${unique}/value`;
    expectCode(await client.ask('PUT', topic, 'one'), '2.01');
    expectCode(await client.ask('PUT', topic, 'two'), '2.04');
    if (expectCode(await client.ask('GET', topic), '2.05').payload.toString() !== 'two') throw new Error('another value');
    expectCode(await client.ask('POST', topic, 'three', { confirmable: false }), '2.04');
    expectCode(await client.ask('DELETE', topic), '2.02');
    expectCode(await client.ask('GET', topic), '4.04');
  });
  await check('observes, and stops', async (client, unique) => {
    const topic = `/t/${unique}/observed`;
    await client.ask('PUT', topic, '0');
    const { seen, stream } = await client.observe(topic);
    for (let i = 1; i <= 5; i++) {
      await client.ask('PUT', topic, String(i));
      await until(() => seen.at(-1) === String(i));
    }
    stream.close();
    const before = seen.length;
    await client.ask('PUT', topic, 'unseen');
    await client.ask('GET', topic);
    if (seen.length !== before) throw new Error('it was told afterwards');
  });
  for (const bytes of [5000, 100_000, 1024 * 1024]) {
    await check(`${bytes} bytes in blocks up and down`, async (client, unique) => {
      const payload = randomBytes(bytes);
      const topic = `/t/${unique}/large`;
      expectCode(await client.ask('PUT', topic, payload), '2.01');
      const { payload: back } = expectCode(await client.ask('GET', topic), '2.05');
      if (!payload.equals(back)) throw new Error('what came back is not what was sent');
    });
  }
}
