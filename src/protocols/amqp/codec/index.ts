// The AMQP 1.0 codec: bytes to values, performatives, frames and sections of messages, and back. No state but FrameReader's and what
// OutgoingTransfer keeps. `[AMQP 2.7.5]` cites part 2, section 7.5 of the OASIS standard of 29 October 2012.

export * from './amqp-fault.ts';
export * from './amqp-value.ts';
export * from './coordination.ts';
export { type AmqpError, type AmqpOutcome, acceptedState, type DeliveryState, type Modified, type Received } from './delivery-state.ts';
export { type Rejected, releasedState, type TransactionalState } from './delivery-state.ts';
export { FormatCode, uint32 } from './format-code.ts';
export * from './frame-reader.ts';
export * from './frame-writer.ts';
export * from './message-header.ts';
export * from './message-properties.ts';
export * from './message-sections.ts';
export * from './outgoing-transfer.ts';
export { decodePerformative, performativeCode, writePerformative } from './performative-codec.ts';
export * from './performatives.ts';
export * from './repeated-bytes.ts';
export * from './sasl.ts';
export { type Coordinator, type ExpiryPolicy, type LifetimePolicy, lifetimePolicy, lifetimePolicyValue } from './terminus.ts';
export { type Source, type Target, TerminusDurability } from './terminus.ts';
export { isAscii, latin1Of } from './text.ts';
export * from './transfer-fields.ts';
export { decodeValue, ValueReader } from './value-reader.ts';
export { encodeValue, ValueWriter } from './value-writer.ts';
