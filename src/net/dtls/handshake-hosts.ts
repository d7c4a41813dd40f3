// How many handshakes each host has under way, and how fast it begins them: each costs the server a key and a signature, and memory.

import { countedAddress, plainAddress } from '../address.ts';
import type { DtlsLimits } from './limits.ts';

type HostLimits = Pick<DtlsLimits, 'pendingPerHost' | 'handshakesPerHostAndSecond'>;

const secondMs = 1000;

export class HandshakeHosts {
  readonly #pending = new Map<string, number>();
  /** Since `#since`: no longer than a second, so it holds no more hosts than can return a cookie in one. */
  readonly #begun = new Map<string, number>();
  #since = -Infinity;

  /** Undefined: one more has begun, and must be given back by `end`. Else why not. */
  begin(address: string, { pendingPerHost, handshakesPerHostAndSecond }: HostLimits, now: number): 'full' | 'too-fast' | undefined {
    const host = hostOf(address);
    if (now >= this.#since + secondMs) {
      this.#begun.clear();
      this.#since = now;
    }
    const pending = this.#pending.get(host) ?? 0;
    if (pending >= pendingPerHost) return 'full';
    const begun = this.#begun.get(host) ?? 0;
    if (begun >= handshakesPerHostAndSecond) return 'too-fast';
    this.#begun.set(host, begun + 1);
    this.#pending.set(host, pending + 1);
    return undefined;
  }

  end(address: string): void {
    const host = hostOf(address);
    const left = this.#pending.get(host)! - 1;
    if (left === 0) this.#pending.delete(host);
    else this.#pending.set(host, left);
  }
}

/** An IPv6 network counts as one host: whoever has it has all of its addresses. */
export function hostOf(address: string): string {
  return countedAddress(plainAddress(address));
}
