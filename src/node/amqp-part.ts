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
      rooms.amqp = createAmqpProtocol({ broker, security, clock, random, log, turn, options, accepts, trace, product });
    },
    stop() {},
    // Only what the configuration calls live has other values here.
    reload: (config) => changeInPlace(options, amqpOptions(config)),
  };
}
