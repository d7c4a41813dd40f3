// Requests to the broker's own nodes and their answers, as AMQP messages: what is asked stands in the application properties, what
// comes of it in `statusCode` and `statusDescription` of the answer. Azure's clients look for them under names with a hyphen.

import {
  type AmqpEntry,
  AmqpFault,
  type AmqpMessageId,
  type AmqpValue,
  decodeFault,
  decodeMap,
  decodeProperties,
  decodeValue,
  MessageSections,
  nullValue,
  scanMessage,
  SectionCode,
  stringValue,
  ValueWriter,
  writeMapSection,
  writePropertiesSection,
} from '../codec/index.ts';

export type NodeRequest = {
  /** Application properties. */
  readonly properties: ReadonlyMap<string, AmqpValue>;
  /** The value of the body; a data section is binary. */
  readonly body: AmqpValue;
  readonly messageId: AmqpMessageId | undefined;
  readonly correlationId: AmqpMessageId | undefined;
  readonly replyTo: string | undefined;
};

export type NodeAnswer = {
  /** As in HTTP. */
  readonly status: number;
  readonly description: string;
  /** More application properties. */
  readonly properties?: Readonly<Record<string, AmqpValue>>;
  readonly body?: AmqpValue;
};

const sections = new MessageSections();
const writer = new ValueWriter();

/** Keys of maps in answers are strings. */
export function mapOf(entries: Readonly<Record<string, AmqpValue>>): AmqpValue {
  return { type: 'map', value: Object.entries(entries).map(([key, value]): AmqpEntry => [stringValue(key), value]) };
}

export function listOf(values: readonly AmqpValue[]): AmqpValue {
  return { type: 'list', value: values };
}

export function intOf(value: number): AmqpValue {
  return { type: 'int', value };
}

/** The text of a string or symbol. */
export function textOf(value: AmqpValue | undefined): string | undefined {
  return value?.type === 'string' || value?.type === 'symbol' ? value.value : undefined;
}

/** A whole number of any width. */
export function numberOf(value: AmqpValue | undefined): number | undefined {
  if (typeof value?.value === 'number' && Number.isInteger(value.value)) return value.value;
  return typeof value?.value === 'bigint' && value.value <= Number.MAX_SAFE_INTEGER ? Number(value.value) : undefined;
}

export function readRequest(bytes: Uint8Array): NodeRequest | AmqpFault {
  const fault = scanMessage(bytes, 0, bytes.length, sections);
  if (fault !== undefined) return fault;
  const { propertiesStart, propertiesEnd, applicationPropertiesStart, applicationPropertiesEnd, bodyKind, bodyStart, bodyEnd } = sections;
  const properties = propertiesStart < 0 ? undefined : decodeProperties(bytes, propertiesStart, propertiesEnd);
  if (properties instanceof AmqpFault) return properties;
  const entries = applicationPropertiesStart < 0 ? [] : decodeMap(bytes, applicationPropertiesStart, applicationPropertiesEnd);
  if (entries instanceof AmqpFault) return entries;
  const byName = new Map<string, AmqpValue>();
  for (const [key, value] of entries) {
    if (typeof key.value !== 'string') return decodeFault('a key of the application properties is no string');
    byName.set(key.value, value);
  }
  const body = bodyKind === SectionCode.value || bodyKind === SectionCode.data ? decodeValue(bytes, bodyStart, bodyEnd) : nullValue;
  if (body instanceof AmqpFault) return body;
  const { messageId, correlationId, replyTo } = properties ?? {};
  return { properties: byName, body, messageId, correlationId, replyTo };
}

export function writeAnswer(request: NodeRequest, answer: NodeAnswer): Uint8Array {
  const status = intOf(answer.status);
  const description = stringValue(answer.description);
  const correlationId = request.correlationId ?? request.messageId;
  writer.reset();
  writePropertiesSection(writer, { type: 'properties', to: request.replyTo, correlationId });
  writeMapSection(writer, SectionCode.applicationProperties, [
    [stringValue('statusCode'), status],
    [stringValue('statusDescription'), description],
    [stringValue('status-code'), status],
    [stringValue('status-description'), description],
    ...Object.entries(answer.properties ?? {}).map(([key, value]): AmqpEntry => [stringValue(key), value]),
  ]);
  writer.descriptor(SectionCode.value);
  writer.value(answer.body ?? nullValue);
  return writer.copy();
}
