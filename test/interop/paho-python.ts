// Runs paho_checks.py and turns its lines into checks.

import { fileURLToPath } from 'node:url';

import { Child } from './process.ts';

import type { Checks } from './checks.ts';
import type { Target } from './target.ts';

const script = fileURLToPath(new URL('paho_checks.py', import.meta.url));
const crashCheck = 'session, queue and retained messages after kill -9';
const tlsCheck = '3 MB over TLS';
const limitMs = 120_000;

export async function pahoPythonChecks(checks: Checks, target: Target): Promise<void> {
  const label = (name: string): string => `paho Python: ${name}`;
  if (!checks.wanted(label(''))) return;
  const skip: Record<string, boolean> = {};
  if (target.crash === undefined) {
    checks.skip(label(crashCheck), 'this target cannot be restarted on its data');
    skip[crashCheck] = true;
  }
  if (target.tls === undefined) {
    checks.skip(label(tlsCheck), 'this target has no TLS listener');
    skip[tlsCheck] = true;
  }
  const facts = {
    host: target.tcp.host,
    port: target.tcp.port,
    tlsPort: target.tls?.port,
    caFile: target.tlsFacts?.caFile,
    username: target.credentials?.username,
    password: target.credentials?.password,
    unique: `py${process.pid}`,
    skip,
  };
  const child = new Child('/usr/bin/python3', [script, JSON.stringify(facts)]);
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
  try {
    await follow(checks, target, child, label);
  } catch (error) {
    checks.fail(label('script'), error instanceof Error ? error.message : String(error));
  } finally {
    clearTimeout(timer);
    child.kill('SIGKILL');
  }
}

async function follow(checks: Checks, target: Target, child: Child, label: (name: string) => string): Promise<void> {
  for (let seen = 0; ; seen++) {
    await child.waitFor(() => child.lines.length > seen);
    const line = child.lines[seen]!;
    const failed = /^fail ([^:]+): (.*)$/.exec(line);
    if (line === '@end') return;
    if (line === '@crash') {
      await target.crash!();
      child.write('done\n');
    } else if (failed !== null) checks.fail(label(failed[1]!), failed[2]!);
    else if (line.startsWith('ok ')) checks.pass(label(line.slice(3)));
    else console.log(`      ${line}`);
  }
}
