// Reads JSON more strictly than JSON.parse: an object that names a key twice is refused (two readers could take different ones),
// and so is what is nested deeper than any document needs. Objects come without a prototype, so that no key means anything.

import { shown } from './document-check.ts';

export type JsonReading = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly what: string };

const numberShape = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// eslint-disable-next-line no-control-regex -- RFC 8259 §7: control characters must be escaped.
const stringShape = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y;
const space = /[ \t\n\r]*/y;
const words: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['true', true],
  ['false', false],
  ['null', null],
]);

class Stop extends Error {}

/** `maxDepth`: how many lists and objects may stand in one another. */
export function readStrictJson(text: string, maxDepth: number): JsonReading {
  try {
    return { ok: true, value: new Reader(text, maxDepth).document() };
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    return { ok: false, what: error.message };
  }
}

class Reader {
  readonly #text: string;
  readonly #maxDepth: number;
  #at = 0;

  constructor(text: string, maxDepth: number) {
    this.#text = text;
    this.#maxDepth = maxDepth;
  }

  document(): unknown {
    const value = this.#value(0);
    this.#skipSpace();
    if (this.#at < this.#text.length) this.#stop('has something behind its end');
    return value;
  }

  #value(depth: number): unknown {
    this.#skipSpace();
    const first = this.#text[this.#at];
    if (first === '{' || first === '[') {
      if (depth >= this.#maxDepth) this.#stop(`is nested deeper than ${this.#maxDepth}`);
      return first === '{' ? this.#object(depth + 1) : this.#list(depth + 1);
    }
    if (first === '"') return this.#string();
    const digits = this.#take(numberShape);
    if (digits !== undefined) return Number(digits);
    for (const [word, value] of words) {
      if (!this.#text.startsWith(word, this.#at)) continue;
      this.#at += word.length;
      return value;
    }
    return this.#stop(first === undefined ? 'ends too early' : 'is not JSON');
  }

  #object(depth: number): unknown {
    const object = Object.create(null) as Record<string, unknown>;
    this.#items('}', () => {
      if (this.#text[this.#at] !== '"') this.#stop('is not JSON: a key must stand here');
      const start = this.#at;
      const key = this.#string();
      if (Object.hasOwn(object, key)) {
        this.#at = start;
        this.#stop(`names the key "${shown(key)}" twice in one object`);
      }
      this.#skipSpace();
      if (this.#text[this.#at] !== ':') this.#stop('is not JSON: a colon must stand here');
      this.#at++;
      object[key] = this.#value(depth);
    });
    return object;
  }

  #list(depth: number): unknown {
    const list: unknown[] = [];
    this.#items(']', () => list.push(this.#value(depth)));
    return list;
  }

  #items(end: string, one: () => void): void {
    this.#at++;
    this.#skipSpace();
    if (this.#text[this.#at] === end) {
      this.#at++;
      return;
    }
    for (;;) {
      this.#skipSpace();
      one();
      this.#skipSpace();
      const next = this.#text[this.#at];
      if (next !== ',' && next !== end)
        this.#stop(next === undefined ? 'ends too early' : `is not JSON: a comma or ${end} must stand here`);
      this.#at++;
      if (next === end) return;
    }
  }

  #string(): string {
    const start = this.#at;
    const quoted = this.#take(stringShape);
    if (quoted === undefined) return this.#stop('holds a text that does not end, or a character that must be escaped');
    const text = JSON.parse(quoted) as string;
    if (!text.isWellFormed()) {
      this.#at = start;
      this.#stop('holds a text with half a character');
    }
    return text;
  }

  #take(shape: RegExp): string | undefined {
    shape.lastIndex = this.#at;
    const found = shape.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #skipSpace(): void {
    this.#take(space);
  }

  #stop(what: string): never {
    const before = this.#text.slice(0, this.#at);
    const line = before.split('\n').length;
    throw new Stop(`${what} (line ${line}, column ${this.#at - before.lastIndexOf('\n')})`);
  }
}
