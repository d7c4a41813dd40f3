// What is sent to a coordinator of transactions, as the amqp-value body of a message [AMQP 4.5.2] [AMQP 4.5.3].

import type { AmqpFault } from './amqp-fault.ts';
import type { AmqpValue } from './amqp-value.ts';
import {
  anyField,
  binaryField,
  booleanField,
  type Composite,
  composite,
  compositeSet,
  mandatory,
  readOneOf,
  writeOneOf,
} from './composite.ts';
import { ValueReader } from './value-reader.ts';
import type { ValueWriter } from './value-writer.ts';

export type Declare = {
  readonly type: 'declare';
  /** Of a distributed transaction. */
  readonly globalId?: AmqpValue | undefined;
};

export type Discharge = {
  readonly type: 'discharge';
  readonly txnId: Uint8Array;
  /** True: roll back. */
  readonly fail?: boolean | undefined;
};

const declare = composite<Declare>('declare', 0x31, { globalId: anyField });
const discharge = composite<Discharge>('discharge', 0x32, { txnId: mandatory(binaryField), fail: booleanField });

const requests = compositeSet<Declare | Discharge>(...([declare, discharge] as Composite<Declare | Discharge>[]));

/** The value of the amqp-value section of a message to the coordinator: `MessageSections.bodyStart` to `bodyEnd`. */
export function decodeCoordination(bytes: Uint8Array, start: number, end: number): Declare | Discharge | AmqpFault {
  const reader = new ValueReader(bytes, start, end);
  const request = readOneOf(reader, requests, 'declare or discharge');
  reader.finish(request.type);
  return reader.fault ?? request;
}

export function writeCoordination(writer: ValueWriter, request: Declare | Discharge): void {
  writeOneOf(writer, requests, request);
}
