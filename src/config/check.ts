// Reads a YAML file against the schema. It collects every mistake with its line instead of stopping at the first, turns sizes
// and spans into numbers, and fills in the defaults.
//
// typebox's own checker is the oracle in the tests: here we need positions, units and words for people.

import { isAlias, isMap, isScalar, isSeq, LineCounter, parseAllDocuments, type Document, type Node, type Pair } from 'yaml';
import { formatQuantity, parseQuantity, quantityUnit } from './quantity.ts';
import type { Problem } from './problem.ts';
import { child, mapEntry, type SchemaNode } from './schema-node.ts';
import { nearest } from './suggest.ts';

export type Checked = {
  /** Complete with defaults; only to be used when there are no problems. */
  readonly value: unknown;
  readonly problems: readonly Problem[];
  /** Adds where a setting stands in the file (or its nearest parent that is in it) to a problem found later. */
  locate(path: string): { readonly line: number; readonly column: number };
};

type Yaml = Node | null | undefined;

/** Checks the text of a configuration file. Never throws because of what it holds. */
export function checkYaml(file: string, source: string, schema: SchemaNode): Checked {
  const lines = new LineCounter();
  const documents = parseAllDocuments(source, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const document = Array.isArray(documents) ? documents[0] : undefined;
  const checker = new Checker(file, schema, lines, document);
  if (Array.isArray(documents)) {
    for (const each of documents) {
      for (const error of [...each.errors, ...each.warnings]) checker.syntaxProblem(error.message, error.pos[0]);
    }
    if (documents.length > 1) {
      const at = documents[1]!.range[0];
      checker.syntaxProblem('the file holds more than one YAML document', at, 'keep one, and remove the line with "---"');
    }
  }
  const value = checker.problems.length > 0 ? undefined : checker.visit(document?.contents, schema, '', undefined);
  return { value, problems: checker.problems, locate: (path) => checker.locate(path) };
}

/** What the schema gives without a file. */
export function defaultsOf(schema: SchemaNode): unknown {
  return checkYaml('', '', schema).value;
}

class Checker {
  readonly problems: Problem[] = [];
  readonly #file: string;
  readonly #root: SchemaNode;
  readonly #lines: LineCounter;
  readonly #document: Document | undefined;
  /** Offsets in the file by path: of the values, and of the keys. */
  readonly #offsets = new Map<string, number>();
  readonly #keyOffsets = new Map<string, number>();

  constructor(file: string, root: SchemaNode, lines: LineCounter, document: Document | undefined) {
    this.#file = file;
    this.#root = root;
    this.#lines = lines;
    this.#document = document;
  }

  locate(path: string): { line: number; column: number } {
    for (let at = path; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('.')))) {
      // What is missing is told at the name of its parent.
      const offset = at === path ? (this.#offsets.get(at) ?? this.#keyOffsets.get(at)) : this.#keyOffsets.get(at);
      if (offset !== undefined) return this.#position(offset);
    }
    return { line: 1, column: 1 };
  }

  #position(offset: number): { line: number; column: number } {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  syntaxProblem(message: string, offset: number, fix?: string): void {
    const mend = fix ?? (/unique/i.test(message) ? 'keep one of the two' : 'correct the YAML here; indent with spaces, two a level');
    this.problems.push({ file: this.#file, ...this.#position(offset), path: '', what: trimStop(message), fix: mend });
  }

  #problem(path: string, what: string, fix: string): void {
    this.problems.push({ file: this.#file, ...this.locate(path), path, what, fix });
  }

  /** The checked value of `node`. `fallback` replaces the schema's default (entries of a map have their own). */
  visit(given: Yaml, schema: SchemaNode, path: string, fallback: unknown): unknown {
    const node = this.#resolved(given);
    if (node?.range !== undefined && node.range !== null) this.#offsets.set(path, node.range[0]);
    if (schema.properties !== undefined) return this.#object(node, schema, path, fallback);
    if (schema.patternProperties !== undefined) return this.#map(node, schema, path);
    if (schema.type === 'array') return this.#list(node, schema, path, fallback);
    return this.#scalar(node, schema, path, fallback);
  }

  #resolved(node: Yaml): Yaml {
    if (!isAlias(node)) return node;
    return this.#document === undefined ? undefined : node.resolve(this.#document);
  }

  /** The pairs of a mapping; a key with nothing behind it is an empty mapping. */
  #pairs(node: Yaml, path: string, holds: string): readonly { key: string; value: Yaml; path: string }[] {
    if (node === undefined || node === null || (isScalar(node) && node.value === null)) return [];
    if (!isMap(node)) {
      this.#problem(path, `must be a mapping (${holds}), but is ${shown(node)}`, `write "name: value" lines, indented, below it`);
      return [];
    }
    return node.items.map((pair: Pair) => {
      const key = isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
      const at = join(path, key);
      const offset = (pair.key as Node | null)?.range?.[0];
      if (offset !== undefined) this.#keyOffsets.set(at, offset);
      return { key, value: pair.value as Yaml, path: at };
    });
  }

  #object(node: Yaml, schema: SchemaNode, path: string, fallback: unknown): unknown {
    const properties = schema.properties!;
    const given = new Map<string, Yaml>();
    for (const pair of this.#pairs(node, path, `with the settings ${Object.keys(properties).join(', ')}`)) {
      if (Object.hasOwn(properties, pair.key)) given.set(pair.key, pair.value);
      else this.#unknownKey(pair.key, pair.path, properties);
    }
    const defaults = isRecord(fallback) ? fallback : {};
    const out: Record<string, unknown> = {};
    for (const [key, sub] of Object.entries(properties)) {
      const required = schema.required?.includes(key) ?? false;
      const own = Object.hasOwn(defaults, key) ? defaults[key] : undefined;
      if (!given.has(key) && !required && own === undefined) continue;
      const value = this.visit(given.get(key), sub, join(path, key), own);
      if (value !== undefined) out[key] = value;
    }
    return out;
  }

  /** Entries of a map: what the file says of an entry that exists by default changes only those settings. */
  #map(node: Yaml, schema: SchemaNode, path: string): unknown {
    const { pattern, schema: entry } = mapEntry(schema)!;
    const defaults = isRecord(schema.default) ? schema.default : {};
    const given = new Map<string, Yaml>();
    for (const pair of this.#pairs(node, path, 'of names')) {
      if (new RegExp(pattern).test(pair.key)) given.set(pair.key, pair.value);
      else
        this.#problem(
          pair.path,
          `the name must be ${schema.shape ?? `of the form ${pattern}`}, but is "${pair.key}"`,
          'choose another name',
        );
    }
    const out: Record<string, unknown> = {};
    for (const name of new Set([...Object.keys(defaults), ...given.keys()])) {
      out[name] = this.visit(given.get(name), entry, join(path, name), defaults[name]);
    }
    return out;
  }

  #list(node: Yaml, schema: SchemaNode, path: string, fallback: unknown): unknown {
    if (node === undefined) return fallback ?? schema.default ?? [];
    if (node === null || (isScalar(node) && node.value === null)) return [];
    if (!isSeq(node)) {
      this.#problem(path, `must be a list, but is ${shown(node)}`, 'write one "- " line for each entry, or [a, b]');
      return [];
    }
    const { minItems = 0, maxItems = Infinity } = schema;
    if (node.items.length < minItems || node.items.length > maxItems) {
      this.#problem(path, `must have ${range(minItems, maxItems)} entries, but has ${node.items.length}`, 'add or remove entries');
    }
    return node.items.map((item, i) => this.visit(item as Yaml, schema.items!, join(path, String(i)), undefined));
  }

  #scalar(node: Yaml, schema: SchemaNode, path: string, fallback: unknown): unknown {
    const byDefault = fallback ?? schema.default;
    if (node === undefined) {
      if (byDefault === undefined) this.#problem(path, 'is missing', `add "${path.split('.').at(-1)}: …": ${expectation(schema)}`);
      return byDefault;
    }
    const value = isScalar(node) ? node.value : undefined;
    // A word of a choice may look like a number (TLS 1.3): what was written counts.
    const written = schema.enum !== undefined && isScalar(node) ? node.source : value;
    const accepted = acceptScalar(written ?? value, schema);
    if (accepted !== undefined) return accepted;
    this.#problem(path, `must be ${expectation(schema)}, but is ${shown(node)}`, fixFor(value, schema, byDefault));
    return byDefault;
  }

  #unknownKey(key: string, path: string, properties: Readonly<Record<string, SchemaNode>>): void {
    const near = nearest(key, Object.keys(properties));
    if (near !== undefined) {
      this.#problem(path, 'there is no such setting', `did you mean "${near}"?`.replace('?', '') + '? Rename it');
      return;
    }
    const elsewhere = findPath(this.#root, key, '');
    const fix =
      elsewhere === undefined ? `remove it; the settings here are ${Object.keys(properties).join(', ')}` : `write it as ${elsewhere}`;
    this.#problem(path, 'there is no such setting', fix);
  }
}

/** The value as the schema wants it, or undefined when it is not acceptable. */
function acceptScalar(value: unknown, schema: SchemaNode): unknown {
  if (schema.enum !== undefined) return typeof value === 'string' && schema.enum.includes(value) ? value : undefined;
  if (schema.type === 'boolean') return typeof value === 'boolean' ? value : undefined;
  if (schema.type === 'integer') {
    const unit = quantityUnit(schema.unit);
    const number = typeof value === 'string' && unit !== undefined ? parseQuantity(unit, value) : value;
    if (typeof number !== 'number' || !Number.isSafeInteger(number)) return undefined;
    return number >= (schema.minimum ?? -Infinity) && number <= (schema.maximum ?? Infinity) ? number : undefined;
  }
  if (typeof value !== 'string') return undefined;
  if (value.length < (schema.minLength ?? 0) || value.length > (schema.maxLength ?? Infinity)) return undefined;
  return schema.pattern === undefined || new RegExp(schema.pattern).test(value) ? value : undefined;
}

/** What the schema wants, as the end of "must be". */
function expectation(schema: SchemaNode): string {
  if (schema.enum !== undefined) return `one of ${schema.enum.join(', ')}`;
  if (schema.type === 'boolean') return 'true or false';
  if (schema.type === 'integer') {
    const bounds = range(schema.minimum ?? 0, schema.maximum ?? Number.MAX_SAFE_INTEGER);
    if (schema.unit === 'ms') return `a number of milliseconds from ${bounds}, or a span such as "30s"`;
    if (schema.unit === 'sec') return `a number of seconds from ${bounds}, or a span such as "5min"`;
    if (schema.unit === 'bytes') return `a number of bytes from ${bounds}, or a size such as "16MiB"`;
    return `a whole number from ${bounds}`;
  }
  return schema.shape ?? `text of ${range(schema.minLength ?? 0, schema.maxLength ?? 4096)} characters`;
}

function fixFor(value: unknown, schema: SchemaNode, byDefault: unknown): string {
  if (schema.enum !== undefined) {
    const near = typeof value === 'string' ? nearest(value, schema.enum) : undefined;
    if (near !== undefined) return `did you mean "${near}"? Write that`;
  }
  if (schema.type === 'boolean' && typeof value === 'string') return 'write true or false without quotes';
  if (schema.type === 'integer' && typeof value === 'string' && schema.unit === 'count' && /^\d+$/.test(value)) return 'remove the quotes';
  if (schema.type === 'string' && (typeof value === 'number' || typeof value === 'boolean')) return `put it in quotes: "${String(value)}"`;
  if (typeof value === 'number' && typeof schema.minimum === 'number' && value < schema.minimum) return `use ${schema.minimum} or more`;
  if (typeof value === 'number' && typeof schema.maximum === 'number' && value > schema.maximum) return `use ${schema.maximum} or less`;
  if (byDefault === undefined)
    return schema.example === undefined ? 'correct the value' : `write for example ${JSON.stringify(schema.example)}`;
  const unit = quantityUnit(schema.unit);
  const plain = JSON.stringify(byDefault);
  const human = unit !== undefined && typeof byDefault === 'number' ? ` (${formatQuantity(unit, byDefault)})` : '';
  return `correct the value, or remove the line for the default of ${plain}${human}`;
}

function findPath(schema: SchemaNode, key: string, path: string): string | undefined {
  for (const [name, sub] of Object.entries(schema.properties ?? {})) {
    const at = join(path, name);
    if (name === key && path !== '') return at;
    const below = child(sub, '') === undefined && sub.properties === undefined ? undefined : findPath(sub, key, at);
    if (below !== undefined) return below;
  }
  return undefined;
}

function shown(node: Yaml): string {
  if (node === undefined || node === null) return 'empty';
  if (isMap(node)) return 'a mapping';
  if (isSeq(node)) return 'a list';
  if (!isScalar(node)) return 'something else';
  if (node.value === null) return 'empty';
  const text = JSON.stringify(node.value) ?? 'something else';
  return text.length > 60 ? `${text.slice(0, 57)}…"` : text;
}

function range(low: number, high: number): string {
  return high === Infinity ? `${low} or more` : `${low} to ${high}`;
}

function trimStop(message: string): string {
  return message.trim().replace(/[.:]$/, '');
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
