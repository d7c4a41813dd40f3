// A wire that nobody reads until its peer does.

import assert from 'node:assert/strict';
import { Output } from '../../src/base/output.ts';
import type { Wire, WireFacts } from '../../src/protocols/protocol.ts';

/** By which security knows the witness: nothing that a client sends can make it the witness. */
export const witnessAddress = '192.0.2.9';

export class FuzzWire implements Wire {
  readonly output: Output = new Output(() => {});
  readonly facts: WireFacts;
  pauses = 0;
  ended = false;
  deadlineMs = Infinity;

  /** The witness is number 0. */
  constructor(number: number) {
    this.facts = {
      listener: 'tcp',
      remoteAddress: number === 0 ? witnessAddress : '192.0.2.1',
      remotePort: 50_000 + number,
      secure: false,
      peerCertificate: undefined,
    };
  }

  pause(): void {
    this.pauses++;
  }

  resume(): void {
    this.pauses--;
    assert.ok(this.pauses >= 0, 'more resumes than pauses');
  }

  close(): void {
    this.ended = true;
  }

  abort(): void {
    this.ended = true;
  }

  setDeadline(monotonicMs: number): void {
    this.deadlineMs = monotonicMs;
  }
}
