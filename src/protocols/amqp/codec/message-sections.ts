// Where the sections of a message lie [AMQP 3.2], without looking into them.

import { AmqpFault, Condition, decodeFault } from './amqp-fault.ts';
import { dataEnd, FormatCode, skipValue, uint32 } from './format-code.ts';
import { ValueReader } from './value-reader.ts';

/** Descriptors of the sections. */
export const SectionCode = {
  header: 0x70,
  deliveryAnnotations: 0x71,
  messageAnnotations: 0x72,
  properties: 0x73,
  applicationProperties: 0x74,
  data: 0x75,
  sequence: 0x76,
  value: 0x77,
  footer: 0x78,
} as const;

/** Ranges of one message, to be used again and again. A section that is absent has the start -1. `…Start` is its value, behind the descriptor. */
export class MessageSections {
  headerStart = -1;
  headerEnd = -1;
  deliveryAnnotationsStart = -1;
  deliveryAnnotationsEnd = -1;
  messageAnnotationsStart = -1;
  messageAnnotationsEnd = -1;
  propertiesStart = -1;
  propertiesEnd = -1;
  applicationPropertiesStart = -1;
  applicationPropertiesEnd = -1;
  /** SectionCode data, sequence or value; 0: there is no body. */
  bodyKind = 0;
  /** Sections of the body: several only of data and sequence. */
  bodyCount = 0;
  /** The value of the first section of the body; of a data section including its constructor and size. */
  bodyStart = -1;
  bodyEnd = -1;
  /** The bytes in the first data section. */
  dataStart = -1;
  dataEnd = -1;
  /** All sections of the body with their descriptors. */
  bodySectionsStart = -1;
  bodySectionsEnd = -1;
  footerStart = -1;
  footerEnd = -1;
  /** The bare message: properties, application properties and body with their descriptors [AMQP 3.2]. Empty if there are none. */
  bareStart = -1;
  bareEnd = -1;
  /** Where the first section behind header and delivery annotations begins: from here to the end a message goes on as it came. */
  keptStart = -1;
  end = -1;
}

const nameOf: Readonly<Record<number, string>> = {
  [SectionCode.header]: 'header',
  [SectionCode.deliveryAnnotations]: 'delivery-annotations',
  [SectionCode.messageAnnotations]: 'message-annotations',
  [SectionCode.properties]: 'properties',
  [SectionCode.applicationProperties]: 'application-properties',
  [SectionCode.data]: 'data',
  [SectionCode.sequence]: 'amqp-sequence',
  [SectionCode.value]: 'amqp-value',
  [SectionCode.footer]: 'footer',
};

const symbols: ReadonlyMap<string, number> = new Map([
  ['amqp:header:list', SectionCode.header],
  ['amqp:delivery-annotations:map', SectionCode.deliveryAnnotations],
  ['amqp:message-annotations:map', SectionCode.messageAnnotations],
  ['amqp:properties:list', SectionCode.properties],
  ['amqp:application-properties:map', SectionCode.applicationProperties],
  ['amqp:data:binary', SectionCode.data],
  ['amqp:amqp-sequence:list', SectionCode.sequence],
  ['amqp:amqp-value:*', SectionCode.value],
  ['amqp:footer:map', SectionCode.footer],
]);

/** Finds the sections of the message `bytes[start..end)`. After a fault `into` holds nothing of use. A message may have no body. */
export function scanMessage(bytes: Uint8Array, start: number, end: number, into: MessageSections): AmqpFault | undefined {
  clear(into);
  into.end = end;
  let last = 0;
  for (let at = start; at < end;) {
    const sectionStart = at;
    let code = -1;
    if (end - at >= 4 && bytes[at] === FormatCode.described && bytes[at + 1] === FormatCode.smallulong) {
      code = bytes[at + 2]!;
      at += 3;
    } else {
      const reader = rareReader.reset(bytes, at, end);
      code = reader.descriptor(symbols);
      if (reader.fault !== undefined) return reader.fault;
      at = reader.at;
    }
    const valueStart = at;
    at = skipValue(bytes, at, end);
    if (at < 0) return decodeFault('the message ends within a section');
    // [AMQP 3.2] Sections come in the order of their descriptors; only those of data and sequence repeat.
    if (code < SectionCode.header || code > SectionCode.footer) return new AmqpFault(Condition.decodeError, 'an unknown section');
    const repeats = code === last && (code === SectionCode.data || code === SectionCode.sequence);
    if (code <= last && !repeats) return decodeFault('sections in a wrong order');
    if (last >= SectionCode.data && code > last && code <= SectionCode.value) return decodeFault('a body of two kinds');
    last = code;
    const fault = takeSection(bytes, code, sectionStart, valueStart, at, into);
    if (fault !== undefined) return fault;
  }
  if (into.keptStart < 0) into.keptStart = end;
  return undefined;
}

const rareReader = new ValueReader();

function takeSection(
  bytes: Uint8Array,
  code: number,
  sectionStart: number,
  valueStart: number,
  end: number,
  into: MessageSections,
): AmqpFault | undefined {
  const constructor = bytes[valueStart]!;
  if (!fits(code, constructor)) return decodeFault(`${nameOf[code]} is of another type`);
  if (code >= SectionCode.messageAnnotations && into.keptStart < 0) into.keptStart = sectionStart;
  if (code >= SectionCode.properties && code <= SectionCode.value) {
    if (into.bareStart < 0) into.bareStart = sectionStart;
    into.bareEnd = end;
  }
  switch (code) {
    case SectionCode.header:
      into.headerStart = valueStart;
      into.headerEnd = end;
      break;
    case SectionCode.deliveryAnnotations:
      into.deliveryAnnotationsStart = valueStart;
      into.deliveryAnnotationsEnd = end;
      break;
    case SectionCode.messageAnnotations:
      into.messageAnnotationsStart = valueStart;
      into.messageAnnotationsEnd = end;
      break;
    case SectionCode.properties:
      into.propertiesStart = valueStart;
      into.propertiesEnd = end;
      break;
    case SectionCode.applicationProperties:
      into.applicationPropertiesStart = valueStart;
      into.applicationPropertiesEnd = end;
      break;
    case SectionCode.footer:
      into.footerStart = valueStart;
      into.footerEnd = end;
      break;
    default:
      takeBody(constructor, code, sectionStart, valueStart, end, into);
  }
  return undefined;
}

function takeBody(constructor: number, code: number, sectionStart: number, valueStart: number, end: number, into: MessageSections): void {
  into.bodySectionsEnd = end;
  if (into.bodyCount++ > 0) return;
  into.bodyKind = code;
  into.bodyStart = valueStart;
  into.bodyEnd = end;
  into.bodySectionsStart = sectionStart;
  if (code === SectionCode.data) {
    into.dataStart = valueStart + (constructor === FormatCode.vbin8 ? 2 : 5);
    into.dataEnd = end;
  }
}

/** Whether a section may have this constructor: lists, maps, binaries and sequences are what their names say, a value is anything. */
function fits(code: number, constructor: number): boolean {
  switch (code) {
    case SectionCode.header:
    case SectionCode.properties:
    case SectionCode.sequence:
      return constructor === FormatCode.list8 || constructor === FormatCode.list32 || constructor === FormatCode.list0;
    case SectionCode.data:
      return constructor === FormatCode.vbin8 || constructor === FormatCode.vbin32;
    case SectionCode.value:
      return true;
    default:
      return constructor === FormatCode.map8 || constructor === FormatCode.map32;
  }
}

function clear(into: MessageSections): void {
  into.headerStart = into.headerEnd = -1;
  into.deliveryAnnotationsStart = into.deliveryAnnotationsEnd = -1;
  into.messageAnnotationsStart = into.messageAnnotationsEnd = -1;
  into.propertiesStart = into.propertiesEnd = -1;
  into.applicationPropertiesStart = into.applicationPropertiesEnd = -1;
  into.bodyKind = into.bodyCount = 0;
  into.bodyStart = into.bodyEnd = into.dataStart = into.dataEnd = -1;
  into.bodySectionsStart = into.bodySectionsEnd = -1;
  into.footerStart = into.footerEnd = into.bareStart = into.bareEnd = into.keptStart = -1;
}

/** Calls `take` with the bytes of each data section of a body that `scanMessage` has found to be of this kind. */
export function eachDataSection(bytes: Uint8Array, sections: MessageSections, take: (start: number, end: number) => void): void {
  for (let at = sections.bodySectionsStart; at < sections.bodySectionsEnd;) {
    const valueStart = skipValue(bytes, at + 1, sections.bodySectionsEnd);
    const constructor = bytes[valueStart]!;
    at = dataEnd(constructor, bytes, valueStart + 1, sections.bodySectionsEnd);
    const narrow = constructor === FormatCode.vbin8;
    const length = narrow ? bytes[valueStart + 1]! : uint32(bytes, valueStart + 1);
    take(at - length, at);
  }
}
