// Where PostgreSQL is on this machine; as root on Debian it is installed if it is not there.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const debianRoot = '/usr/lib/postgresql';

/** The folder of initdb and postgres, of the newest version there is; undefined when it cannot be had, with the reason on stderr. */
export function postgresBinaries(): string | undefined {
  const found = newest();
  if (found !== undefined) return found;
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    console.error('PostgreSQL is not installed, and only root on Debian can install it here: apt-get install postgresql');
    return undefined;
  }
  // The package would set up and start a database of its own.
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = { env: environment, stdio: ['ignore', 'ignore', 'inherit'] as ['ignore', 'ignore', 'inherit'] };
  for (const args of [
    ['update', '-q'],
    ['install', '-q', '-y', '--no-install-recommends', 'postgresql'],
  ]) {
    if (spawnSync('apt-get', args, options).status !== 0) {
      console.error(`PostgreSQL cannot be installed: apt-get ${args[0]} failed`);
      return undefined;
    }
  }
  return newest();
}

function newest(): string | undefined {
  if (!existsSync(debianRoot)) return undefined;
  const versions = readdirSync(debianRoot).filter((version) => existsSync(join(debianRoot, version, 'bin/initdb')));
  const last = versions.sort((a, b) => Number(a) - Number(b)).at(-1);
  return last === undefined ? undefined : join(debianRoot, last, 'bin');
}

/** PostgreSQL refuses to run as root: whom it runs as instead. */
export function unprivileged(): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const id = (flag: string): number => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}
