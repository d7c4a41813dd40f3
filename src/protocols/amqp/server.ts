// What all connections of the AMQP server share.

import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { BrokerPort } from '../../broker/port.ts';
import type { Method, Security } from '../../security/security.ts';
import { Counters } from './counters.ts';
import { checkAmqpOptions, type AmqpOptions } from './options.ts';
import { noTrace, type Trace } from './trace.ts';

/** The turn of the event loop, as the broker knows it. */
export type Turn = {
  /** Runs `task` once when the current turn ends, before outputs are flushed. */
  atEnd(task: () => void): void;
};

export type AmqpServerParts = {
  readonly broker: BrokerPort;
  readonly security: Security;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly turn: Turn;
  readonly options: AmqpOptions;
  /**
   * By what peers of a listener may prove who they are now; `anonymous` only where somebody is welcome who shows nothing. SASL
   * mechanisms are offered by it.
   */
  readonly accepts: (listener: string) => readonly Method[];
  readonly trace?: Trace;
  /** For the open performative. */
  readonly product?: { readonly name: string; readonly version: string };
};

export class AmqpServer {
  readonly broker: BrokerPort;
  readonly security: Security;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly turn: Turn;
  readonly options: AmqpOptions;
  readonly accepts: (listener: string) => readonly Method[];
  readonly trace: Trace;
  readonly product: { readonly name: string; readonly version: string };
  readonly counters = new Counters();
  /** Makes the names of connections' broker sessions different. */
  nextSerial = 1;

  /** @throws UserError when the options do not fit together */
  constructor(parts: AmqpServerParts) {
    checkAmqpOptions(parts.options);
    this.broker = parts.broker;
    this.security = parts.security;
    this.clock = parts.clock;
    this.random = parts.random;
    this.log = parts.log;
    this.turn = parts.turn;
    this.options = parts.options;
    this.accepts = parts.accepts;
    this.trace = parts.trace ?? noTrace;
    this.product = parts.product ?? { name: 'Heliograph', version: '' };
  }
}
