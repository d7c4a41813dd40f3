// A file system of a few megabytes. Needs root.

import { closeSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import { run } from '../interop/process.ts';
import { temporaryDirectory } from './broker-process.ts';

import type { CheckContext } from '../interop/checks.ts';

/** Why it cannot be had here; undefined when it can. */
export async function smallDiskProblem(): Promise<string | undefined> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'mounting a small tmpfs needs root on Linux';
  const { code, output } = await run('sh', [
    '-c',
    'd=$(mktemp -d) && mount -t tmpfs -o size=1m tmpfs "$d" && umount "$d"; c=$?; rmdir "$d"; exit $c',
  ]);
  return code === 0 ? undefined : `mounting a small tmpfs is not permitted here: ${output}`;
}

export class SmallDisk {
  readonly path: string;
  /** For a broker. */
  readonly data: string;

  private constructor(path: string) {
    this.path = path;
    this.data = join(path, 'data');
  }

  static async mount(context: CheckContext, bytes: number): Promise<SmallDisk> {
    const disk = new SmallDisk(join(temporaryDirectory(context), 'disk'));
    mkdirSync(disk.path);
    await mount('-t', 'tmpfs', '-o', `size=${bytes},mode=755`, 'tmpfs', disk.path);
    context.after(() => run('umount', ['--lazy', disk.path]));
    return disk;
  }

  /** Takes space that can be given back. */
  fillWith(name: string, bytes: number): void {
    writeFileSync(join(this.path, name), Buffer.alloc(bytes));
  }

  /** Takes every byte that is left. */
  fillUp(name: string): void {
    const file = openSync(join(this.path, name), 'w');
    try {
      const some = Buffer.alloc(4096);
      for (;;) writeSync(file, some);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    } finally {
      closeSync(file);
    }
  }

  free(name: string): void {
    rmSync(join(this.path, name));
  }

  async remount(how: 'ro' | 'rw'): Promise<void> {
    await mount('-o', `remount,${how}`, this.path);
  }
}

async function mount(...args: string[]): Promise<void> {
  const { code, output } = await run('mount', args);
  if (code !== 0) throw new Error(`mount ${args.join(' ')} ended with ${code}: ${output}`);
}
