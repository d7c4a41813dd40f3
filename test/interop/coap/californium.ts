// Californium with its own DTLS, Scandium (Java): suites that nobody else here has, and Connection IDs over a NAT that moves its clients.

import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { run } from '../process.ts';

import type { Checks } from '../checks.ts';
import type { CoapTarget } from './coap-target.ts';

const buildLimitSec = 180;
const runLimitSec = 120;
const here = (path: string): string => fileURLToPath(new URL(`californium/${path}`, import.meta.url));

export async function californiumChecks(checks: Checks, target: CoapTarget): Promise<void> {
  if (checks.only !== undefined && !'Californium: '.includes(checks.only) && !checks.only.includes('Californium:')) return;
  const folder = await mkdtemp(join(tmpdir(), 'interop-californium-'));
  try {
    const problem = await build(folder);
    if (problem !== undefined) {
      checks.skip('Californium', problem);
      return;
    }
    const lines = await runChecks(folder, target, checks.only ?? '');
    for (const line of lines) {
      const [, result, name, why] = /^(ok|fail) (Californium: [^:]*)(?:: (.*))?$/.exec(line) ?? [];
      if (result === 'ok') checks.pass(name!);
      else if (result === 'fail') checks.fail(name!, why!);
    }
    if (!lines.includes('@end')) checks.fail('Californium', `did not end:\n${lines.slice(-8).join('\n')}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Why it cannot be had; undefined: it is there. */
async function build(folder: string): Promise<string | undefined> {
  for (const tool of ['java', 'javac', 'mvn']) {
    if ((await run('which', [tool])).code !== 0) return `${tool} is not installed`;
  }
  const copy = ['dependency:copy-dependencies', `-DoutputDirectory=${join(folder, 'libraries')}`, '-DincludeScope=runtime'];
  const copied = await run('timeout', [String(buildLimitSec), 'mvn', '-q', '-B', '-f', here('pom.xml'), ...copy]);
  if (copied.code !== 0) return `could not be had from Maven: ${copied.output.slice(-200)}`;
  const compile = ['-cp', join(folder, 'libraries', '*'), '-d', join(folder, 'classes'), here('CaliforniumChecks.java')];
  const compiled = await run('timeout', [String(buildLimitSec), 'javac', ...compile]);
  return compiled.code === 0 ? undefined : `could not be compiled: ${compiled.output.slice(0, 500)}`;
}

async function runChecks(folder: string, target: CoapTarget, only: string): Promise<string[]> {
  const { coap, coaps, psk, caFile, client } = target;
  // It goes by the names of files.
  const pem = [];
  for (const [i, file] of [caFile, client.certFile, client.keyFile].entries()) {
    pem.push(join(folder, `${i}.pem`));
    await copyFile(file, pem[i]!);
  }
  const classPath = [join(folder, 'libraries', '*'), join(folder, 'classes')].join(':');
  const ports = [String(coap.port), String(coaps.port)];
  const facts = ['127.0.0.1', ...ports, psk.identity, psk.keyHex, ...pem, `i${process.pid}java`, only];
  return (await run('timeout', [String(runLimitSec), 'java', '-cp', classPath, 'CaliforniumChecks', ...facts])).output.split('\n');
}
