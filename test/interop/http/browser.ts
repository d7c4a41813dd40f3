// The HTTP API and MQTT over WebSocket in a web page: Debian's Chromium.

import assert from 'node:assert/strict';

import { until, type CheckContext, type Checks } from '../checks.ts';
import type { Target } from '../target.ts';
import { shiftedPort } from '../../../src/config/overrides.ts';
import { startHeliograph } from '../heliograph-target.ts';
import { openBrowser, type Browser, type Page } from './browser-page.ts';

const limitMs = 60_000;

type Answer = { status: number | 'refused'; text: string; etag: string | null; type: string };
type Heard = { opened: number; failed: number; payloads: string[]; isClosed: boolean };
type Known = Target & { readonly credentials: NonNullable<Target['credentials']> };

const label = 'browser (Chromium): ';

/**
 * A browser adds no password to an EventSource of another origin, and pages set no headers of it: so who shows nothing is let in, by
 * this machine. And it cancels a WebSocket where a certificate is asked for, unless a page of that listener was opened before.
 */
const configuration = `
http:
  corsOrigins: ['http://localhost:*']
listeners:
  wss: {clientCertificate: none}
security:
  anonymous: {enabled: true, roles: [application]}
`;

export async function browserChecks(checks: Checks, portOffset: number): Promise<void> {
  if (!checks.wanted(label)) return;
  const target = await startHeliograph(portOffset, configuration);
  const known: Known = { ...target, credentials: target.credentials! };
  const base = `https://localhost:${shiftedPort(8443, portOffset)}`;
  const browser = await openBrowser();
  const check = (name: string, body: (context: CheckContext) => Promise<void>): Promise<void> =>
    checks.check(`${label}${name}`, body, limitMs);
  try {
    await check('fetch publishes and sets values, headers are exposed', (context) => values(browser.known, base, known, context));
    await check('CORS: a page of another origin neither reads nor sends', (context) => refused(browser, base, context));
    for (const [scheme, endpoint] of [
      ['wss', target.wss],
      ['ws', target.ws],
    ] as const) {
      const url = `${scheme}://localhost:${endpoint!.port}/mqtt`;
      await check(`MQTT.js over ${scheme} in the page`, (context) => mqttInPage(browser.known, url, known, context));
    }
    await check('EventSource resumes after kill -9: nothing lost, nothing twice', (context) => resumes(browser, base, known, context));
  } finally {
    await browser.stop();
    await target.stop();
  }
}

function basic({ credentials }: Known): string {
  return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`;
}

/** With an Authorization header and JSON: what a browser asks about first (preflight). */
async function values(page: Page, base: string, target: Known, { unique }: CheckContext): Promise<void> {
  const url = `${base}/v1/topics/browser/${unique}`;
  const headers = { Authorization: basic(target), 'Content-Type': 'application/json', 'Property-unit': 'C' };
  assert.equal((await page.call<Answer>('ask', { url, method: 'POST', headers, json: { t: 1 } })).status, 202);
  const put = await page.call<Answer>('ask', { url, method: 'PUT', headers, json: { t: 2 } });
  assert.equal(put.status, 201);
  assert.ok(put.etag !== null, 'the ETag is exposed');
  const again = await page.call<Answer>('ask', { url, method: 'PUT', headers: { ...headers, 'If-Match': '"other"' }, json: { t: 3 } });
  assert.equal(again.status, 412);
  const { status, text, etag } = await page.call<Answer>('ask', { url, headers: { Authorization: basic(target) }, cache: 'no-store' });
  assert.deepEqual({ status, text, etag }, { status: 200, text: '{"t":2}', etag: put.etag });
}

/** Whoever comes is let in here: a page of another origin must get nothing done by that. */
async function refused({ known, stranger }: Browser, base: string, { unique }: CheckContext): Promise<void> {
  const queue = `${base}/v1/queues/${unique}`;
  const send = { url: queue, method: 'POST', credentials: 'include', body: 'sent' };
  assert.equal((await known.call<Answer>('ask', send)).status, 202);
  assert.equal((await stranger.call<Answer>('ask', send)).status, 'refused');
  assert.equal((await stranger.call<Answer>('ask', { ...send, mode: 'no-cors' })).type, 'opaque', 'it was sent, and nothing is seen');
  assert.equal((await stranger.call<Answer>('ask', { url: queue, headers: { 'Property-a': 'b' } })).status, 'refused');
  const url = `${base}/v1/topics/${unique}`;
  await stranger.call('listen', { url });
  await until(async () => (await stranger.call<Heard>('heard', { url })).isClosed);
  assert.equal((await stranger.call<Heard>('heard', { url })).opened, 0);
  const receive = { url: `${queue}/receive?max=10&wait=1s`, method: 'POST', credentials: 'include' };
  const { messages } = JSON.parse((await known.call<Answer>('ask', receive)).text) as { messages: unknown[] };
  assert.equal(messages.length, 1, 'only the known page has sent something');
}

async function mqttInPage(page: Page, url: string, { credentials }: Known, { unique }: CheckContext): Promise<void> {
  const payloads = Array.from({ length: 50 }, (_, i) => `${i}:${'x'.repeat(i * 40)}`);
  for (const [protocolVersion, qos] of [
    [4, 1],
    [5, 2],
  ]) {
    const facts = { url, topic: `browser/${unique}`, qos, protocolVersion, payloads, ...credentials };
    assert.deepEqual(await page.call('mqttRoundTrip', facts), payloads);
  }
  await assert.rejects(page.call('mqttRoundTrip', { url, topic: 'a', qos: 0, payloads, username: 'admin', password: 'wrong' }));
}

/** Published while it listens, while the broker is away, and after: each under a key of its own, until the broker says that it has it. */
async function resumes({ known }: Browser, base: string, target: Known, context: CheckContext): Promise<void> {
  const topic = `browser/${context.unique}`;
  const url = `${base}/v1/topics/${topic.replace('/', '%2F')}?subscription=${context.unique}&expires=1h`;
  await known.call('listen', { url });
  const heard = (): Promise<Heard> => known.call<Heard>('heard', { url });
  await until(async () => (await heard()).opened === 1);
  let next = 0;
  const publish = async (count: number): Promise<void> => {
    for (const end = next + count; next < end; next++) {
      const headers = { Authorization: basic(target), 'Idempotency-Key': `${context.unique}-${next}` };
      const send = { url: `${base}/v1/topics/${topic}`, method: 'POST', headers, body: String(next) };
      await until(async () => (await known.call<Answer>('ask', send)).status === 202);
    }
  };
  await publish(100);
  await until(async () => (await heard()).payloads.length > 20);
  const during = publish(200);
  await target.crash!();
  await during;
  await publish(20);
  await until(async () => (await heard()).payloads.length >= next);
  // What would come twice has come before the last one.
  const { payloads, failed, opened } = await heard();
  assert.deepEqual(
    payloads.map(Number),
    Array.from({ length: next }, (_, i) => i),
  );
  assert.ok(failed >= 1 && opened >= 2, `it was cut ${failed} times and opened ${opened} times`);
}
