// npm run trust: a real broker process, real sockets: who may be here, who may not, and how quickly that holds.
//
//   --topic NAME   only this topic
//   --only TEXT    only checks whose name contains it

import { parseArgs } from 'node:util';

import { Checks } from '../interop/checks.ts';
import { auditTrail } from './audit-trail.ts';
import { cuts } from './cuts.ts';
import { handshakes } from './handshakes.ts';
import { policies } from './policies.ts';
import { rotation } from './rotation.ts';
import { serverCertificates } from './server-certificates.ts';
import { isolation } from './tenants.ts';
import { tokens } from './tokens.ts';
import { World } from './world.ts';

const overallLimitMs = 180_000;

const topics: Readonly<Record<string, (checks: Checks, world: World) => Promise<void>>> = {
  cuts,
  policies,
  handshakes,
  tokens,
  isolation,
  serverCertificates,
  rotation,
  auditTrail,
};

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { topic: { type: 'string' }, only: { type: 'string' } } });
  const limit = setTimeout(() => {
    console.log(`FAIL  not done within ${overallLimitMs / 1000} s`);
    process.exit(1);
  }, overallLimitMs);
  const checks = new Checks(values.only);
  const world = await World.start(['main', 'north', 'east', 'west']);
  try {
    for (const [topic, check] of Object.entries(topics)) if ((values.topic ?? topic) === topic) await check(checks, world);
  } finally {
    await world.close();
  }
  clearTimeout(limit);
  if (checks.failures.length > 0) console.log(`failed: ${checks.failures.join('; ')}`);
  console.log(checks.summary());
  return checks.failed === 0 && checks.passed > 0 ? 0 : 1;
}

// Peers of failed checks may still hold sockets.
process.exit(await main());
