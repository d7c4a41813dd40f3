// What the resources are made of, and what is mounted beside them.

import type { Clock } from '../../../base/clock.ts';
import type { Log } from '../../../base/log.ts';
import type { Random } from '../../../base/random.ts';
import type { Timers } from '../../../base/timers.ts';
import type { BrokerPort } from '../../../broker/port.ts';
import type { Security } from '../../../security/security.ts';
import type { RequestHandler } from '../exchange.ts';
import type { ResourceOptions } from './options.ts';

/** A resource, and all below it, that somebody else answers. It is asked without a session: who may ask is its own affair. */
export type Mount = {
  /** `['.well-known', 'est']` */
  readonly path: readonly string[];
  readonly handler: RequestHandler;
  /** What `/.well-known/core` says of it, in link format (RFC 6690); absent: nothing. */
  readonly links?: string;
};

export type ResourceParts = {
  readonly broker: BrokerPort;
  readonly security: Security;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** On the monotonic clock. */
  readonly timers: Pick<Timers, 'at' | 'cancel'>;
  /** Runs a task soon, when nobody is in the middle of anything. */
  later(task: () => void): void;
  readonly options: ResourceOptions;
  readonly mounts?: readonly Mount[];
};
