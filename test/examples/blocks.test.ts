import assert from 'node:assert/strict';
import { test } from 'node:test';
import { examplesIn } from './blocks.ts';

test('finds shell blocks with their lines and remarks', () => {
  const page = [
    '# A',
    '',
    '```sh',
    'one',
    'two',
    '```',
    '',
    '```yaml',
    'a: 1',
    '```',
    '<!-- run: background -->',
    '',
    '```sh',
    'serve',
    '```',
    '<!-- run: no, it is night -->',
    '```sh',
    'sleep',
    '```',
  ];
  assert.deepEqual(examplesIn('a.md', page.join('\n')), [
    { file: 'a.md', line: 4, script: 'one\ntwo', how: 'run' },
    { file: 'a.md', line: 9, script: 'a: 1', how: 'configuration' },
    { file: 'a.md', line: 14, script: 'serve', how: 'background' },
    { file: 'a.md', line: 18, script: 'sleep', how: { no: 'it is night' } },
  ]);
});

test('refuses a remark that nobody understands', () => {
  assert.throws(() => examplesIn('a.md', '<!-- run: perhaps -->\n```sh\nx\n```'), /a\.md:1: "run: perhaps"/);
});
