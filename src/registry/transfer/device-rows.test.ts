import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Entry } from '../entries.ts';
import { CsvReader } from './csv-reader.ts';
import {
  deviceColumns,
  deviceCsvHeader,
  deviceOfCells,
  deviceOfJson,
  deviceToCsv,
  deviceToJson,
  type DeviceRow,
  type Parsed,
} from './device-rows.ts';

function good<T>(parsed: Parsed<T>): T {
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.why);
  return parsed.value;
}

function why(parsed: Parsed<unknown>): string {
  assert.ok(!parsed.ok, 'it should be refused');
  return parsed.why;
}

function row(header: string, ...cells: string[]): DeviceRow {
  return good(deviceOfCells(good(deviceColumns(header.split(','))), cells));
}

test('a header names columns that there are, each once, and the id', () => {
  assert.deepEqual(good(deviceColumns([' id ', 'label:site'])), ['id', 'label:site']);
  assert.match(why(deviceColumns(['id', 'colour'])), /unknown column "colour"/);
  assert.match(why(deviceColumns(['id', 'label:'])), /unknown column "label:"/);
  assert.match(why(deviceColumns(['status'])), /no column "id"/);
  assert.match(why(deviceColumns(['id', 'labels', 'id'])), /column "id" twice/);
});

test('cells become fields; what has no column is left alone', () => {
  assert.deepEqual(row('id', 'a'), { id: 'a', tenant: undefined, fields: {} });
  const all = row('id,tenant,status,groups,roles,labels', 'a', 'main', 'disabled', 'g;h', '', 'k=v;w=x=y');
  assert.deepEqual(all, {
    id: 'a',
    tenant: 'main',
    fields: { status: 'disabled', groups: ['g', 'h'], roles: [], labels: { k: 'v', w: 'x=y' } },
  });
  assert.deepEqual(row('id,status,tenant', 'a', '', ''), { id: 'a', tenant: undefined, fields: {} });
  assert.deepEqual(row('id,label:site,label:floor', 'a', 'Berlin', '').fields, { labels: { site: 'Berlin' } });
  assert.deepEqual(row('id,groups', 'a', 'x\\;y;z\\\\;\\').fields, { groups: ['x;y', 'z\\', '\\'] });
  const columns = ['id', 'labels', 'label:k'];
  assert.match(why(deviceOfCells(columns, ['a', '', ''].slice(1))), /2 cells, the header 3/);
  assert.match(why(deviceOfCells(columns, ['a', 'k', ''])), /without a value/);
  assert.match(why(deviceOfCells(columns, ['a', 'k=1', '2'])), /label "k" twice/);
  const odd = good(deviceOfCells(columns, ['a', '__proto__=x', '']));
  assert.deepEqual(Object.keys(odd.fields.labels!), ['__proto__'], 'an ordinary key, for the registry to refuse');
});

test('a line of JSON is an object with an id', () => {
  assert.deepEqual(good(deviceOfJson('{"id":"a","groups":["g"]}')), { id: 'a', tenant: undefined, fields: { groups: ['g'] } });
  for (const [text, what] of [
    ['{', /not JSON/],
    ['[]', /object/],
    ['null', /object/],
    ['{}', /"id"/],
    ['{"id":1}', /"id"/],
    ['{"id":"a","tenant":1}', /"tenant"/],
  ] as const) {
    assert.match(why(deviceOfJson(text)), what);
  }
});

test('what is exported is imported as it was', () => {
  const name = fc.stringMatching(/^[a-z0-9;,"'\\ äß=:-]{1,12}$/).filter((text) => text.trim() === text);
  const device = fc.record({
    id: name,
    status: fc.constantFrom('active' as const, 'disabled' as const),
    groups: fc.array(name, { maxLength: 3 }),
    roles: fc.array(name, { maxLength: 3 }),
    labels: fc.dictionary(fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,8}$/), name, { maxKeys: 3, noNullPrototype: true }),
  });
  const property = fc.property(device, (fields) => {
    const entry: Entry<'device'> = { tenant: 'main', version: 1, createdMs: 0, updatedMs: 0, ...fields };
    const { id, ...expected } = fields;
    const reader = new CsvReader();
    const [header, record] = reader.push(deviceCsvHeader + deviceToCsv(entry));
    assert.ok(header !== undefined && 'cells' in header && record !== undefined && 'cells' in record);
    assert.deepEqual(good(deviceOfCells(good(deviceColumns(header.cells)), record.cells)), { id, tenant: undefined, fields: expected });
    assert.deepEqual(good(deviceOfJson(deviceToJson(entry))), { id, tenant: undefined, fields: expected });
  });
  fc.assert(property, { numRuns: 300 });
});
