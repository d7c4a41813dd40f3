// What came over HTTP against the schema of its route. Unknown members are refused, nothing is guessed: only parameters, which are
// text by nature, become numbers, flags and lists where the schema asks for them.

import type { TObject, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { Problem } from './problem.ts';

/** Levels of a JSON body: what goes through it level by level must not run out of stack. */
const maxDepth = 64;

export function isTooDeep(body: unknown): boolean {
  let level = [body];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > maxDepth) return true;
    level = level.flatMap((each) => (typeof each === 'object' && each !== null ? (Object.values(each) as unknown[]) : []));
  }
  return false;
}

type Checker = { Check(value: unknown): boolean; Errors(value: unknown): readonly { instancePath: string; message: string }[] };

type Property = { readonly type?: string; readonly default?: unknown };

export class InputCheck {
  readonly #where: 'params' | 'query' | 'body';
  readonly #schema: TSchema;
  /** Made at the first use: a command asks a few routes of many. */
  #checker: Checker | undefined;

  constructor(where: 'params' | 'query' | 'body', schema: TSchema) {
    this.#where = where;
    this.#schema = schema;
  }

  /** What the handler is given, or what is wrong. */
  check(given: unknown): { readonly value: unknown } | Problem {
    const value = this.#where === 'body' ? given : fromText(this.#schema as TObject, (given ?? {}) as Record<string, unknown>);
    this.#checker ??= Compile(this.#schema) as unknown as Checker;
    if (this.#checker.Check(value)) return { value };
    const [first] = this.#checker.Errors(value);
    const path = first === undefined ? '' : fieldOf(first);
    const said = first === undefined ? 'is not what it must be' : wordsOf(first);
    const place = path === '' ? `the ${this.#where === 'query' ? 'parameters' : this.#where}` : `"${path}"`;
    return new Problem(422, 'invalid', `${place} ${said}`, path === '' ? {} : { field: path });
  }
}

type Fault = {
  readonly instancePath: string;
  readonly message: string;
  readonly keyword?: string;
  readonly params?: Record<string, unknown>;
};

function named(fault: Fault): string | undefined {
  const { additionalProperties, requiredProperties } = (fault.params ?? {}) as {
    additionalProperties?: readonly string[];
    requiredProperties?: readonly string[];
  };
  return (additionalProperties ?? requiredProperties)?.[0];
}

function fieldOf(fault: Fault): string {
  const path = fault.instancePath.slice(1).replaceAll('/', '.');
  const name = named(fault)?.slice(0, 64);
  return [path, name].filter((part) => part !== undefined && part !== '').join('.');
}

function wordsOf(fault: Fault): string {
  if (fault.keyword === 'required') return 'is missing';
  // A member that the schema does not know is told as one that nothing can satisfy.
  if (fault.keyword === 'additionalProperties' || fault.keyword === 'boolean') return 'is not known here';
  if (fault.keyword === 'enum') return `must be one of ${((fault.params?.['allowedValues'] ?? []) as readonly unknown[]).join(', ')}`;
  return fault.message;
}

function fromText(schema: TObject, given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    const property = (Object.hasOwn(schema.properties, name) ? schema.properties[name] : {}) as Property;
    result[name] = converted(property, value);
  }
  for (const [name, property] of Object.entries(schema.properties)) {
    const { default: byDefault } = property as Property;
    if (result[name] === undefined && byDefault !== undefined) result[name] = byDefault;
  }
  return result;
}

function converted({ type }: Property, value: unknown): unknown {
  if (type === 'array') return Array.isArray(value) ? value : [value];
  if (typeof value !== 'string') return value;
  if (type === 'integer' && /^-?\d{1,16}$/.test(value)) return Number(value);
  if (type === 'boolean' && (value === 'true' || value === 'false')) return value === 'true';
  return value;
}
