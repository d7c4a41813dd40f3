// Devices as rows of a file: what a line of CSV or of JSON says, and how it is written.
//
//   CSV    a header names the columns: id, and any of status, groups, roles, labels, label:KEY, tenant
//          lists: a;b;c    labels: site=Berlin;floor=3    a backslash before ; and \ in a name or value
//   JSON   one object a line: {"id": "pump-7", "status": "active", "labels": {}, "groups": [], "roles": []}
//
// A column or key that is not there leaves the field as it is, or gives a new device the default.

import type { Entry, Fields, NewFields } from '../entries.ts';
import { csvLine } from './csv-reader.ts';

export type DeviceRow = { readonly id: string; readonly tenant: string | undefined; readonly fields: NewFields<'device'> };

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly why: string };

const fault = (why: string): Parsed<never> => ({ ok: false, why });

const plainColumns = ['id', 'tenant', 'status', 'groups', 'roles', 'labels'];
const labelPrefix = 'label:';

/** What the header says, or why it cannot be used. */
export function deviceColumns(header: readonly string[]): Parsed<readonly string[]> {
  const columns = header.map((name) => name.trim());
  const unknown = columns.find(
    (name) => !plainColumns.includes(name) && !(name.startsWith(labelPrefix) && name.length > labelPrefix.length),
  );
  if (unknown !== undefined)
    return fault(`has the unknown column "${unknown.slice(0, 80)}"; there are ${plainColumns.join(', ')} and label:KEY`);
  if (!columns.includes('id')) return fault('has no column "id"');
  const twice = columns.find((name, i) => columns.indexOf(name) !== i);
  if (twice !== undefined) return fault(`has the column "${twice.slice(0, 80)}" twice`);
  return { ok: true, value: columns };
}

export function deviceOfCells(columns: readonly string[], cells: readonly string[]): Parsed<DeviceRow> {
  if (cells.length !== columns.length) return fault(`has ${cells.length} cells, the header ${columns.length}`);
  const fields: { -readonly [F in keyof Fields['device']]?: Fields['device'][F] } = {};
  // Without a prototype, so that no key means anything but itself.
  const labels = Object.create(null) as Record<string, string>;
  let id = '';
  let tenant: string | undefined;
  let hasLabels = false;
  for (const [i, column] of columns.entries()) {
    const cell = cells[i]!;
    if (column === 'id') id = cell;
    else if (column === 'tenant') tenant = cell === '' ? undefined : cell;
    else if (column === 'status') {
      if (cell !== '') fields.status = cell as Fields['device']['status'];
    } else if (column === 'groups' || column === 'roles') fields[column] = splitList(cell);
    else {
      hasLabels = true;
      const added = column === 'labels' ? splitList(cell) : cell === '' ? [] : [`${column.slice(labelPrefix.length)}=${cell}`];
      for (const pair of added) {
        const sign = pair.indexOf('=');
        if (sign === -1) return fault(`has the label "${pair.slice(0, 80)}" without a value; write key=value`);
        const key = pair.slice(0, sign);
        if (key in labels) return fault(`has the label "${key.slice(0, 80)}" twice`);
        labels[key] = pair.slice(sign + 1);
      }
    }
  }
  if (hasLabels) fields.labels = { ...labels };
  return { ok: true, value: { id, tenant, fields } };
}

export function deviceOfJson(text: string): Parsed<DeviceRow> {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    return fault('is not JSON');
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return fault('is not a JSON object');
  const { id, tenant, ...fields } = given as Record<string, unknown>;
  if (typeof id !== 'string') return fault('has no text "id"');
  if (tenant !== undefined && typeof tenant !== 'string') return fault('has a "tenant" that is not text');
  // What the fields hold is checked by the registry, as of every write.
  return { ok: true, value: { id, tenant, fields } };
}

export const deviceCsvHeader = csvLine(['id', 'status', 'groups', 'roles', 'labels']);

export function deviceToCsv({ id, status, groups, roles, labels }: Entry<'device'>): string {
  const pairs = Object.entries(labels).map(([key, text]) => `${key}=${text}`);
  return csvLine([id, status, joinList(groups), joinList(roles), joinList(pairs)]);
}

export function deviceToJson({ id, status, groups, roles, labels }: Entry<'device'>): string {
  return `${JSON.stringify({ id, status, groups, roles, labels })}\n`;
}

function joinList(items: readonly string[]): string {
  return items.map((item) => item.replace(/[\\;]/g, (sign) => `\\${sign}`)).join(';');
}

function splitList(cell: string): string[] {
  if (cell === '') return [];
  if (!cell.includes('\\')) return cell.split(';');
  const items = [''];
  for (let i = 0; i < cell.length; i++) {
    const sign = cell[i]!;
    if (sign === ';') items.push('');
    else items[items.length - 1] += sign === '\\' && i + 1 < cell.length ? cell[++i]! : sign;
  }
  return items;
}
