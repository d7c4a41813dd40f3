// Tells the log and the audit log of refused certificates and handshakes: at once the first time, then at most once a minute for the same thing.
// A peer that tries again and again must not fill either.

import { addressKey } from '../../../base/address-key.ts';
import type { Clock } from '../../../base/clock.ts';
import type { Log } from '../../../base/log.ts';
import type { Audit } from '../../audit/audit.ts';
import type { CertificateFault, HandshakeOrigin } from '../../security.ts';

const quietMs = 60_000;
const maxRemembered = 1000;
const maxSubjectLength = 128;

export type Refusal = HandshakeOrigin & {
  /** parameters: it did not come to a certificate. */
  readonly fault: CertificateFault | 'parameters';
  readonly fingerprint: string | undefined;
  /** Of a certificate that was issued by somebody trusted; a stranger could write anything there. */
  readonly subject: string | undefined;
};

type Remembered = { untilMs: number; silent: number };

export class RefusalRecord {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #audit: Audit;
  readonly #remembered = new Map<string, Remembered>();

  constructor(clock: Clock, log: Log, audit: Audit) {
    this.#clock = clock;
    this.#log = log;
    this.#audit = audit;
  }

  tell(refusal: Refusal): void {
    const nowMs = this.#clock.monotonicMs();
    const { listener, fault, remoteAddress } = refusal;
    // Whoever has an IPv6 network could come from another address each time.
    const key = `${listener} ${fault} ${addressKey(remoteAddress)}`;
    const before = this.#remembered.get(key);
    if (before !== undefined && nowMs < before.untilMs) {
      before.silent++;
      return;
    }
    this.#remembered.delete(key);
    for (const oldest of this.#remembered.keys()) {
      if (this.#remembered.size < maxRemembered) break;
      this.#remembered.delete(oldest);
    }
    this.#remembered.set(key, { untilMs: nowMs + quietMs, silent: 0 });
    const { fingerprint, subject } = refusal;
    const facts = {
      reason: fault,
      ...(fingerprint !== undefined && { fingerprint }),
      ...(subject !== undefined && { subject: subject.replaceAll('\n', ', ').slice(0, maxSubjectLength) }),
      ...(before !== undefined && before.silent > 0 && { timesSince: before.silent }),
    };
    this.#log.warn(fault === 'parameters' ? 'tls.handshake.refused' : 'tls.certificate.refused', {
      listener,
      address: remoteAddress,
      ...facts,
    });
    this.#audit.record({
      actor: { kind: 'stranger' },
      action: 'handshake.refuse',
      target: `listener/${listener}`,
      from: remoteAddress,
      outcome: 'refused',
      details: facts,
    });
  }
}
