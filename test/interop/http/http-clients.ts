// Programs that ask the HTTP API with other clients, and say what came of it line by line: Python's requests and urllib, Node's fetch.

import { fileURLToPath } from 'node:url';

import type { Checks } from '../checks.ts';
import { Child } from '../process.ts';
import type { Target } from '../target.ts';

const limitMs = 60_000;

export async function httpClientChecks(checks: Checks, { credentials, tlsFacts }: Target, port: number): Promise<void> {
  if (credentials === undefined || tlsFacts === undefined) return;
  const facts = { base: `https://localhost:${port}`, ...credentials, caFile: tlsFacts.caFile, unique: `http${process.pid}` };
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: tlsFacts.caFile };
  const programs = [
    ['HTTP, Python', '/usr/bin/python3', new URL('requests_checks.py', import.meta.url)],
    ['HTTP, fetch (undici)', process.execPath, new URL('fetch-checks.ts', import.meta.url)],
  ] as const;
  for (const [label, command, script] of programs) {
    if (checks.wanted(label)) await follow(checks, label, new Child(command, [fileURLToPath(script), JSON.stringify(facts)], { env }));
  }
}

async function follow(checks: Checks, label: string, child: Child): Promise<void> {
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
  await child.exit();
  clearTimeout(timer);
  for (const line of child.lines) {
    const failed = /^fail (.+?): (\w*Error.*)$/.exec(line);
    if (failed !== null) checks.fail(`${label}: ${failed[1]}`, failed[2]!);
    else if (line.startsWith('ok ')) checks.pass(`${label}: ${line.slice(3)}`);
  }
  if (child.lines.at(-1) !== '@end') checks.fail(label, `did not end:\n${child.tail()}`);
}
