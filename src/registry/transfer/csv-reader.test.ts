import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CsvReader, csvLine, maxCells, maxRecordLength, type CsvRecord } from './csv-reader.ts';

function read(pieces: readonly string[]): CsvRecord[] {
  const reader = new CsvReader();
  return [...pieces.flatMap((piece) => reader.push(piece)), ...reader.end()];
}

/** A record as `line: a|b`, or `line! what is wrong`. */
function brief(record: CsvRecord): string {
  return 'fault' in record ? `${record.line}! ${record.fault}` : `${record.line}: ${record.cells.join('|')}`;
}

const cases: readonly [text: string, records: string[]][] = [
  ['', []],
  ['a', ['1: a']],
  ['a,b\n', ['1: a|b']],
  ['\uFEFFa,b\r\nc,d\r\n', ['1: a|b', '2: c|d']],
  ['a,,\n,\n', ['1: a||', '2: |']],
  ['\n\na\n\n', ['3: a']],
  ['\r\na\r\n', ['2: a']],
  ['"a,b",c\n', ['1: a,b|c']],
  ['"a ""b""",""\n', ['1: a "b"|']],
  ['""\n', ['1: ']],
  ['""', ['1: ']],
  ['"a\nb\r\nc",d\ne\n', ['1: a\nb\r\nc|d', '4: e']],
  ['"a"\r\nb', ['1: a', '2: b']],
  [' a , b \n', ['1:  a | b ']],
  ['a"b,c\nd\n', ['1! has a quote in a cell that is not quoted', '2: d']],
  ['"a"b,c\nd\n', ['1! has text behind a quoted cell', '2: d']],
  ['"a"\rb\nd\n', ['1! has text behind a quoted cell', '2: d']],
  ['a\n"b,c\nd', ['1: a', '2! has a quoted cell that never ends']],
  [`a\n${','.repeat(maxCells)}\nb\n`, ['1: a', `2! has more than ${maxCells} cells`, '3: b']],
  [`a\n${'x'.repeat(maxRecordLength + 1)}\nb\n`, ['1: a', `2! is longer than ${maxRecordLength} characters`, '3: b']],
];

test('records are read as they stand, whole and cut at every place', () => {
  for (const [text, records] of cases) {
    assert.deepEqual(read([text]).map(brief), records, JSON.stringify(text.slice(0, 40)));
    if (text.length > 100) continue;
    assert.deepEqual(read(text.split('')).map(brief), records, JSON.stringify(text));
    for (let cut = 1; cut < text.length; cut++) assert.deepEqual(read([text.slice(0, cut), text.slice(cut)]).map(brief), records);
  }
});

test('a quote that never ends costs a bounded part of the file, and no memory', () => {
  const reader = new CsvReader();
  const lines = 'x'.repeat(1000).concat('\n').repeat(1000);
  const found = [...reader.push('"'), ...Array.from({ length: 5 }, () => reader.push(lines)).flat(), ...reader.end()];
  assert.equal(brief(found[0]!), `1! is longer than ${maxRecordLength} characters`);
  assert.equal(brief(found[1]!).length, 'x'.repeat(1000).length + '264: '.length);
  assert.ok(found.length > 4700, `${found.length} records`);
});

test('what is written is what is read, wherever it is cut', () => {
  const cell = fc.oneof(fc.string({ unit: fc.constantFrom('a', ',', '"', '\n', '\r', ';', 'ä') }), fc.string({ unit: 'grapheme' }));
  const table = fc.array(fc.array(cell, { minLength: 1, maxLength: 4 }), { maxLength: 5 });
  const property = fc.property(table, fc.array(fc.nat(60), { maxLength: 5 }), (rows, cuts) => {
    const text = rows.map(csvLine).join('');
    // A byte order mark at the very beginning belongs to the file, not to the cell.
    fc.pre(!text.startsWith('\uFEFF'));
    const places = [0, ...cuts.filter((cut) => cut < text.length).sort((a, b) => a - b), text.length];
    const pieces = places.slice(1).map((place, i) => text.slice(places[i], place));
    assert.deepEqual(
      read(pieces).map((record) => ('cells' in record ? record.cells : record.fault)),
      rows,
    );
  });
  fc.assert(property, { numRuns: 500 });
});
