// npm run registry:postgres: the registry on a real PostgreSQL, which is started for it.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { postgresBinaries } from './binaries.ts';

const binaries = postgresBinaries();
if (binaries === undefined) {
  console.error('\n!!! SKIPPED: the registry was NOT tested on PostgreSQL, because there is none on this machine !!!\n');
} else {
  const args = ['--test', '--test-isolation=none', '--test-timeout=120000', join(import.meta.dirname, 'registry-suite.ts')];
  const run = spawnSync(process.execPath, args, { stdio: 'inherit', env: { ...process.env, HELIOGRAPH_POSTGRES: binaries } });
  process.exitCode = run.status ?? 1;
}
