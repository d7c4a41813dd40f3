// The whole configuration as a YAML file with a comment on every setting. It passes its own check.

import { allowedValues } from './allowed-values.ts';
import { formatQuantity, quantityUnit } from './quantity.ts';
import { mapEntry, type SchemaNode } from './schema-node.ts';
import { schemaTree } from './schema.ts';

const lineWidth = 120;

export function defaultsAsYaml(): string {
  const head = [
    '# Every setting of Heliograph with its default. A file needs only the settings it changes.',
    '# Sizes may be written as 64KiB or 16MiB, spans as 30s, 5min, 12h or 7d.',
    '# [live]: changes on SIGHUP; everything else needs a restart.',
  ];
  return `${head.join('\n')}\n${object(schemaTree, '', undefined)}`;
}

function object(schema: SchemaNode, indent: string, defaults: Readonly<Record<string, unknown>> | undefined): string {
  let out = '';
  for (const [key, sub] of Object.entries(schema.properties!)) {
    const own = defaults?.[key];
    out += `${indent === '' ? '\n' : ''}${comment(sub, indent)}`;
    if (sub.properties !== undefined) out += `${indent}${key}:\n${object(sub, `${indent}  `, undefined)}`;
    else if (sub.patternProperties !== undefined) out += `${indent}${key}:\n${map(sub, `${indent}  `)}`;
    else out += line(key, sub, indent, own ?? sub.default);
  }
  return out;
}

function map(schema: SchemaNode, indent: string): string {
  const entry = mapEntry(schema)!.schema;
  const entries = Object.entries(schema.default ?? {}) as [string, Readonly<Record<string, unknown>>][];
  let out = '';
  for (const [i, [name, values]] of entries.entries()) {
    out += `${indent}${name}:\n`;
    // The comments of the entries' settings once, then values alone.
    const text = object(entry, `${indent}  `, values);
    out += i === 0 ? text : text.replaceAll(/^\s*#.*\n/gm, '');
  }
  return out;
}

function line(key: string, schema: SchemaNode, indent: string, value: unknown): string {
  if (value === undefined) return `${indent}# ${key}: ${JSON.stringify(schema.example ?? schema.enum?.[0] ?? '…')}\n`;
  if (!Array.isArray(value) || schema.items?.properties === undefined || value.length === 0) {
    return `${indent}${key}: ${JSON.stringify(value)}\n`;
  }
  return `${indent}${key}:\n${value.map((each) => `${indent}  - ${JSON.stringify(each)}\n`).join('')}`;
}

function comment(schema: SchemaNode, indent: string): string {
  const live = schema.live === true ? ' [live]' : '';
  const bounds = schema.type === 'integer' || schema.enum !== undefined ? ` Allowed: ${allowedValues(schema)}.` : '';
  let out = wrap(`${schema.description ?? ''}${bounds}${humanDefault(schema)}${live}`, `${indent}# `);
  for (const [key, sub] of Object.entries(schema.items?.properties ?? {})) {
    const need = schema.items?.required?.includes(key) === true && sub.default === undefined ? ' (required)' : '';
    out += wrap(`${key}${need}: ${sub.description ?? ''}`, `${indent}#   `);
  }
  return out;
}

function humanDefault(schema: SchemaNode): string {
  const unit = quantityUnit(schema.unit);
  if (unit === undefined || typeof schema.default !== 'number') return '';
  return ` Default: ${formatQuantity(unit, schema.default)}.`;
}

function wrap(text: string, prefix: string): string {
  const lines: string[] = [];
  let current = '';
  for (const word of text.split(' ')) {
    if (current !== '' && prefix.length + current.length + 1 + word.length > lineWidth) {
      lines.push(current);
      current = word;
    } else {
      current = current === '' ? word : `${current} ${word}`;
    }
  }
  lines.push(current);
  return lines.map((each) => `${prefix}${each}\n`).join('');
}
