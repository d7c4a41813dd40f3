// JMS message selectors (Jakarta Messaging 2.0 §3.8) over the neutral message: text → tokens.ts → parser.ts (a tree) → compiled.ts
// (closures). What is computed is three-valued: an identifier that a message does not have makes its comparison unknown.

import type { Message } from '../message.ts';
import { compiled } from './compiled.ts';
import { tree } from './parser.ts';
import { SelectorProblem } from './tokens.ts';

export type SelectorLimits = {
  /** Longest text, in UTF-16 code units. Absent: 16,384. */
  readonly maxLength?: number;
  /** Most operators, literals and identifiers together. Absent: 1,000. */
  readonly maxTerms?: number;
  /** How deep parentheses, NOT and signs may nest. Absent: 64. */
  readonly maxDepth?: number;
};

export interface Selector {
  /** As it was given. */
  readonly text: string;
  /** Whether the selector is true for the message; false when it is false or unknown. */
  matches(message: Message): boolean;
}

export type SelectorFault = {
  /** Plain words for whoever wrote the selector. */
  readonly message: string;
  /** Index into the text, in UTF-16 code units. */
  readonly at: number;
};

export type ParsedSelector = { readonly ok: true; readonly selector: Selector } | { readonly ok: false; readonly fault: SelectorFault };

const defaults = { maxLength: 16_384, maxTerms: 1_000, maxDepth: 64 };

/** Reads a selector. A text of nothing but white space selects every message (§3.8.1). */
export function parseSelector(text: string, limits?: SelectorLimits): ParsedSelector {
  const { maxLength, maxTerms, maxDepth } = { ...defaults, ...limits };
  if (text.length > maxLength)
    return { ok: false, fault: { message: `a selector must not exceed ${maxLength} characters`, at: maxLength } };
  if (text.trim() === '') return { ok: true, selector: { text, matches: () => true } };
  try {
    const evaluate = compiled(tree(text, maxTerms, maxDepth));
    return { ok: true, selector: { text, matches: (message) => evaluate(message) === true } };
  } catch (error) {
    if (!(error instanceof SelectorProblem)) throw error;
    return { ok: false, fault: { message: error.message, at: error.at } };
  }
}
