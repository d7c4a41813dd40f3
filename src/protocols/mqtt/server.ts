// What all connections of the MQTT server share.

import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { BrokerPort } from '../../broker/port.ts';
import type { Security } from '../../security/security.ts';
import { noTrace, type Trace } from '../trace.ts';
import { AckFields, PublishFields } from './codec/index.ts';
import { Counters } from './counters.ts';
import { checkMqttOptions, type MqttOptions } from './options.ts';

export type MqttServerParts = {
  readonly broker: BrokerPort;
  readonly security: Security;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly options: MqttOptions;
  readonly trace?: Trace;
};

export class MqttServer {
  readonly broker: BrokerPort;
  readonly security: Security;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly options: MqttOptions;
  readonly trace: Trace;
  readonly counters = new Counters();
  /** Decoded into and read again before anything else is decoded: one for all connections. */
  readonly publishFields = new PublishFields('client');
  readonly ackFields = new AckFields();

  /** @throws UserError when the options do not fit together */
  constructor(parts: MqttServerParts) {
    checkMqttOptions(parts.options);
    this.broker = parts.broker;
    this.security = parts.security;
    this.clock = parts.clock;
    this.random = parts.random;
    this.log = parts.log;
    this.options = parts.options;
    this.trace = parts.trace ?? noTrace;
  }
}
