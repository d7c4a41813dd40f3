// The HTTP API with Node's own fetch (undici), in a process of its own because the CA is told by its environment. Prints `ok NAME` or
// `fail NAME: WHY`, and `@end`.

import assert from 'node:assert/strict';

const facts = JSON.parse(process.argv[2]!) as { base: string; username: string; password: string; unique: string };
const authorization = `Basic ${Buffer.from(`${facts.username}:${facts.password}`).toString('base64')}`;

type Asked = Omit<RequestInit, 'headers'> & { readonly headers?: Readonly<Record<string, string>> };

function ask(path: string, { headers = {}, ...options }: Asked = {}): Promise<Response> {
  return fetch(`${facts.base}${path}`, {
    ...options,
    headers: { authorization, ...headers },
    signal: options.signal ?? AbortSignal.timeout(20_000),
  });
}

async function values(name: string): Promise<void> {
  const path = `/v1/topics/${name}/value`;
  const put = await ask(path, { method: 'PUT', body: JSON.stringify({ t: 1 }), headers: { 'content-type': 'application/json' } });
  assert.equal(put.status, 201);
  const got = await ask(path);
  assert.deepEqual(await got.json(), { t: 1 });
  assert.equal(got.headers.get('etag'), put.headers.get('etag'));
  assert.equal((await ask(path, { method: 'PUT', body: 'x', headers: { 'if-none-match': '*' } })).status, 412);
  assert.equal((await ask(path, { method: 'DELETE' })).status, 204);
  assert.equal((await ask(path)).status, 404);
}

/** As a stream, which goes in chunks; once although it is sent twice. */
async function inChunks(name: string): Promise<void> {
  const send = (): Promise<Response> => {
    const body = new ReadableStream({
      start(controller) {
        for (const part of ['one', 'two', 'three']) controller.enqueue(new TextEncoder().encode(part));
        controller.close();
      },
    });
    return ask(`/v1/queues/${name}`, { method: 'POST', body, duplex: 'half', headers: { 'idempotency-key': name } });
  };
  assert.deepEqual([(await send()).status, (await send()).status], [202, 202]);
  const received = await ask(`/v1/queues/${name}/receive?max=10`, { method: 'POST' });
  const { messages } = (await received.json()) as { messages: { payload: string }[] };
  assert.deepEqual(
    messages.map(({ payload }) => payload),
    ['onetwothree'],
  );
}

async function many(name: string): Promise<void> {
  const statuses = await Promise.all(
    Array.from({ length: 500 }, async (_, i) => (await ask(`/v1/topics/${name}`, { method: 'POST', body: `${i}` })).status),
  );
  assert.ok(statuses.every((status) => status === 202));
}

/** Aborted from our side: the next stream is none the worse. */
async function events(name: string): Promise<void> {
  for (let round = 0; round < 2; round++) {
    const over = new AbortController();
    const stream = await ask(`/v1/topics/${name}`, { headers: { accept: 'text/event-stream' }, signal: over.signal });
    assert.equal(stream.headers.get('content-type'), 'text/event-stream');
    await ask(`/v1/topics/${name}`, { method: 'POST', body: `round ${round}` });
    let text = '';
    for await (const part of stream.body!) {
      text += Buffer.from(part).toString();
      if (text.includes(`"payload":"round ${round}"`)) break;
    }
    over.abort();
  }
}

async function reply(name: string): Promise<void> {
  const stream = await ask(`/v1/topics/${name}`, { headers: { accept: 'application/x-ndjson' } });
  const asked = ask(`/v1/topics/${name}?reply=15s`, { method: 'POST', body: 'how much?' });
  let text = '';
  for await (const part of stream.body!) {
    text += Buffer.from(part).toString();
    const line = text.split('\n').find((each) => each.includes('how much?'));
    if (line === undefined) continue;
    const { replyTo } = JSON.parse(line) as { replyTo: string | { name: string } };
    const topic = typeof replyTo === 'string' ? replyTo : replyTo.name;
    assert.equal((await ask(`/v1/topics/${topic.replace(/^\/?(topic\/)?/, '')}`, { method: 'POST', body: 'ten' })).status, 202);
    break;
  }
  const answer = await asked;
  assert.deepEqual([answer.status, await answer.text()], [200, 'ten']);
}

const checks: readonly (readonly [string, (name: string) => Promise<void>])[] = [
  ['values and conditions', values],
  ['a body in chunks, twice under one key', inChunks],
  ['500 at a time', many],
  ['an event stream, aborted and opened again', events],
  ['a request that waits for its reply', reply],
];

for (const [title, run] of checks) {
  try {
    await run(`${facts.unique}f${checks.findIndex(([each]) => each === title)}`);
    console.log(`ok ${title}`);
  } catch (error) {
    console.log(`fail ${title}: ${String(error).replaceAll('\n', ' ')}`);
  }
}
console.log('@end');
process.exit(0);
