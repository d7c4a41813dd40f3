// Where inputs are kept. `corpus/<target>` is part of the project: inputs that failed once, or that are good to start from; `npm
// test` runs them. `crashers` takes what a run finds. `.cache/fuzz` remembers between runs what reached new code.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Crash } from './engine.ts';

const here = import.meta.dirname;
const root = join(here, '..', '..');

export function corpusFiles(target: string): string[] {
  return filesIn(join(here, 'corpus', target));
}

export function readAll(files: readonly string[]): Uint8Array[] {
  return files.map((file) => new Uint8Array(readFileSync(file)));
}

export function rememberedInputs(target: string): Uint8Array[] {
  return readAll(filesIn(join(root, '.cache', 'fuzz', target)));
}

export function rememberInputs(target: string, inputs: readonly Uint8Array[]): void {
  const folder = join(root, '.cache', 'fuzz', target);
  mkdirSync(folder, { recursive: true });
  for (const input of inputs) writeFileSync(join(folder, `${nameOf(input)}.bin`), input);
}

export function hangFile(target: string): string {
  return join(here, 'crashers', `${target}-endless.bin`);
}

/** Writes the input and what it did beside it; returns the input's path from the root of the project. */
export function saveCrash(target: string, crash: Crash): string {
  const folder = join(here, 'crashers');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${target}-${nameOf(crash.input)}.bin`);
  const path = relative(root, file);
  writeFileSync(file, crash.input);
  writeFileSync(`${file}.txt`, `${crash.failure.key}\n\n${crash.failure.text}\n\n${replayCommand(target, path)}\n`);
  return path;
}

export function replayCommand(target: string, path: string): string {
  return `npm run fuzz -- --target ${target} --replay ${path}`;
}

function filesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.bin'))
    .sort()
    .map((name) => join(folder, name));
}

function nameOf(input: Uint8Array): string {
  return createHash('sha256').update(input).digest('hex').slice(0, 16);
}
