// The words of a selector: identifiers, keywords, literals and signs. One token at a time, so that a long text of errors costs nothing.

/** Thrown inside of this folder only; parseSelector turns it into a value. */
export class SelectorProblem extends Error {
  readonly at: number;

  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

export type Token =
  | { readonly kind: 'identifier'; readonly text: string; readonly at: number }
  /** In upper case. */
  | { readonly kind: 'keyword'; readonly text: string; readonly at: number }
  | { readonly kind: 'string'; readonly value: string; readonly at: number }
  /** An exact number is a bigint, an approximate one a number. Exact ones reach up to 2^63: a minus may stand before it. */
  | { readonly kind: 'number'; readonly value: bigint | number; readonly at: number }
  | { readonly kind: 'sign'; readonly text: string; readonly at: number }
  | { readonly kind: 'end'; readonly at: number };

// §3.8.1.1: these cannot be identifiers, in whatever case they are written.
const keywords = new Set(['NULL', 'TRUE', 'FALSE', 'NOT', 'AND', 'OR', 'BETWEEN', 'LIKE', 'IN', 'IS', 'ESCAPE']);

const space = /[ \t\r\n\f]*/y;
// What Java takes for an identifier, and dots, which stand in the names of fields (amqp.subject).
const identifier = /[\p{L}\p{Nl}\p{Sc}\p{Pc}][\p{L}\p{Nl}\p{Sc}\p{Pc}\p{Nd}\p{Mn}\p{Mc}.]*/uy;
const approximate = /(?:\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)[fFdD]?/y;
const exact = /(?:0[xX][\da-fA-F]+|0[0-7]*|[1-9]\d*)[lL]?/y;
const sign = /<>|<=|>=|[=<>()+\-*/,]/y;
const digit = /[\d.]/;
const wordPart = /[\p{L}\p{Nl}\p{Sc}\p{Pc}\p{Nd}.]/uy;

/** 2^63: the largest exact literal, which only a minus makes a number of 64 bits. */
export const beyondLong = 1n << 63n;

/** The token at or after `at`, and where the next may begin. */
export function tokenAt(text: string, from: number): { readonly token: Token; readonly end: number } {
  const at = from + matchAt(space, text, from).length;
  if (at === text.length) return { token: { kind: 'end', at }, end: at };
  const first = text[at]!;
  if (first === "'") return quoted(text, at, "'", (value) => ({ kind: 'string', value, at }));
  // Not of JMS: names of AMQP properties that no Java identifier can spell.
  if (first === '"') return quoted(text, at, '"', (name) => ({ kind: 'identifier', text: name, at }));
  const word = matchAt(identifier, text, at);
  if (word !== '') {
    const upper = word.toUpperCase();
    return {
      token: keywords.has(upper) ? { kind: 'keyword', text: upper, at } : { kind: 'identifier', text: word, at },
      end: at + word.length,
    };
  }
  if (digit.test(first)) return numberAt(text, at);
  const found = matchAt(sign, text, at);
  if (found === '')
    throw new SelectorProblem(`a selector cannot contain ${JSON.stringify(String.fromCodePoint(text.codePointAt(at)!))} here`, at);
  return { token: { kind: 'sign', text: found, at }, end: at + found.length };
}

/** What is between two quotation marks; the mark itself is written twice. */
function quoted(text: string, at: number, mark: string, token: (value: string) => Token): { token: Token; end: number } {
  for (let close = text.indexOf(mark, at + 1); close !== -1; close = text.indexOf(mark, close + 2)) {
    if (text[close + 1] !== mark) return { token: token(text.slice(at + 1, close).replaceAll(mark + mark, mark)), end: close + 1 };
  }
  throw new SelectorProblem(`the ${mark} is never closed`, at);
}

// §3.8.1.1: literals are those of Java.
function numberAt(text: string, at: number): { token: Token; end: number } {
  const rounded = matchAt(approximate, text, at);
  const digits = rounded === '' ? matchAt(exact, text, at) : rounded;
  const end = at + digits.length;
  if (digits === '' || matchAt(wordPart, text, end) !== '') throw new SelectorProblem('not a number', at);
  const value = rounded === '' ? exactValue(digits) : Number(rounded.replace(/[fFdD]$/, ''));
  if (typeof value === 'bigint' ? value > beyondLong : value === Infinity) throw new SelectorProblem('the number is too large', at);
  return { token: { kind: 'number', value, at }, end };
}

function exactValue(literal: string): bigint {
  const digits = literal.replace(/[lL]$/, '');
  // JavaScript writes octal numbers in another way.
  return BigInt(/^0[0-7]/.test(digits) ? `0o${digits.slice(1)}` : digits);
}

function matchAt(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? '';
}
