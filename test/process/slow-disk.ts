// A disk whose fsync takes as long as a check likes, or fails: see slow-disk.c. Needs a C compiler.

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { run } from '../interop/process.ts';
import { temporaryDirectory } from './broker-process.ts';

import type { CheckContext } from '../interop/checks.ts';

/** Why it cannot be had here; undefined when it can. */
export async function slowDiskProblem(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'LD_PRELOAD is known on Linux only';
  return (await run('sh', ['-c', 'command -v gcc'])).code === 0 ? undefined : 'there is no gcc to build it with';
}

export class SlowDisk {
  readonly environment: NodeJS.ProcessEnv;
  readonly #file: string;

  private constructor(library: string, file: string) {
    this.#file = file;
    this.environment = { LD_PRELOAD: library, SLOW_DISK: file };
  }

  static async build(context: CheckContext): Promise<SlowDisk> {
    const directory = temporaryDirectory(context);
    const library = join(directory, 'slow-disk.so');
    const source = fileURLToPath(new URL('slow-disk.c', import.meta.url));
    const { code, output } = await run('gcc', ['-shared', '-fPIC', '-O2', '-o', library, source, '-ldl']);
    if (code !== 0 || !existsSync(library)) throw new Error(`gcc ended with ${code}:\n${output}`);
    const disk = new SlowDisk(library, join(directory, 'delay'));
    disk.delay(0);
    return disk;
  }

  /** What every fsync takes from now on. */
  delay(ms: number): void {
    writeFileSync(this.#file, String(ms));
  }

  /** Every fsync fails from now on, with EIO. */
  fail(): void {
    writeFileSync(this.#file, 'eio');
  }
}
