// Everything that speaks AMQP 1.0.

import { amqpProgramChecks } from './programs.ts';
import { rheaChecks } from './rhea.ts';

import type { Checks } from '../checks.ts';
import type { AmqpTarget } from './amqp-target.ts';

export async function amqpChecks(checks: Checks, target: AmqpTarget): Promise<void> {
  await rheaChecks(checks, target);
  await amqpProgramChecks(checks, target);
}
