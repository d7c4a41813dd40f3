// The load generators: C programs, compiled when they are first needed.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pinned, start } from './machine.ts';

const sources = join(import.meta.dirname, 'generator');
export const binDirectory = join(import.meta.dirname, '.bin');

/** What stands in the way of a measurement that only this machine can mend. */
export class NotPossible extends Error {}

const programs = {
  load: { source: 'load.c', flags: [], needs: '' },
  idle: { source: 'idle.c', flags: [], needs: '' },
  'idle-tls': { source: 'idle.c', flags: ['-DWITH_TLS', '-lssl', '-lcrypto'], needs: ' and the headers of OpenSSL (Debian: libssl-dev)' },
  handshakes: { source: 'handshakes.c', flags: ['-lssl', '-lcrypto'], needs: ' and the headers of OpenSSL (Debian: libssl-dev)' },
  amqpload: { source: 'amqpload.c', flags: [], needs: '' },
  sessions: { source: 'sessions.c', flags: [], needs: '' },
  coapload: { source: 'coapload.c', flags: ['-lssl', '-lcrypto'], needs: ' and the headers of OpenSSL (Debian: libssl-dev)' },
} as const;
export type Program = keyof typeof programs;

const built = new Map<Program, string>();

/** The path of the program. @throws NotPossible */
export function generator(name: Program): string {
  const known = built.get(name);
  if (known !== undefined) return known;
  const { source, flags, needs } = programs[name];
  const path = join(binDirectory, name);
  mkdirSync(binDirectory, { recursive: true });
  const newest = Math.max(...readdirSync(sources).map((file) => statSync(join(sources, file)).mtimeMs));
  if ((statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) < newest) {
    const run = spawnSync('cc', ['-O2', '-o', path, join(sources, source), ...flags], { encoding: 'utf8' });
    if (run.error !== undefined) throw new NotPossible(`a C compiler${needs} is needed (Debian: gcc libc6-dev)`);
    if (run.status !== 0) throw new NotPossible(`${source} does not compile; a C compiler${needs} is needed:\n${run.stderr}`);
  }
  built.set(name, path);
  return path;
}

export class GeneratorFailed extends Error {}

export type Generating = {
  /** What it prints. @throws GeneratorFailed */
  readonly result: Promise<Readonly<Record<string, number>>>;
  /** For those that hold on until told. */
  end(): void;
};

/** Runs a generator on its core. `limitMs`: it is stopped then. */
export function generate(name: Program, args: readonly (string | number)[], core: number | undefined, limitMs: number): Generating {
  const child = start(pinned(core, [generator(name), ...args.map(String)]), ['pipe', 'pipe', 'pipe']);
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
  let output = '';
  let errors = '';
  const result = new Promise<Record<string, number>>((resolve, reject) => {
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.includes('\n')) resolve(JSON.parse(output) as Record<string, number>);
    });
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (errors += text));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      reject(new GeneratorFailed(errors.trim().split('\n').at(-1) || `the generator ended with ${signal ?? code}`));
    });
  });
  child.stdin!.on('error', () => {});
  return { result, end: () => child.stdin!.end() };
}
