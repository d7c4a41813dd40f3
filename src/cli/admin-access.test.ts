import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { publishLocalAccess } from '../admin/local-access.ts';
import { UserError } from '../base/user-error.ts';
import { accessOf } from './admin-access.ts';

async function dataDirectory(t: TestContext, isRunning = true): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'heliograph-'));
  t.after(() => rm(directory, { recursive: true }));
  if (isRunning) await publishLocalAccess(directory, { token: 'secret-token', url: 'http://127.0.0.1:9080' });
  return directory;
}

test('a command finds the broker of its data directory', async (t) => {
  const data = await dataDirectory(t);
  assert.deepEqual(await accessOf({ data }, {}), {
    url: 'http://127.0.0.1:9080',
    authorization: 'Bearer secret-token',
    authority: undefined,
  });
});

test('the token goes to no other address', async (t) => {
  const data = await dataDirectory(t);
  for (const url of [
    'http://127.0.0.1:9081',
    'https://127.0.0.1:9080',
    'http://evil.example:9080',
    'http://127.0.0.1:9080.evil.example',
    'nonsense',
  ]) {
    assert.equal((await accessOf({ data, url }, {})).authorization, undefined, url);
  }
  assert.equal((await accessOf({ data, url: 'http://127.0.0.1:9080/' }, {})).authorization, 'Bearer secret-token');
});

test('a user signs in with the password of the environment', async (t) => {
  const data = await dataDirectory(t, false);
  const options = { data, url: 'https://broker.example', user: 'ann' };
  const { authorization } = await accessOf(options, { HELIOGRAPH_PASSWORD: 'pä:ss' });
  assert.equal(Buffer.from(authorization!.slice('Basic '.length), 'base64').toString(), 'ann:pä:ss');
  await assert.rejects(accessOf(options, {}), (error) => error instanceof UserError && error.fix!.includes('HELIOGRAPH_PASSWORD'));
});

test('who signs in over the network without TLS is warned', async (t) => {
  const data = await dataDirectory(t, false);
  const warned = async (url: string): Promise<boolean> => {
    const write = t.mock.method(process.stderr, 'write', () => true);
    await accessOf({ data, url, user: 'ann' }, { HELIOGRAPH_PASSWORD: 'secret' });
    write.mock.restore();
    return write.mock.callCount() > 0;
  };
  for (const url of ['http://broker.example:8080', 'http://192.0.2.1', 'http://[2001:db8::1]:8080'])
    assert.equal(await warned(url), true, url);
  for (const url of ['https://broker.example', 'http://127.0.0.1:8080', 'http://[::1]:8080']) assert.equal(await warned(url), false, url);
});

test('the authority is the one of the data directory, or a named one', async (t) => {
  const data = await dataDirectory(t);
  await rm(join(data, 'pki'), { recursive: true, force: true });
  const ca = join(data, 'other.crt');
  await writeFile(ca, 'PEM');
  assert.equal((await accessOf({ data, ca }, {})).authority, 'PEM');
  await assert.rejects(accessOf({ data, ca: join(data, 'missing') }, {}), UserError);
});

test('nothing to ask is told', async (t) => {
  const data = await dataDirectory(t, false);
  await assert.rejects(accessOf({ data }, {}), (error) => error instanceof UserError && /No broker runs/.test(error.message));
});
