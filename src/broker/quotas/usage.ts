// What a tenant, or one of its principals, uses at this moment, against its quotas. The books of a principal are part of its
// tenant's: whatever is counted here is counted there too. A principal has books of its own only while it has quotas.

import { noQuotas } from './quotas.ts';
import type { Quotas } from './quotas.ts';

/** What was refused or dropped because a quota was used up. */
export const quotaNames = ['connections', 'rate', 'queue', 'subscriptions', 'retained'] as const;
export type QuotaName = (typeof quotaNames)[number];

type RetainedUse = { readonly messages: number; readonly bytes: number };

export class Usage {
  /** The tenant's; undefined: this is the tenant's. */
  readonly parent: Usage | undefined;
  connections = 0;
  subscriptions = 0;
  queueMessages = 0;
  queueBytes = 0;
  /** By what, for this and all below it. */
  readonly refused: Record<QuotaName, number> | undefined;
  /** A rate is bounded, here or above: each publish must ask. */
  metered = false;
  /** Queues are bounded, here or above. */
  queueBounded = false;
  #quotas: Quotas = noQuotas;
  #messages = 0;
  #bytes = 0;
  #refilledMs = -Infinity;

  constructor(parent: Usage | undefined) {
    this.parent = parent;
    this.refused = parent === undefined ? { connections: 0, rate: 0, queue: 0, subscriptions: 0, retained: 0 } : undefined;
  }

  get quotas(): Quotas {
    return this.#quotas;
  }

  /** When a tenant's change, those of its principals must be set again. */
  set quotas(quotas: Quotas) {
    this.#quotas = quotas;
    const { parent } = this;
    this.metered = quotas.messagesPerSecond !== undefined || quotas.bytesPerSecond !== undefined || parent?.metered === true;
    this.queueBounded = quotas.queueMessages !== undefined || quotas.queueBytes !== undefined || parent?.queueBounded === true;
  }

  /** Counts what was refused in the tenant's books. */
  refuse(what: QuotaName): void {
    const of = this.parent ?? this;
    of.refused![what]++;
  }

  connected(by: 1 | -1): void {
    this.connections += by;
    if (this.parent !== undefined) this.parent.connections += by;
  }

  subscribed(by: 1 | -1): void {
    this.subscriptions += by;
    if (this.parent !== undefined) this.parent.subscriptions += by;
  }

  queued(messages: 1 | -1 | 0, bytes: number): void {
    this.queueMessages += messages;
    this.queueBytes += bytes;
    const { parent } = this;
    if (parent === undefined) return;
    parent.queueMessages += messages;
    parent.queueBytes += bytes;
  }

  /** Without the tenant's, like `queuedOwn`: what is there already changes its place. */
  moved(connections: number, subscriptions: number): void {
    this.connections += connections;
    this.subscriptions += subscriptions;
  }

  queuedOwn(messages: number, bytes: number): void {
    this.queueMessages += messages;
    this.queueBytes += bytes;
  }

  admitsConnection(): boolean {
    return this.connections < (this.#quotas.connections ?? Infinity) && (this.parent?.admitsConnection() ?? true);
  }

  admitsSubscription(): boolean {
    return this.subscriptions < (this.#quotas.subscriptions ?? Infinity) && (this.parent?.admitsSubscription() ?? true);
  }

  /** What there would be of retained messages, of all and of this principal, is within the quotas. */
  admitsRetained(all: RetainedUse, own: RetainedUse): boolean {
    const { retainedMessages = Infinity, retainedBytes = Infinity } = this.#quotas;
    const { messages, bytes } = this.parent === undefined ? all : own;
    return messages <= retainedMessages && bytes <= retainedBytes && (this.parent?.admitsRetained(all, own) ?? true);
  }

  /** There is room for so many more waiting messages of together so many bytes. */
  admitsQueued(messages: number, bytes: number): boolean {
    const { queueMessages = Infinity, queueBytes = Infinity } = this.#quotas;
    if (this.queueMessages + messages > queueMessages || this.queueBytes + bytes > queueBytes) return false;
    return this.parent?.admitsQueued(messages, bytes) ?? true;
  }

  /** One more message of this size now would not be above the rates. The size itself is not bounded: a large message uses up what comes. */
  admitsPublish(nowMs: number): boolean {
    this.#refill(nowMs);
    const { messagesPerSecond, bytesPerSecond } = this.#quotas;
    if (messagesPerSecond !== undefined && this.#messages < 1) return false;
    if (bytesPerSecond !== undefined && this.#bytes <= 0) return false;
    return this.parent?.admitsPublish(nowMs) ?? true;
  }

  /** A message is published, within the rates or above them. */
  published(bytes: number): void {
    this.#messages--;
    this.#bytes -= bytes;
    this.parent?.published(bytes);
  }

  /** How long until one more message is within the rates, after `admitsPublish`. */
  waitMs(): number {
    const { messagesPerSecond, bytesPerSecond } = this.#quotas;
    let waitMs = this.parent?.waitMs() ?? 0;
    if (messagesPerSecond !== undefined && this.#messages < 1) waitMs = Math.max(waitMs, ((1 - this.#messages) * 1000) / messagesPerSecond);
    if (bytesPerSecond !== undefined && this.#bytes <= 0) waitMs = Math.max(waitMs, ((1 - this.#bytes) * 1000) / bytesPerSecond);
    return waitMs;
  }

  /** It has used some of its own rates that has not come back yet. */
  isSpent(nowMs: number): boolean {
    this.#refill(nowMs);
    const { messagesPerSecond = 0, bytesPerSecond = 0 } = this.#quotas;
    return (messagesPerSecond > 0 && this.#messages < burstOf(messagesPerSecond)) || (bytesPerSecond > 0 && this.#bytes < bytesPerSecond);
  }

  #refill(nowMs: number): void {
    const { messagesPerSecond = 0, bytesPerSecond = 0 } = this.#quotas;
    const seconds = (nowMs - this.#refilledMs) / 1000;
    this.#refilledMs = nowMs;
    const burst = burstOf(messagesPerSecond);
    if (seconds === Infinity) {
      this.#messages = burst;
      this.#bytes = bytesPerSecond;
      return;
    }
    this.#messages = Math.min(burst, this.#messages + seconds * messagesPerSecond);
    this.#bytes = Math.min(bytesPerSecond, this.#bytes + seconds * bytesPerSecond);
  }
}

/** Less than one a second still lets one through, now and then. */
function burstOf(messagesPerSecond: number): number {
  return messagesPerSecond > 0 ? Math.max(1, messagesPerSecond) : 0;
}
