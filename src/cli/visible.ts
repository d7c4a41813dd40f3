// What a peer chose (client ids, topics, the words of a server) on its way to a terminal: it must not move the cursor, change what
// stands above, or turn the direction of what follows.

const unseen = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** `\u{1b}` for a character that cannot be seen; `kept`: those that may stay. */
export function visible(text: string, kept = ''): string {
  return text.replace(unseen, (sign) => (kept.includes(sign) ? sign : `\\u{${sign.codePointAt(0)!.toString(16)}}`));
}
