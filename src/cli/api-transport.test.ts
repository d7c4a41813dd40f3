import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { proofOf, publishLocalAccess } from '../admin/local-access.ts';
import { transportOf } from './api-transport.ts';

/** What listens where the node of the data directory says it does, and what it was asked. */
async function listening(t: TestContext, token: string, answer: (challenge: string) => object) {
  const data = await mkdtemp(join(tmpdir(), 'heliograph-transport-'));
  const asked: { url: string | undefined; authorization: string | undefined }[] = [];
  const server = createServer(({ url, headers }, response) => {
    asked.push({ url, authorization: headers.authorization });
    response.end(JSON.stringify(answer(String(headers['heliograph-challenge']))));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    server.close();
    await rm(data, { recursive: true });
  });
  await publishLocalAccess(data, { token, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  return { data, asked };
}

test('a node that proves to know the token of its data directory is asked', async (t) => {
  const { data } = await listening(t, 'secret', (challenge) => ({ status: 'alive', proof: proofOf('secret', challenge) }));
  const transport = await transportOf({ data }, {});
  assert.equal(transport.isLive, true);
  await transport.close();
});

test('whoever has taken the port of a node that was killed is told nothing', async (t) => {
  for (const answer of [
    () => ({ status: 'alive' }),
    (challenge: string) => ({ proof: challenge }),
    (challenge: string) => ({ proof: proofOf('', challenge) }),
    () => ({ padding: 'x'.repeat(10_000) }),
  ]) {
    const { data, asked } = await listening(t, 'secret', answer);
    const transport = await transportOf({ data }, {});
    assert.equal(transport.isLive, false, 'the registry is asked in this process');
    assert.deepEqual(asked, [{ url: '/healthz', authorization: undefined }]);
    await transport.close();
  }
});

test('whoever wants to sign in does not act without a name where no node runs', async (t) => {
  const data = await mkdtemp(join(tmpdir(), 'heliograph-transport-'));
  t.after(() => rm(data, { recursive: true }));
  await assert.rejects(transportOf({ data, user: 'alice' }, { HELIOGRAPH_PASSWORD: 'secret' }), /No broker was found to sign in to/);
});
