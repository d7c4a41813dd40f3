// Whether the conditions of a statement are met. Three answers: met, not met, and "cannot be known", because the principal is not
// connected, or because nothing here can tell yet whether a payload is signed or encrypted.
//
// What cannot be known works against whoever asks: an allow does not hold, a deny does.

import type { Access } from '../security.ts';
import { addressBytes, isInNetwork, parseNetwork } from './network.ts';
import type { Network } from './network.ts';
import type { Conditions } from './policy-document.ts';
import { TimeWindow } from './time-window.ts';

export type ConditionName = keyof Conditions;

/** Undefined: met. */
export type Unmet = { readonly state: 'not-met' | 'unknown'; readonly condition: ConditionName } | undefined;

/** A condition of the connection: true, false, or undefined when it cannot be known. */
type Check = { readonly condition: ConditionName; readonly isMet: (access: Access, nowMs: number) => boolean | undefined };

export class CompiledConditions {
  readonly window: TimeWindow | undefined;
  readonly #checks: readonly Check[];
  readonly #asksPayload: boolean;
  readonly #minGuarantee: number;
  readonly #maxGuarantee: number;
  readonly #maxPayloadBytes: number;
  /** Something is asked of the message that a message can tell. */
  readonly asksMessage: boolean;

  constructor(conditions: Conditions) {
    const { listeners, networks, time, secure, methods, guarantee, maxPayloadBytes, payload } = conditions;
    const checks: Check[] = [];
    if (listeners) checks.push({ condition: 'listeners', isMet: ({ listener }) => listeners.includes(listener) });
    if (networks) {
      const parsed = networks.map((network) => parseNetwork(network)!);
      checks.push({ condition: 'networks', isMet: ({ remoteAddress }) => isInOne(remoteAddress, parsed) });
    }
    if (secure !== undefined) checks.push({ condition: 'secure', isMet: (access) => access.secure === secure });
    if (methods) checks.push({ condition: 'methods', isMet: ({ method }) => methods.includes(method) });
    this.#checks = checks;
    this.window = time && new TimeWindow(time);
    this.#asksPayload = payload !== undefined;
    this.#minGuarantee = guarantee?.min ?? 0;
    this.#maxGuarantee = guarantee?.max ?? 2;
    this.#maxPayloadBytes = maxPayloadBytes ?? Infinity;
    this.asksMessage = guarantee !== undefined || maxPayloadBytes !== undefined;
  }

  /** All but what is asked of the message. One that is not met decides, whatever cannot be known besides. */
  unmet(access: Access | undefined, nowMs: number): Unmet {
    if (this.window?.holds(nowMs) === false) return { state: 'not-met', condition: 'time' };
    let unknown: Unmet = this.#asksPayload ? { state: 'unknown', condition: 'payload' } : undefined;
    for (const { condition, isMet } of this.#checks) {
      const met = access === undefined ? undefined : isMet(access, nowMs);
      if (met === false) return { state: 'not-met', condition };
      if (met === undefined) unknown = { state: 'unknown', condition };
    }
    return unknown;
  }

  meetsMessage(guarantee: number, payloadBytes: number): boolean {
    return guarantee >= this.#minGuarantee && guarantee <= this.#maxGuarantee && payloadBytes <= this.#maxPayloadBytes;
  }

  /** The condition that the message does not meet. */
  unmetByMessage(guarantee: number, payloadBytes: number): ConditionName | undefined {
    if (guarantee < this.#minGuarantee || guarantee > this.#maxGuarantee) return 'guarantee';
    return payloadBytes > this.#maxPayloadBytes ? 'maxPayloadBytes' : undefined;
  }
}

function isInOne(remoteAddress: string, networks: readonly Network[]): boolean | undefined {
  const address = addressBytes(remoteAddress);
  return address && networks.some((network) => isInNetwork(address, network));
}
