// What the checks of AMQP need of a broker.

import type { Endpoint, Target } from '../target.ts';

export type AmqpTarget = Target & { readonly amqp: Endpoint };
