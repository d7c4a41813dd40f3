import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { enrolment, fingerprint, good } from '../../../test/contracts/registry/place.ts';
import { atEnd, temporaryDirectory } from '../../../test/contracts/temporary-journal.ts';
import { SqliteRegistry } from './sqlite-registry.ts';

const child = join(import.meta.dirname, '..', '..', '..', 'test', 'contracts', 'registry', 'enrolment-child.ts');

test('two processes use a token together exactly as often as it may be', async (t) => {
  const path = join(temporaryDirectory(t), 'registry.db');
  const registry = good(SqliteRegistry.open({ path, clock: new ManualClock(), thread: false }));
  atEnd(t, () => registry.close());
  const maxUses = 60;
  good(await registry.create('enrolment', 'main', 'e', enrolment(1, { maxUses })));
  const children = [0, 1].map(() => spawn(process.execPath, [child, path, fingerprint(1)], { stdio: ['pipe', 'pipe', 'inherit'] }));
  t.after(() => children.forEach((each) => each.kill('SIGKILL')));
  const said = children.map((each) => output(each));
  await Promise.all(children.map((each) => once(each.stdout!, 'readable')));
  for (const each of children) each.stdin!.write('go\n');
  const uses = (await Promise.all(said)).map((text) => Number(text.split('\n')[1]));
  assert.equal(uses[0]! + uses[1]!, maxUses, uses.join(' and '));
  assert.equal(good(registry.get('enrolment', 'main', 'e'))?.uses, maxUses);
});

async function output(process: ChildProcess): Promise<string> {
  let text = '';
  process.stdout!.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  await once(process, 'close');
  return text;
}
