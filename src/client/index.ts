// The door of this room: an MQTT client for the command line, tests and load.

export { ClientError, type ClientErrorCode } from './client-error.ts';
export { endpointOf, endpointText, parseEndpoint, type Endpoint, type EndpointUrl, type Transport } from './endpoint.ts';
export type { IncomingMessage } from './incoming-messages.ts';
export { MqttClient } from './mqtt-client.ts';
export { defaultReconnect, type ClientOptions, type Reconnect, type Welcome } from './options.ts';
export type { OutgoingMessage } from './outgoing-messages.ts';
export type { SubscriptionRequest } from './subscriptions.ts';
export type { TlsSettings } from './wire.ts';
