// Clients in languages that must be compiled: run where the toolchain is, skipped by name where it is not.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Child, run } from './process.ts';

import type { Checks } from './checks.ts';
import type { Target } from './target.ts';

const folderOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const buildLimitSeconds = '150';
const runLimitMs = 60_000;

/** Builds into `folder`; returns the program, or why there is none. */
type Build = (folder: string) => Promise<{ program: string } | { problem: string }>;

const buildPahoGolang: Build = async (folder) => {
  if (!(await isThere('go'))) return { problem: 'Go is not installed' };
  const program = join(folder, 'paho-golang');
  const built = await run('timeout', [buildLimitSeconds, 'go', 'build', '-o', program, '.'], { cwd: folderOf('paho-golang') });
  return built.code === 0 ? { program } : { problem: `could not be built: ${lastLine(built.output)}` };
};

const buildRumqttc: Build = async (folder) => {
  if (!(await isThere('cargo'))) return { problem: 'Rust is not installed' };
  const args = [buildLimitSeconds, 'cargo', 'build', '--locked', '--quiet', '--target-dir', folder];
  const built = await run('timeout', args, { cwd: folderOf('rumqttc') });
  return built.code === 0
    ? { program: join(folder, 'debug', 'rumqttc-checks') }
    : { problem: `could not be built: ${lastLine(built.output)}` };
};

/** All builds go on at once, beside the other checks; resolves when the last client is through. */
export async function compiledClientChecks(checks: Checks, target: Target): Promise<void> {
  const { host, port } = target.tcp;
  const { username, password } = target.credentials ?? { username: '', password: '' };
  const unique = `compiled${process.pid}`;
  await Promise.all([
    client(checks, 'paho.golang', buildPahoGolang, [`${host}:${port}`, username, password, `${unique}go`]),
    client(checks, 'rumqttc', buildRumqttc, [host, String(port), username, password, `${unique}rs`]),
  ]);
}

async function client(checks: Checks, name: string, build: Build, args: readonly string[]): Promise<void> {
  if (!checks.wanted(name)) return;
  const folder = await mkdtemp(join(tmpdir(), 'interop-build-'));
  try {
    const built = await build(folder);
    if ('problem' in built) checks.skip(name, built.problem);
    else await runProgram(checks, name, built.program, args);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs a program that prints `ok NAME`, `skip NAME: WHY` or `fail NAME: WHY` for each of its checks, and `@end`. */
export async function runProgram(
  checks: Checks,
  name: string,
  program: string,
  args: readonly string[],
  limitMs = runLimitMs,
): Promise<void> {
  const child = new Child(program, args);
  child.endInput();
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
  await child.exit();
  clearTimeout(timer);
  for (const line of child.lines) {
    const [, result, check, why] = /^(ok|fail|skip) ([^:]+)(?:: (.*))?$/.exec(line) ?? [];
    if (result === 'ok') checks.pass(`${name}: ${check}`);
    else if (result === 'fail') checks.fail(`${name}: ${check}`, why!);
    else if (result === 'skip') checks.skip(`${name}: ${check}`, why!);
  }
  if (!child.lines.includes('@end')) checks.fail(name, `did not end:\n${child.tail()}`);
}

export async function isThere(command: string): Promise<boolean> {
  return (await run('sh', ['-c', `command -v ${command}`])).code === 0;
}

export function lastLine(output: string): string {
  return output.trim().split('\n').at(-1) ?? '';
}
