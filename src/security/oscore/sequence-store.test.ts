import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { UserError } from '../../base/user-error.ts';
import { SequenceFile } from './sequence-store.ts';

const one = '01'.repeat(16);
const two = '02'.repeat(16);

async function place(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'heliograph-oscore-'));
  t.after(() => rm(directory, { recursive: true }));
  return join(directory, 'oscore', 'sequence');
}

test('what was put is there after opening again; half a line at the end is none', async (t) => {
  const path = await place(t);
  const first = await SequenceFile.open(path);
  await Promise.all([
    first.put(one, { sentBelow: 8, acceptedBelow: 9 }),
    first.put(two, { sentBelow: 1, acceptedBelow: 2, window: { newest: -1, seen: '' } }),
    first.put(one, { sentBelow: 16, acceptedBelow: 9, window: { newest: 7, seen: '1011' } }),
  ]);
  await first.close();
  await appendFile(path, '0000');
  if (process.platform !== 'win32') assert.equal((await stat(path)).mode & 0o777, 0o600);
  const second = await SequenceFile.open(path);
  assert.deepEqual(second.get(one), { sentBelow: 16, acceptedBelow: 9, window: { newest: 7, seen: '1011' } });
  assert.deepEqual(second.get(two), { sentBelow: 1, acceptedBelow: 2, window: { newest: -1, seen: '' } });
  assert.equal(second.get('03'.repeat(16)), undefined);
  await second.close();
  await assert.rejects(second.put(one, { sentBelow: 1, acceptedBelow: 1 }));
});

test('a file that is damaged is not believed', async (t) => {
  const path = await place(t);
  const first = await SequenceFile.open(path);
  await first.put(one, { sentBelow: 80, acceptedBelow: 90 });
  await first.close();
  const text = await readFile(path, 'utf8');
  for (const bent of [text.replace(' 80 ', ' 70 '), `${text}x\n`, text.slice(1)]) {
    await writeFile(path, bent);
    await assert.rejects(SequenceFile.open(path), UserError);
  }
});

test('the file does not grow without end', async (t) => {
  const path = await place(t);
  const store = await SequenceFile.open(path);
  for (let round = 0; round < 5; round++) {
    const puts = Array.from({ length: 2000 }, (_, i) => store.put(one, { sentBelow: round * 2000 + i, acceptedBelow: 0 }));
    await Promise.all(puts);
  }
  await store.close();
  assert.ok((await stat(path)).size < 5000 * 60);
  const again = await SequenceFile.open(path);
  assert.equal(again.get(one)?.sentBelow, 9999);
  await again.close();
});
