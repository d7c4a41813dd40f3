// Clients of STOMP against the broker.

import { fileURLToPath } from 'node:url';

import { runProgram } from '../compiled-clients.ts';
import { stompJsChecks } from './stompjs.ts';

import type { Checks } from '../checks.ts';
import type { StompTarget } from './stomp-target.ts';

export async function stompChecks(checks: Checks, target: StompTarget): Promise<void> {
  await stompJsChecks(checks, target);
  if (!checks.wanted('stomp.py')) return;
  const facts = {
    host: target.stomp.host,
    port: target.stomp.port,
    tlsPort: target.stomps.port,
    caFile: target.tlsFacts?.caFile,
    username: target.credentials?.username,
    password: target.credentials?.password,
    unique: `stomppy${process.pid}`,
  };
  const script = fileURLToPath(new URL('stomp_py_checks.py', import.meta.url));
  await runProgram(checks, 'stomp.py', '/usr/bin/python3', [script, JSON.stringify(facts)]);
}
