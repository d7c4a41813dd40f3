// The protocols that a node can speak: one line each.

export { createAmqpProtocol } from './amqp/index.ts';
export { createMqttProtocol } from './mqtt/index.ts';
