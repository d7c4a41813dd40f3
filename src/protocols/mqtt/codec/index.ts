// The MQTT codec: bytes to packets and back, for 3.1, 3.1.1 and 5.0, both sides. No state but FrameReader's.

export * from './acks.ts';
export * from './any-packet.ts';
export * from './connect.ts';
export * from './decode-error.ts';
export * from './decode.ts';
export * from './encode.ts';
export * from './first-bytes.ts';
export * from './frame-reader.ts';
export * from './packets.ts';
export * from './publish-decode.ts';
export * from './publish-encode.ts';
export * from './reason-codes.ts';
export * from './utf8.ts';
