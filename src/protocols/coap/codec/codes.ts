// What a code says by its class (RFC 7252 §3, §12.1).

import { Code } from './message.ts';

export function isRequest(code: number): boolean {
  return code > 0 && code < 0x20;
}

/** Success, client error or server error. */
export function isResponse(code: number): boolean {
  const codeClass = code >>> 5;
  return codeClass === 2 || codeClass === 4 || codeClass === 5;
}

export function isError(code: number): boolean {
  return code >>> 5 >= 4;
}

const names = new Map<number, string>(
  Object.entries(Code).map(([name, code]) => [code, name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)]),
);

/** `2.05`. */
export function codeNumber(code: number): string {
  return `${code >>> 5}.${String(code & 0x1f).padStart(2, '0')}`;
}

/** For logs, metrics and traces: `GET`, `2.05 content`, `4.31`. */
export function codeName(code: number): string {
  const name = names.get(code);
  if (isRequest(code)) return name === undefined ? codeNumber(code) : name === 'ipatch' ? 'iPATCH' : name.toUpperCase();
  return name === undefined ? codeNumber(code) : `${codeNumber(code)} ${name}`;
}
