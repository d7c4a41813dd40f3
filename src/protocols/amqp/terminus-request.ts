// A terminus as the peer has written it, with the defaults of the specification.

import type { TerminusRequest } from './address.ts';
import type { Source, Target } from './codec/index.ts';

/** [AMQP 3.5.3] [AMQP 3.5.4] */
export function terminusRequest(terminus: Source | Target): TerminusRequest {
  const { address, dynamic, capabilities, durable, expiryPolicy, timeout } = terminus;
  return {
    address,
    dynamic: dynamic === true,
    capabilities: capabilities ?? [],
    durable: durable ?? 0,
    expiryPolicy: expiryPolicy ?? 'session-end',
    timeoutSeconds: timeout ?? 0,
    distributionMode: terminus.type === 'source' ? terminus.distributionMode : undefined,
  };
}
