// Frames of the security layer [AMQP 5.3.3].

import { AmqpFault, Condition } from './amqp-fault.ts';
import {
  binaryField,
  choiceField,
  type Composite,
  composite,
  compositeSet,
  mandatory,
  readComposite,
  stringField,
  symbolField,
  symbolsField,
  ubyteField,
  writeOneOf,
} from './composite.ts';
import { ValueReader } from './value-reader.ts';
import type { ValueWriter } from './value-writer.ts';

/** [AMQP 5.3.3.6] */
export const SaslCode = { ok: 0, auth: 1, sys: 2, sysPerm: 3, sysTemp: 4 } as const;
export type SaslCode = (typeof SaslCode)[keyof typeof SaslCode];

export type SaslMechanisms = { readonly type: 'sasl-mechanisms'; readonly saslServerMechanisms: readonly string[] };
export type SaslInit = {
  readonly type: 'sasl-init';
  readonly mechanism: string;
  readonly initialResponse?: Uint8Array | undefined;
  readonly hostname?: string | undefined;
};
export type SaslChallenge = { readonly type: 'sasl-challenge'; readonly challenge: Uint8Array };
export type SaslResponse = { readonly type: 'sasl-response'; readonly response: Uint8Array };
export type SaslOutcome = {
  readonly type: 'sasl-outcome';
  readonly code: SaslCode;
  readonly additionalData?: Uint8Array | undefined;
};
export type SaslFrame = SaslMechanisms | SaslInit | SaslChallenge | SaslResponse | SaslOutcome;

const mechanisms = composite<SaslMechanisms>('sasl-mechanisms', 0x40, { saslServerMechanisms: mandatory(symbolsField) });
const init = composite<SaslInit>('sasl-init', 0x41, {
  mechanism: mandatory(symbolField),
  initialResponse: binaryField,
  hostname: stringField,
});
const challenge = composite<SaslChallenge>('sasl-challenge', 0x42, { challenge: mandatory(binaryField) });
const response = composite<SaslResponse>('sasl-response', 0x43, { response: mandatory(binaryField) });
const outcome = composite<SaslOutcome>('sasl-outcome', 0x44, {
  code: mandatory(choiceField<SaslCode>(ubyteField, 4, 'SASL code')),
  additionalData: binaryField,
});

const frames = compositeSet<SaslFrame>(...([mechanisms, init, challenge, response, outcome] as Composite<SaslFrame>[]));

/** The body of a frame of type SASL. */
export function decodeSaslFrame(bytes: Uint8Array, start: number, end: number): SaslFrame | AmqpFault {
  const reader = new ValueReader(bytes, start, end);
  const type = frames.byCode.get(reader.descriptor(frames.codes));
  if (type === undefined) return reader.fault ?? new AmqpFault(Condition.notImplemented, 'a SASL frame that is not known');
  const frame = readComposite(reader, type);
  reader.finish(frame.type);
  return reader.fault ?? frame;
}

export function writeSaslFrame(writer: ValueWriter, frame: SaslFrame): void {
  writeOneOf(writer, frames, frame);
}
