// Value encoding of headers (STOMP 1.2, Value Encoding). 1.0 has none, 1.1 knows no escaped carriage return.

import { StompFault } from './fault.ts';
import type { Version } from './frame.ts';

const escaped: Readonly<Record<string, string>> = { '\r': '\\r', '\n': '\\n', ':': '\\c', '\\': '\\\\' };
const special = /[\0\r\n:\\]/;

/** CONNECT, STOMP and CONNECTED are not escaped, for the sake of 1.0. */
export function isEscaped(command: string): boolean {
  return command !== 'CONNECT' && command !== 'STOMP' && command !== 'CONNECTED';
}

/**
 * A name or value as it stands in a frame. What a version cannot say becomes a space; so does NUL, which none can: it ends a frame, and
 * for many a client within the head, too.
 */
export function escape(given: string, version: Version): string {
  if (!special.test(given)) return given;
  const text = given.replaceAll('\0', ' ');
  if (version === '1.2') return text.replace(/[\r\n:\\]/g, (character) => escaped[character]!);
  if (version === '1.1') return text.replaceAll('\r', ' ').replace(/[\n:\\]/g, (character) => escaped[character]!);
  return text.replace(/[\r\n]/g, ' ');
}

/** A name of 1.0 ends at its first colon, and nothing can be done about it. */
export function escapeName(text: string, version: Version): string {
  return version === '1.0' ? escape(text, version).replaceAll(':', ' ') : escape(text, version);
}

const unescaped: Readonly<Record<string, string>> = { r: '\r', n: '\n', c: ':', '\\': '\\' };

/** An undefined escape sequence is a fatal protocol error (STOMP 1.2, Value Encoding). */
export function unescape(text: string, version: Version): string | StompFault {
  if (version === '1.0' || !text.includes('\\')) return text;
  let out = '';
  let from = 0;
  for (let at = text.indexOf('\\'); at >= 0; at = text.indexOf('\\', from)) {
    const character = text[at + 1] ?? '';
    const meant = version === '1.1' && character === 'r' ? undefined : unescaped[character];
    if (meant === undefined) return new StompFault('malformed frame', `undefined escape sequence \\${character} in a header`);
    out += text.slice(from, at) + meant;
    from = at + 2;
  }
  return out + text.slice(from);
}
