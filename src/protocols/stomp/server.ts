// What all connections of the STOMP server share.

import type { ProtocolParts } from '../protocol-kind.ts';
import { Counters } from './counters.ts';
import type { StompOptions } from './options.ts';

export type StompServerParts = Pick<ProtocolParts, 'broker' | 'security' | 'clock' | 'random' | 'log' | 'turn' | 'trace' | 'product'>;

export class StompServer {
  readonly parts: StompServerParts;
  readonly options: StompOptions;
  readonly counters = new Counters();
  /** Makes the names of connections' broker sessions different. */
  nextSerial = 1;

  constructor(parts: StompServerParts, options: StompOptions) {
    this.parts = parts;
    this.options = options;
  }
}
