// A wire without a network: what is written is there to be read, and a test says when time passes and when the wire is gone.

import { Output } from '../../../base/output.ts';
import type { Wire, WireFacts } from '../../protocol.ts';

export class FakeWire implements Wire {
  readonly output: Output = new Output(() => {});
  readonly facts: WireFacts = {
    listener: 'tcp',
    remoteAddress: '192.0.2.1',
    remotePort: 50_000,
    secure: false,
    peerCertificate: undefined,
  };
  pauses = 0;
  ended: 'closed' | 'aborted' | undefined;
  deadlineMs = Infinity;

  pause(): void {
    this.pauses++;
  }

  resume(): void {
    this.pauses--;
    if (this.pauses < 0) throw new Error('more resumes than pauses');
  }

  close(): void {
    if (this.ended !== undefined) throw new Error('closed twice');
    this.ended = 'closed';
  }

  abort(): void {
    this.ended = 'aborted';
  }

  setDeadline(monotonicMs: number): void {
    this.deadlineMs = monotonicMs;
  }

  /** What was written since the last time. */
  takeBytes(): Buffer {
    return Buffer.concat(this.output.takeChunks());
  }
}
