// The protocols that a node can speak: one line each.

export { amqpKind as amqp } from './amqp/index.ts';
export { coapKind as coap } from './coap/index.ts';
export { mqttKind as mqtt } from './mqtt/index.ts';
export { httpKind as http } from './http/index.ts';
export { stompKind as stomp } from './stomp/index.ts';
