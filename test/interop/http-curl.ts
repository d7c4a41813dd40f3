// The HTTP API with curl, as it comes with Debian: HTTP/1.1 and HTTP/2, a client certificate, streams that resume, queues.

import assert from 'node:assert/strict';

import { deviceName } from './heliograph-target.ts';
import { Child, run } from './process.ts';

import type { CheckContext, Checks } from './checks.ts';
import type { Target, TlsFacts } from './target.ts';

type Curl = { readonly base: string; readonly options: readonly string[] };

export async function httpCurlChecks(checks: Checks, { tlsFacts, credentials }: Target, port: number): Promise<void> {
  if (tlsFacts === undefined || credentials === undefined) return;
  const curl: Curl = { base: `https://localhost:${port}`, options: ['--cacert', tlsFacts.caFile, '-sS', '--max-time', '10'] };
  const user = ['-u', `${credentials.username}:${credentials.password}`];
  for (const version of ['--http1.1', '--http2']) {
    const known: Curl = { ...curl, options: [...curl.options, version, ...user] };
    const check = (name: string, body: (context: CheckContext) => Promise<void>): Promise<void> =>
      checks.check(`HTTP, curl ${version}: ${name}`, body);
    await check('publish, last value, conditions', (context) => values(known, `http/${context.unique}`));
    await check('queue: receive, ack, wait', (context) => queue(known, context.unique));
    await check('named subscription resumes by Last-Event-ID', (context) => resume(known, context));
    await check('client certificate', () => certificate({ ...curl, options: [...curl.options, version] }, tlsFacts));
    await check('no credentials, wrong ones', () => refused({ ...curl, options: [...curl.options, version] }));
  }
}

async function ask({ base, options }: Curl, path: string, ...more: string[]): Promise<{ status: number; body: string }> {
  const { output } = await run('curl', [...options, '-w', '\\n%{http_code}', `${base}${path}`, ...more]);
  const cut = output.trimEnd().lastIndexOf('\n');
  return { status: Number(output.trimEnd().slice(cut + 1)), body: output.slice(0, Math.max(cut, 0)) };
}

async function values(curl: Curl, topic: string): Promise<void> {
  const path = `/v1/topics/${topic}`;
  assert.equal((await ask(curl, path, '-d', 'x')).status, 202);
  assert.equal((await ask(curl, path, '-X', 'PUT', '-d', 'one')).status, 201);
  assert.equal((await ask(curl, path, '-X', 'PUT', '-H', 'If-None-Match: *', '-d', 'two')).status, 412);
  assert.deepEqual(await ask(curl, path), { status: 200, body: 'one' });
  assert.equal((await ask(curl, path, '-X', 'DELETE')).status, 204);
  assert.equal((await ask(curl, path)).status, 404);
}

async function queue(curl: Curl, name: string): Promise<void> {
  const waits = ask(curl, `/v1/queues/${name}/receive?wait=8s`, '-X', 'POST');
  assert.equal((await ask(curl, `/v1/queues/${name}`, '-d', 'job')).status, 202);
  const { status, body } = await waits;
  assert.equal(status, 200);
  const [message] = (JSON.parse(body) as { messages: { payload: string; delivery: string }[] }).messages;
  assert.equal(message!.payload, 'job');
  assert.equal((await ask(curl, `/v1/queues/${name}/ack?delivery=${message!.delivery}`, '-X', 'POST')).status, 204);
  assert.equal((await ask(curl, `/v1/queues/${name}/ack?delivery=${message!.delivery}`, '-X', 'POST')).status, 404);
}

async function resume(curl: Curl, context: CheckContext): Promise<void> {
  const topic = `http/${context.unique}`;
  const stream = (...more: string[]): Child => {
    const url = `${curl.base}/v1/topics/${topic}?subscription=${context.unique}&expires=1min`;
    return context.child(new Child('curl', [...curl.options, '-N', '-H', 'Accept: text/event-stream', url, ...more]));
  };
  const first = stream();
  await first.waitFor(/retry:/);
  for (const payload of ['one', 'two']) assert.equal((await ask(curl, `/v1/topics/${topic}`, '-d', payload)).status, 202);
  await first.waitFor(/"payload":"two"/);
  const [id] = [...first.lines.join('\n').matchAll(/^id: (\S+)/gm)].map(([, each]) => each!);
  first.kill('SIGKILL');
  const second = stream('-H', `Last-Event-ID: ${id}`);
  await second.waitFor(/"payload":"two"/);
  assert.doesNotMatch(second.lines.join('\n'), /"payload":"one"/);
}

/** The device of the certificate may use the topics below its own name (default rules). */
async function certificate(curl: Curl, { client }: TlsFacts): Promise<void> {
  const known: Curl = { ...curl, options: [...curl.options, '--cert', client!.certFile, '--key', client!.keyFile] };
  assert.equal((await ask(known, `/v1/topics/dev/${deviceName}/data`, '-d', 'x')).status, 202);
  assert.equal((await ask(known, '/v1/topics/dev/another/data', '-d', 'x')).status, 403);
}

async function refused(curl: Curl): Promise<void> {
  assert.equal((await ask(curl, '/v1/topics/a', '-d', 'x')).status, 401);
  assert.equal((await ask(curl, '/v1/topics/a', '-d', 'x', '-u', 'nobody:wrong')).status, 401);
}
