import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { forEachRecord } from '../../store/row.ts';
import { RecordReader } from './record-reader.ts';
import { RowWriter } from './row-writer.ts';

test('texts of any length and script come back as they were', () => {
  const texts = fc.array(
    fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.string({ minLength: 100, maxLength: 300 }),
      fc.constant('a'.repeat(127)),
      fc.constant('é'.repeat(127)),
    ),
  );
  fc.assert(
    fc.property(texts, (values) => {
      const writer = new RowWriter();
      writer.begin(1);
      for (const value of values) writer.string(value);
      writer.u8(77);
      writer.end();
      const row = writer.finish();
      forEachRecord(row, (_index, _kind, start, end) => {
        const reader = new RecordReader(row, start, end);
        for (const value of values) assert.equal(reader.string(), value);
        assert.equal(reader.u8(), 77);
        assert.equal(reader.at, end);
      });
    }),
  );
});

test('what a scratch buffer held before does not show', () => {
  const writer = new RowWriter();
  for (const value of ['x'.repeat(60) + 'é', 'short', 'ö']) {
    writer.begin(1);
    writer.string(value);
    writer.end();
    const row = writer.finish();
    forEachRecord(row, (_index, _kind, start, end) => {
      const reader = new RecordReader(row, start, end);
      assert.equal(reader.string(), value);
      assert.equal(reader.at, end);
    });
  }
});
