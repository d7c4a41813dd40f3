import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readPolicyFiles, readPolicyText } from './policy-files.ts';

const document = { version: 1, statements: [{ effect: 'allow', actions: ['publish'], topics: ['a'] }] };
const yaml = 'version: 1\nstatements:\n  - { effect: allow, actions: [publish], topics: [a] }\n';

test('YAML and JSON say the same', () => {
  for (const text of [yaml, JSON.stringify(document)]) {
    const reading = readPolicyText(text);
    assert.ok(reading.ok, text);
    assert.equal(JSON.stringify(reading.document), JSON.stringify(document));
  }
});

test('what is broken is told in words', () => {
  const cases: [string, RegExp][] = [
    ['', /must be an object|is missing/],
    ['version: 1\nversion: 1\nstatements: []\n', /not YAML: .*unique/],
    ['version: 1\nstatements: *all\n', /anchor|not YAML/],
    ['version: 1\nstatements: &all [*all]\n', /anchor|must be an object/],
    [`${yaml}extra: 1\n`, /not known here/],
    [`${yaml}__proto__: { effect: allow }\n`, /not known here|must be an object/],
    ['- 1\n', /must be an object/],
    ['{"version": 1, "version": 1}', /twice/],
    [`# ${'x'.repeat(70_000)}\n${yaml}`, /larger than/],
    ['a: [', /not YAML/],
    ['a: !!js/function x\n', /not YAML|not known/],
  ];
  for (const [text, what] of cases) {
    const reading = readPolicyText(text);
    assert.ok(!reading.ok, text.slice(0, 80));
    assert.match(reading.faults.map((fault) => fault.what).join('; '), what, text.slice(0, 80));
  }
});

test('files are read with their names, and every fault names its file', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'heliograph-policies-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const [good, bad, large] = ['good.yaml', 'bad.json', 'large.yaml'].map((name) => join(directory, name)) as [string, string, string];
  writeFileSync(good, yaml);
  writeFileSync(bad, '{"version": 1, "statements": [{"effect": "x"}]}');
  writeFileSync(large, 'x'.repeat(1_000_000));
  assert.deepEqual(
    readPolicyFiles([good]).map(({ name }) => name),
    [good],
  );
  assert.throws(
    () => readPolicyFiles([good, bad]),
    (error: Error) => {
      assert.match(error.message, /bad\.json: statements\[0\]\.effect is "x".*\n.*bad\.json: statements\[0\]\.actions is missing/);
      return true;
    },
  );
  assert.throws(() => readPolicyFiles([large]), /larger than/);
  assert.throws(() => readPolicyFiles([join(directory, 'missing')]), { name: 'UserError', message: /cannot be read/ });
});
