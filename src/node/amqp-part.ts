import type { ManagementDesk } from '../protocols/amqp/index.ts';
import { createAmqpProtocol } from '../protocols/registry.ts';
import { changeInPlace } from './change-in-place.ts';
import { amqpOptions } from './options.ts';
import type { Part } from './part.ts';
import type { Rooms } from './rooms.ts';
import { packageVersion } from './version.ts';

export function amqpPart(rooms: Rooms): Part {
  const options = amqpOptions(rooms.config);
  return {
    name: 'amqp',
    start() {
      const { broker, security, clock, random, log, loop: turn, traces: trace } = rooms;
      const accepts = (listener: string) => security.accepts(listener);
      const product = { name: 'Heliograph', version: packageVersion() };
      rooms.amqp = createAmqpProtocol({
        broker,
        security,
        clock,
        random,
        log,
        turn,
        options,
        accepts,
        trace,
        product,
        desk: deskOf(rooms),
      });
    },
    stop() {},
    // Only what the configuration calls live has other values here.
    reload: (config) => changeInPlace(options, amqpOptions(config)),
  };
}

/** What is managed by AMQP is in the audit log, as what is managed otherwise. */
function deskOf({ broker, audit }: Rooms): ManagementDesk {
  return {
    management: broker.management,
    record({ principal, action, target, from, outcome }) {
      const { tenant, id, access } = principal;
      audit.record({ actor: { kind: 'principal', tenant, id, ...(access && { method: access.method }) }, action, target, from, outcome });
    },
  };
}
