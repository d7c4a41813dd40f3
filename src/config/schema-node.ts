// The part of a typebox schema that the configuration uses, as plain data, for the code that walks it: check, render, compare.

import type { Unit } from './fields.ts';

export type SchemaNode = {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  readonly enum?: readonly string[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  /** A map: one pattern for the names of its entries. */
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly pattern?: string;
  readonly default?: unknown;
  readonly description?: string;
  readonly unit?: Unit;
  readonly live?: boolean;
  readonly shape?: string;
  readonly example?: unknown;
};

/** The schema of a map's entries and the pattern of their names; undefined when `node` is not a map. */
export function mapEntry(node: SchemaNode): { pattern: string; schema: SchemaNode } | undefined {
  if (node.patternProperties === undefined) return undefined;
  const [first] = Object.entries(node.patternProperties);
  return first === undefined ? undefined : { pattern: first[0], schema: first[1] };
}

/** The schema of one step down, by property name, map entry or list index. */
export function child(node: SchemaNode, key: string): SchemaNode | undefined {
  return node.properties?.[key] ?? mapEntry(node)?.schema ?? node.items;
}
