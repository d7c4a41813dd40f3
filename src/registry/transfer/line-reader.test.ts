import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LineReader, maxLineLength } from './line-reader.ts';

function read(pieces: readonly string[]): string[] {
  const reader = new LineReader();
  const lines = [...pieces.flatMap((piece) => reader.push(piece)), ...reader.end()];
  return lines.map((line) => ('fault' in line ? `${line.line}! ${line.fault}` : `${line.line}: ${line.text}`));
}

test('lines are read as they stand, whole and sign by sign', () => {
  const cases: readonly [text: string, lines: string[]][] = [
    ['', []],
    ['a', ['1: a']],
    ['\uFEFFa\nb\n', ['1: a', '2: b']],
    ['a\r\n\r\n  \n b\r\n', ['1: a', '4:  b']],
  ];
  for (const [text, lines] of cases) {
    assert.deepEqual(read([text]), lines);
    assert.deepEqual(read(text.split('')), lines);
  }
});

test('a line that is too long is told once, however it comes, and the next one is read', () => {
  const long = 'x'.repeat(maxLineLength + 1);
  const expected = ['1: a', `2! is longer than ${maxLineLength} characters`, '3: b'];
  assert.deepEqual(read([`a\n${long}\nb`]), expected);
  assert.deepEqual(read(['a\n', long, long, long, '\nb']), expected);
  assert.deepEqual(read([`a\n${'x'.repeat(maxLineLength)}`]).length, 2);
});
