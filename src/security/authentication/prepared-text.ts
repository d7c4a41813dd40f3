// SASLprep (RFC 4013) as far as Unicode's own data, which the runtime brings along, can carry it: what looks the same becomes
// the same, and what cannot be typed on purpose is refused. Where RFC 4013 uses the tables of Unicode 3.2, this uses those of
// the runtime, as RFC 8265 does. The check of mixed directions (RFC 3454 §6) is not made: it protects what is shown, and
// neither names nor passwords that fail it are confused with others here.

/** RFC 3454 table B.1: mapped to nothing. */
const invisible = /\u00ad|\u034f|\u1806|[\u180b-\u180d]|[\u200b-\u200d]|\u2060|[\ufe00-\ufe0f]|\ufeff/gu;
/** RFC 3454 table C.1.2: mapped to a space. */
const spaces = /[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/gu;
/** Tables C.2 to C.9 and unassigned code points: controls, private use, surrogates, replacement and direction characters. */
const prohibited = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Cn}\p{Zl}\p{Zp}\u2ff0-\u2ffb\ufff9-\ufffd]/u;

/** The one form of a name or password; undefined when it holds what it may not, or nothing. */
export function preparedText(text: string): string | undefined {
  if (!text.isWellFormed()) return undefined;
  const prepared = text.replaceAll(invisible, '').replaceAll(spaces, ' ').normalize('NFKC');
  return prepared === '' || prohibited.test(prepared) ? undefined : prepared;
}
