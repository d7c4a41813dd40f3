// A copy of bytes that are only valid for a while. Not `slice`: that of a Buffer is a view.

export function ownBytes(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const length = end - start;
  const own = new Uint8Array(length);
  // For few bytes a loop is quicker than `set`, which wants a view.
  if (length > 48) own.set(new Uint8Array(bytes.buffer, bytes.byteOffset + start, length));
  else for (let i = 0; i < length; i++) own[i] = bytes[start + i]!;
  return own;
}
