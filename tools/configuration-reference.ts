// docs/configuration.md out of the schema.

import { schemaTree } from '../src/config/schema.ts';
import { allowedValues } from '../src/config/allowed-values.ts';
import { formatQuantity, quantityUnit } from '../src/config/quantity.ts';
import { mapEntry, type SchemaNode } from '../src/config/schema-node.ts';

const head = `# Configuration

<!-- Generated from the schema by \`npm run docs\`. Change src/config/sections, not this file. -->

Heliograph runs without a configuration. To change a setting, write it into one YAML file and start with
\`heliograph serve --config heliograph.yaml\`. A file needs only what it changes:

\`\`\`yaml
node:
  dataDir: /var/lib/heliograph
listeners:
  ws:
    enabled: false
mqtt:
  maxPacketBytes: 4MiB
\`\`\`

- \`heliograph config check heliograph.yaml\` tells every mistake with its line and how to mend it; \`--json\` for scripts.
- \`heliograph config defaults\` prints every setting with its default.
- A setting's name ends in its unit. Sizes may be written as \`64KiB\` or \`16MiB\`, spans as \`30s\`, \`5min\`, \`12h\` or \`7d\`.
- **live**: takes effect on SIGHUP. Everything else needs a restart, and SIGHUP says so. Certificate files are read again on SIGHUP.
`;

export function configurationReference(): string {
  const sections = Object.entries(schemaTree.properties!).map(([name, schema]) => section(name, schema));
  return `${head}\n${sections.join('\n')}`;
}

function section(name: string, schema: SchemaNode): string {
  const lines = [`## ${name}`, '', schema.description ?? '', ''];
  const entry = mapEntry(schema);
  if (schema.items?.properties !== undefined) {
    lines.push(`A list; settings of each of its entries, of which there may be ${schema.maxItems}:`, '', ...table(rows(schema.items, '')));
  } else if (entry === undefined) {
    lines.push(...table(rows(schema, '')));
  } else {
    lines.push(...defaultEntries(schema), `Settings of each entry (\`${name}.<name>\`; the name is ${schema.shape ?? entry.pattern}):`, '');
    lines.push(...table(rows(entry.schema, '')));
  }
  return `${lines.join('\n')}\n`;
}

type Row = { readonly path: string; readonly schema: SchemaNode; readonly required: boolean };

function rows(schema: SchemaNode, prefix: string): Row[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, sub]) => {
    const path = `${prefix}${key}`;
    const self = { path, schema: sub, required: schema.required?.includes(key) ?? false };
    if (sub.properties !== undefined) return [self, ...rows(sub, `${path}.`)];
    const entry = mapEntry(sub);
    if (entry !== undefined) return [self, ...rows(entry.schema, `${path}.<name>.`)];
    if (sub.items?.properties !== undefined) return [self, ...rows(sub.items, `${path}[].`)];
    return [self];
  });
}

function table(all: readonly Row[]): string[] {
  const out = ['| setting | default | allowed | meaning |', '|---|---|---|---|'];
  for (const { path, schema, required } of all) {
    const live = schema.live === true ? ' **live**' : '';
    out.push(`| \`${path}\` | ${shownDefault(schema, required)} | ${allowed(schema)} | ${cell(schema.description ?? '')}${live} |`);
  }
  return out;
}

function shownDefault(schema: SchemaNode, required: boolean): string {
  if (schema.properties !== undefined || schema.patternProperties !== undefined) return '';
  if (schema.default === undefined) return required ? '*required*' : '*none*';
  const unit = quantityUnit(schema.unit);
  if (unit !== undefined && typeof schema.default === 'number') {
    const human = formatQuantity(unit, schema.default);
    return /^\d+(B|ms|s)$/.test(human) && String(schema.default) === human.replace(/\D+$/, '')
      ? `\`${schema.default}\``
      : `\`${schema.default}\` (${human})`;
  }
  return `\`${JSON.stringify(schema.default)}\``;
}

function allowed(schema: SchemaNode): string {
  if (schema.properties !== undefined || schema.patternProperties !== undefined) return '';
  if (schema.enum !== undefined) return schema.enum.map((word) => `\`${word}\``).join(', ');
  return cell(allowedValues(schema)) || 'text';
}

function defaultEntries(schema: SchemaNode): string[] {
  const entries = Object.entries((schema.default ?? {}) as Record<string, Record<string, unknown>>);
  if (entries.length === 0) return [];
  const columns = [...new Set(entries.flatMap(([, values]) => Object.keys(values)))];
  return [
    'By default:',
    '',
    `| name | ${columns.join(' | ')} |`,
    `|---|${columns.map(() => '---').join('|')}|`,
    ...entries.map(([name, values]) => `| \`${name}\` | ${columns.map((column) => shownCell(values[column])).join(' | ')} |`),
    '',
  ];
}

function shownCell(value: unknown): string {
  return value === undefined ? '' : `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('*', '\\*');
}
