// npm run process: real broker processes under load, on bad disks, among hostile peers, and with signals. Linux only (/proc).
//
//   --topic NAME   only this topic: memory, disk, data, peers, amqp, http, garbage, signals
//   --only TEXT    only checks whose name contains it

import { parseArgs } from 'node:util';

import { Checks } from '../interop/checks.ts';
import { boundedMemory } from './bounded-memory.ts';
import { damagedData } from './damaged-data.ts';
import { garbage } from './garbage.ts';
import { hostileAmqpPeers } from './hostile-amqp-peers.ts';
import { hostileHttpPeers } from './hostile-http-peers.ts';
import { hostilePeers } from './hostile-peers.ts';
import { refusingDisk } from './refusing-disk.ts';
import { signals } from './signals.ts';

const overallLimitMs = 420_000;

const topics: Readonly<Record<string, (checks: Checks) => Promise<void>>> = {
  memory: boundedMemory,
  disk: refusingDisk,
  data: damagedData,
  peers: hostilePeers,
  amqp: hostileAmqpPeers,
  http: hostileHttpPeers,
  garbage,
  signals,
};

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { topic: { type: 'string' }, only: { type: 'string' } } });
  const limit = setTimeout(() => {
    console.log(`FAIL  not done within ${overallLimitMs / 1000} s`);
    process.exit(1);
  }, overallLimitMs);
  const checks = new Checks(values.only);
  for (const [topic, check] of Object.entries(topics)) if ((values.topic ?? topic) === topic) await check(checks);
  clearTimeout(limit);
  if (checks.failures.length > 0) console.log(`failed: ${checks.failures.join('; ')}`);
  console.log(checks.summary());
  return checks.failed === 0 && checks.passed > 0 ? 0 : 1;
}

// Peers of failed checks may still hold sockets.
process.exit(await main());
