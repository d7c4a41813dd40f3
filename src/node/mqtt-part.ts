import { createMqttProtocol } from '../protocols/registry.ts';
import { mqttOptions } from './options.ts';
import type { Part } from './part.ts';
import type { Rooms } from './rooms.ts';

export function mqttPart(rooms: Rooms): Part {
  return {
    name: 'mqtt',
    start() {
      const { broker, security, clock, random, log, config, traces: trace } = rooms;
      rooms.mqtt = createMqttProtocol({ broker, security, clock, random, log, options: mqttOptions(config), trace });
    },
    stop() {},
  };
}
