// The protocols that a node can speak: one line each.

export { createMqttProtocol } from './mqtt/index.ts';
