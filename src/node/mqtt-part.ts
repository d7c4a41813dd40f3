import { createMqttProtocol } from '../protocols/registry.ts';
import { changeInPlace } from './change-in-place.ts';
import { mqttOptions } from './options.ts';
import type { Part } from './part.ts';
import type { Rooms } from './rooms.ts';

export function mqttPart(rooms: Rooms): Part {
  const options = mqttOptions(rooms.config);
  return {
    name: 'mqtt',
    start() {
      const { broker, security, clock, random, log, traces: trace } = rooms;
      rooms.mqtt = createMqttProtocol({ broker, security, clock, random, log, options, trace });
    },
    stop() {},
    // Only what the configuration calls live has other values here.
    reload: (config) => changeInPlace(options, mqttOptions(config)),
  };
}
