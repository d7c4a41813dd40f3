// What all peers and connections of CoAP share below the layers.

import type { Clock } from '../../../base/clock.ts';
import type { Random } from '../../../base/random.ts';
import type { Trace } from '../../trace.ts';
import { OptionNumber, optionFacts } from '../codec/index.ts';
import type { Counters } from '../counters.ts';
import type { RequestHandler } from '../exchange.ts';
import type { TransportOptions } from '../transport-options.ts';
import { ReceivedMessages } from './received-messages.ts';

export type TransportParts = {
  readonly clock: Clock;
  readonly random: Random;
  readonly options: TransportOptions;
  readonly counters: Counters;
  readonly trace: Trace;
  /** The layer above. */
  readonly handler: RequestHandler;
  /** Called once, before the first peer is closed because the node goes down. */
  readonly goingDown?: (() => void) | undefined;
};

export class Transport {
  readonly clock: Clock;
  readonly random: Random;
  readonly options: TransportOptions;
  readonly counters: Counters;
  readonly trace: Trace;
  readonly handler: RequestHandler;
  readonly received: ReceivedMessages;
  #goingDown: (() => void) | undefined;

  constructor({ clock, random, options, counters, trace, handler, goingDown }: TransportParts) {
    this.#goingDown = goingDown;
    this.clock = clock;
    this.random = random;
    this.options = options;
    this.counters = counters;
    this.trace = trace;
    this.handler = handler;
    this.received = new ReceivedMessages(clock, counters, options);
  }

  /** The node goes down. */
  tellGoingDown(): void {
    const task = this.#goingDown;
    this.#goingDown = undefined;
    task?.();
  }
}

/** Blocks without acknowledgements: asked for by peers over UDP and DTLS, never by us. */
const qBlock: ReadonlySet<number> = new Set([OptionNumber.qBlock1, OptionNumber.qBlock2]);

/** Critical options that some layer understands. Each layer looks at its own; what is wrong with them it says itself. */
export function isUnderstood(number: number): boolean {
  // EDHOC (RFC 9668) is of the registry, and not served here.
  return optionFacts(number) !== undefined && number !== OptionNumber.edhoc && !qBlock.has(number);
}

/** The same in requests over UDP and DTLS: Q-Block, too (RFC 9177). */
export function isUnderstoodInDatagrams(number: number): boolean {
  return qBlock.has(number) || isUnderstood(number);
}
