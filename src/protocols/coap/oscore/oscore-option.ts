// The value of the OSCORE option (RFC 8613 §6.1): flags, Partial IV, kid context, kid.

import { noBytes } from '../codec/option-values.ts';

export type OscoreOption = {
  readonly piv: Uint8Array | undefined;
  readonly kidContext: Uint8Array | undefined;
  readonly kid: Uint8Array | undefined;
};

const pivLengthBits = 0x07;
const kidFlag = 0x08;
const kidContextFlag = 0x10;
const reservedBits = 0xe0;
const maxPivBytes = 5;
const nothing: OscoreOption = { piv: undefined, kidContext: undefined, kid: undefined };

/** Views of `value`; undefined: malformed. */
export function readOscoreOption(value: Uint8Array): OscoreOption | undefined {
  if (value.length === 0) return nothing;
  const flags = value[0]!;
  const pivLength = flags & pivLengthBits;
  // With no flag set the option is empty; 6 and 7 are reserved.
  if (flags === 0 || (flags & reservedBits) !== 0 || pivLength > maxPivBytes) return undefined;
  let at = 1;
  if (at + pivLength > value.length) return undefined;
  const piv = pivLength === 0 ? undefined : value.subarray(at, at + pivLength);
  at += pivLength;
  let kidContext: Uint8Array | undefined;
  if ((flags & kidContextFlag) !== 0) {
    if (at === value.length) return undefined;
    const length = value[at++]!;
    if (at + length > value.length) return undefined;
    kidContext = value.subarray(at, at + length);
    at += length;
  }
  if ((flags & kidFlag) !== 0) return { piv, kidContext, kid: value.subarray(at) };
  return at === value.length ? { piv, kidContext, kid: undefined } : undefined;
}

/** `piv` at most 5 bytes, `kidContext` at most 255. */
export function oscoreOptionValue({ piv, kidContext, kid }: OscoreOption): Uint8Array {
  if (piv === undefined && kidContext === undefined && kid === undefined) return noBytes;
  const value = new Uint8Array(1 + (piv?.length ?? 0) + (kidContext === undefined ? 0 : 1 + kidContext.length) + (kid?.length ?? 0));
  value[0] = (piv?.length ?? 0) | (kid === undefined ? 0 : kidFlag) | (kidContext === undefined ? 0 : kidContextFlag);
  let at = 1;
  if (piv !== undefined) {
    value.set(piv, at);
    at += piv.length;
  }
  if (kidContext !== undefined) {
    value[at++] = kidContext.length;
    value.set(kidContext, at);
    at += kidContext.length;
  }
  if (kid !== undefined) value.set(kid, at);
  return value;
}
