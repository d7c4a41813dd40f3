// A notation for bytes on the wire that can be read: hexadecimal bytes, texts, lengths counted by the reader, remarks.
//
//   0a ff        bytes
//   "text"       a string field: two bytes of length, then UTF-8
//   'text'       UTF-8 without a length
//   { ... }      the length of what is inside as a variable byte integer, then what is inside
//   < ... >      the length of what is inside in two bytes, then what is inside
//   (remark)     nothing

type Frame = { readonly close: string; readonly bytes: number[] };

export function wire(text: string): Uint8Array {
  const frames: Frame[] = [{ close: '', bytes: [] }];
  const tokens = /\s+|\(([^)]*)\)|"([^"]*)"|'([^']*)'|([{}<>])|([0-9a-f]{2})(?![0-9a-f])/gy;
  let at = 0;
  while (at < text.length) {
    tokens.lastIndex = at;
    const token = tokens.exec(text);
    if (token === null) throw new Error(`not in the notation: ${text.slice(at, at + 20)}`);
    at = tokens.lastIndex;
    put(frames, token);
  }
  if (frames.length !== 1) throw new Error(`not closed: ${text}`);
  return Uint8Array.from(frames[0]!.bytes);
}

function put(frames: Frame[], token: RegExpExecArray): void {
  const [, , field, raw, bracket, hex] = token;
  const into = frames.at(-1)!.bytes;
  if (field !== undefined) into.push(...twoBytes(Buffer.byteLength(field)), ...Buffer.from(field));
  else if (raw !== undefined) into.push(...Buffer.from(raw));
  else if (hex !== undefined) into.push(Number.parseInt(hex, 16));
  else if (bracket === '{') frames.push({ close: '}', bytes: [] });
  else if (bracket === '<') frames.push({ close: '>', bytes: [] });
  else if (bracket !== undefined) {
    const { close, bytes } = frames.pop()!;
    if (close !== bracket) throw new Error(`unexpected ${bracket}`);
    frames.at(-1)!.bytes.push(...(bracket === '}' ? variableByteInteger(bytes.length) : twoBytes(bytes.length)), ...bytes);
  }
}

function twoBytes(value: number): number[] {
  return [value >> 8, value & 0xff];
}

/** Written here once more, so that the notation does not lean on the codec that it tests. */
export function variableByteInteger(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const digit = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? digit + 128 : digit);
  } while (rest > 0);
  return bytes;
}
