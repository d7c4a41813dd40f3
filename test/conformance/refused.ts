// What a client sees of a CONNECT that is not accepted.

import assert from 'node:assert/strict';

import type { TestClient } from '../harness/client.ts';

/**
 * 3.1.1: `returnCode` and closed, or closed without a CONNACK when there is none for it. 5.0: CONNACK with one of `reasons`,
 * or nothing where the standard leaves it open, and closed.
 */
export function expectRefused(client: TestClient, returnCode: number | undefined, ...reasons: number[]): void {
  if (client.version === 5) {
    const packets = client.takeAll();
    assert.ok(packets.length <= 1, `expected at most a CONNACK\n${client.transcript}`);
    for (const packet of packets) {
      assert.equal(packet.type, 'connack', client.transcript);
      assert.ok(reasons.includes(packet.reason!), `refused with 0x${packet.reason!.toString(16)}\n${client.transcript}`);
    }
  } else if (returnCode !== undefined) {
    client.expect('connack', { reason: returnCode, sessionPresent: false });
  }
  client.expectClosed();
}
