// aiocoap, an implementation in Python that knows OSCORE, TCP and WebSocket: from PyPI, into an environment of its own.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { run } from '../process.ts';

import type { Checks } from '../checks.ts';
import type { CoapTarget } from './coap-target.ts';

const release = 'aiocoap[oscore,ws]==0.4.17';
const installLimitSec = 120;
const runLimitSec = 180;
const script = fileURLToPath(new URL('aiocoap_checks.py', import.meta.url));

export async function aiocoapChecks(checks: Checks, target: CoapTarget): Promise<void> {
  if (checks.only !== undefined && !'aiocoap: '.includes(checks.only) && !checks.only.includes('aiocoap')) return;
  const folder = await mkdtemp(join(tmpdir(), 'interop-aiocoap-'));
  try {
    const made = await run('timeout', [
      String(installLimitSec),
      'bash',
      '-c',
      `python3 -m venv '${folder}' && '${folder}/bin/pip' install -q '${release}'`,
    ]);
    if (made.code !== 0) {
      checks.skip('aiocoap', `${release} could not be had: ${made.output.slice(-200)}`);
      return;
    }
    const { coap, ws, oscore } = target;
    const facts = {
      port: coap.port,
      wsPort: ws.port,
      oscore,
      unique: `i${process.pid}py`,
      only: checks.only,
    };
    const { output } = await run('timeout', [String(runLimitSec), join(folder, 'bin/python'), script, JSON.stringify(facts)]);
    report(checks, output.split('\n'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function report(checks: Checks, lines: readonly string[]): void {
  for (const line of lines) {
    const [, result, name, why] = /^(ok|fail|skip) (aiocoap: [^:]*)(?:: (.*))?$/.exec(line) ?? [];
    if (result === 'ok') checks.pass(name!);
    else if (result === 'skip') checks.skip(name!, why!);
    else if (result === 'fail') checks.fail(name!, why!);
  }
  if (!lines.includes('@end')) checks.fail('aiocoap', `did not end:\n${lines.slice(-8).join('\n')}`);
}
