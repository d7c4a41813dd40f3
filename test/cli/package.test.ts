// The published package: JavaScript that tsc emitted, without src/. Below node_modules Node strips no types.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Served } from './run-cli.ts';
import { freeListeners } from '../harness/free-listeners.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

test('the package serves from dist/', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'heliograph-package-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const home = join(directory, 'node_modules', 'heliograph');
  await run(
    process.execPath,
    [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json', '--outDir', join(home, 'dist')],
    { cwd: root },
  );
  for (const name of ['bin', 'package.json']) cpSync(join(root, name), join(home, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(home, 'node_modules'));

  const emitted = readdirSync(join(home, 'dist'), { recursive: true, encoding: 'utf8' });
  assert.deepEqual(
    emitted.filter((name) => name.endsWith('.test.js') || name.endsWith('.ts')),
    [],
  );
  const config = join(directory, 'heliograph.yaml');
  writeFileSync(config, `listeners: ${JSON.stringify(freeListeners())}\n`);
  const served = new Served(['--config', config, '--data', join(directory, 'data')], join(home, 'bin/heliograph.js'));
  t.after(() => served.kill());
  // The journal's thread is a file of its own, which must be found as well.
  assert.ok((await served.port('mqtt')) > 0);
  served.signal('SIGTERM');
  assert.equal((await served.ended).code, 0);
});
