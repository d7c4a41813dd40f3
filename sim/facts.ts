// What clients saw, for the checkers: who sent what, what was acknowledged, who got what.

import type { Qos, Version } from '../src/protocols/mqtt/codec/index.ts';

export type SentMessage = {
  readonly key: string;
  readonly publisher: string;
  readonly topic: string;
  readonly sequence: number;
  readonly qos: Qos;
  readonly retain: boolean;
  /** Simulated time of the first attempt. */
  readonly sentAtMs: number;
  /** When the node acknowledged it positively (PUBACK, or PUBREC). */
  acknowledgedAtMs: number | undefined;
  /** How often it was sent. */
  attempts: number;
  /** The node refused it. */
  refused: boolean;
  /** What selectors may ask for. */
  readonly color?: string;
  /** Wall clock: not to be delivered before. */
  readonly dueAtMs?: number;
  /** It was sent by datagrams of which nobody knows whether they arrive: they overtake each other. */
  readonly isUnordered?: true;
  /** Those of one message group go to one consumer at a time. */
  readonly messageGroup?: string;
};

/** Messages that were published in one transaction. */
export type TransactionFacts = {
  readonly keys: string[];
  /** `unknown`: its publisher lost its connection after it had asked for the commit. */
  fate: 'committed' | 'rolledBack' | 'unknown';
};

export type Received = {
  readonly key: string;
  readonly topic: string;
  readonly qos: Qos;
  readonly dup: boolean;
  readonly connection: number;
  readonly atMs: number;
  /** Wall clock. */
  readonly wallMs?: number;
};

export type SubscriberFacts = {
  readonly clientId: string;
  readonly version: Version;
  readonly filter: string;
  readonly qos: Qos;
  readonly durable: boolean;
  /** Member of this shared group. */
  readonly group: string | undefined;
  /** What it subscribes to, when that is not the topics it gets. */
  readonly subscribeAs?: string;
  /** It asks for messages of this color only. */
  readonly color?: string;
  /** It gives some back, and so gets them out of order. */
  readonly moody?: boolean;
  /** When it lost the right to its topics, for good. */
  cutAtMs?: number;
  /** When the subscription was acknowledged. */
  subscribedAtMs: number | undefined;
  /** What the application got, without retained messages: for QoS 2 after the exchange has weeded out repetitions. */
  readonly received: Received[];
};

export class Facts {
  readonly sent = new Map<string, SentMessage>();
  readonly subscribers: SubscriberFacts[] = [];
  readonly transactions: TransactionFacts[] = [];
  /** The wall clock was set: nobody can say when something was due. */
  clockJumped = false;
  /** What clients found wrong by themselves. */
  readonly complaints: string[] = [];

  complain(text: string): void {
    if (this.complaints.length < 20) this.complaints.push(text);
  }
}
