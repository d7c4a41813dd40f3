// What all connections of the AMQP server share.

import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { BrokerPort } from '../../broker/port.ts';
import type { Method, Security } from '../../security/security.ts';
import { DispositionFields, FlowFields, TransferFields } from './codec/index.ts';
import { Counters } from './counters.ts';
import type { ManagementDesk } from '../management-desk.ts';
import { noTrace, type Trace } from '../trace.ts';
import { CbsNode } from './nodes/cbs-node.ts';
import { ManagementNode } from './nodes/management-node.ts';
import type { NodeHandlers } from './nodes/service-nodes.ts';
import { checkAmqpOptions, type AmqpOptions } from './options.ts';

/** The turn of the event loop, as the broker knows it. */
export type Turn = {
  /** Runs `task` once when the current turn ends, before outputs are flushed. */
  atEnd(task: () => void): void;
};

/** Told to peers that want to know whom they talk to. */
export type Product = { readonly name: string; readonly version: string; readonly platform?: string };

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
  readonly product?: Product;
  /** What `$management` does it with; absent: nothing can be managed there. */
  readonly desk?: ManagementDesk;
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
  readonly product: Product;
  readonly counters = new Counters();
  /** What answers at the broker's own nodes. */
  readonly nodes: NodeHandlers;
  /** Decoded into and read again before anything else is decoded: one for all connections. */
  readonly transferFields = new TransferFields();
  readonly dispositionFields = new DispositionFields();
  readonly flowFields = new FlowFields();
  /** Container ids, within their tenants, of connections that asked to be the only ones (open-terms.ts). */
  readonly soleContainers = new Set<string>();
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
    this.nodes = { $management: new ManagementNode(parts.desk), $cbs: new CbsNode() };
    this.product = parts.product ?? { name: 'Heliograph', version: '' };
  }
}
