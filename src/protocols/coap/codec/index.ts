// The codec of CoAP: bytes in, messages out, and back. Pure.

export * from './codes.ts';
export * from './content-formats.ts';
export { maxTokenBytes } from './message-body.ts';
export * from './message.ts';
export * from './option-values.ts';
export * from './options.ts';
export { ownBytes } from './own-bytes.ts';
export * from './signals.ts';
export * from './stream.ts';
export * from './udp.ts';
export * from './uri.ts';
