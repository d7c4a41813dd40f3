// How long a client may be silent. The deadline is looked at again when it fires, so that a packet costs one store.

import type { Version } from './codec/index.ts';
import type { MqttOptions } from './options.ts';

export type KeepAliveAgreement = {
  /** The client is told to use this one instead of its own; undefined: its own counts [MQTT-3.2.2-22]. */
  readonly serverKeepAliveSec: number | undefined;
  /** Longest silence; Infinity: no bound. */
  readonly silenceMs: number;
};

/** `askedSec`: the Keep Alive of CONNECT, 0 for none. */
export function agreeOnKeepAlive(version: Version, askedSec: number, options: MqttOptions): KeepAliveAgreement {
  const { maxKeepAliveSec, defaultKeepAliveSec, maxSilenceSec } = options;
  if (version !== 5) {
    // These cannot be told another keep-alive, so theirs holds.
    const silenceMs = askedSec > 0 ? silenceOf(askedSec) : maxSilenceSec > 0 ? maxSilenceSec * 1000 : Infinity;
    return { serverKeepAliveSec: undefined, silenceMs };
  }
  const wanted = askedSec > 0 ? askedSec : defaultKeepAliveSec;
  const bounded = maxKeepAliveSec > 0 && (wanted === 0 || wanted > maxKeepAliveSec) ? maxKeepAliveSec : wanted;
  return { serverKeepAliveSec: bounded === askedSec ? undefined : bounded, silenceMs: bounded === 0 ? Infinity : silenceOf(bounded) };
}

/** One and a half times the keep-alive [MQTT-3.1.2-22]. */
function silenceOf(keepAliveSec: number): number {
  return keepAliveSec * 1500;
}

export class KeepAlive {
  readonly #silenceMs: number;
  #heardMs: number;

  constructor(silenceMs: number, nowMs: number) {
    this.#silenceMs = silenceMs;
    this.#heardMs = nowMs;
  }

  /** A whole control packet came, or we could not have heard one. */
  heard(nowMs: number): void {
    this.#heardMs = nowMs;
  }

  /** When to look again; in the past or now: the client was silent for too long. */
  get deadlineMs(): number {
    return this.#heardMs + this.#silenceMs;
  }
}
