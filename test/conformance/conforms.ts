// Registers a test as proof of statements, and remembers which ones passed.
//
//   conforms({ v4: '3.1.0-2', v5: '3.1.0-2 4.13.1-1' }, 'a second CONNECT closes the connection', (h) => { … });
//
// runs for MQTT 3.1.1 and for 5.0, each with one shard and with eight, on a fresh broker in memory. Without `v4` it runs for 5.0 only.

import test from 'node:test';

import { startHarness } from '../harness/harness.ts';

import type { TestContext } from 'node:test';
import type { Harness, HarnessOptions } from '../harness/harness.ts';

export type StandardKey = 'v4' | 'v5';

type Proof = { readonly name: string; runs: number; passed: number };

/** Tests by the statements they prove: `v4 MQTT-3.1.0-2`. */
export const proofs = new Map<string, Proof[]>();

export type Body = (h: Harness, t: TestContext) => void | Promise<void>;

const titles = { v4: '3.1.1', v5: '5.0' } as const;

export function conforms(statements: { v4?: string; v5?: string }, name: string, body: Body, options: HarnessOptions = {}): void {
  for (const key of ['v4', 'v5'] as const) {
    const ids = statements[key]?.split(' ');
    if (ids === undefined) continue;
    const proof: Proof = { name: `MQTT ${titles[key]} [${ids.join('] [')}] ${name}`, runs: 0, passed: 0 };
    for (const id of ids) {
      const known = proofs.get(`${key} MQTT-${id}`) ?? [];
      known.push(proof);
      proofs.set(`${key} MQTT-${id}`, known);
    }
    for (const shards of [1, 8]) {
      test(shards === 1 ? proof.name : `${proof.name} (${shards} shards)`, async (t) => {
        const h = await startHarness({ ...options, version: key === 'v4' ? 4 : 5, shards });
        try {
          await body(h, t);
          h.check();
        } finally {
          await h.stop();
        }
        proof.passed++;
      });
      proof.runs++;
    }
  }
}
