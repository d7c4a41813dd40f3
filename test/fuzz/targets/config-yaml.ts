// Any text as a configuration file.

import assert from 'node:assert/strict';
import { ConfigError, defaultConfig, parseConfig } from '../../../src/config.ts';
import type { Target } from '../target.ts';

const text = new TextDecoder();
const bytes = (string: string): Uint8Array => new TextEncoder().encode(string);
const names = namesOf(defaultConfig());

/** Every key of the configuration: the search would not guess them. */
function namesOf(value: unknown, found = new Set<string>()): string[] {
  if (Array.isArray(value)) for (const each of value) namesOf(each, found);
  else if (typeof value === 'object' && value !== null) {
    for (const [name, inner] of Object.entries(value)) {
      found.add(name);
      namesOf(inner, found);
    }
  }
  return [...found];
}

function run(input: Uint8Array): readonly string[] {
  const source = text.decode(input);
  try {
    const config = parseConfig('fuzz.yaml', source);
    // What the broker will run with is whole: as many sections as without a file.
    assert.deepEqual(Object.keys(config).sort(), Object.keys(defaultConfig()).sort());
    return ['good'];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    assert.ok(error.problems.length > 0);
    const lines = source.split(/\r\n|\r|\n/).length;
    const seen: string[] = [];
    for (const { line, column, what, fix } of error.problems) {
      assert.ok(line >= 1 && line <= lines + 1, `line ${line} of ${lines}`);
      assert.ok(column >= 1, `column ${column}`);
      assert.ok(what.length > 0 && fix.length > 0, 'a mistake is told with what is wrong and the fix');
      seen.push(what.replace(/[^a-z ]+.*$/, '').slice(0, 12));
    }
    return seen;
  }
}

export const target: Target = {
  name: 'config-yaml',
  properties: [
    'a text is a whole configuration, or is refused with ConfigError and nothing else',
    'every mistake has a line and column of the text, says what is wrong and how to mend it',
  ],
  covers: /\/src\/config(\.ts$|\/)/,
  maxBytes: 4096,
  slowMs: 500,
  seeds: [
    '',
    '{}',
    'store:\n  kind: memory\n',
    'store: { kind: sqlite, shards: 8 }\nlog: { level: debug }\n',
    '- 1\n- 2\n',
    'log: *missing\n',
    'a: &a [*a]\n',
    '---\n...\n---\n',
    ...names.map((name) => `${name}: {}\n`),
  ].map(bytes),
  dictionary: [
    ...names,
    ': ',
    '\n  ',
    '- ',
    '&a ',
    '*a',
    '!!binary ',
    '!!set',
    '<<: ',
    '|\n',
    '{',
    '}',
    '[',
    ']',
    '"',
    '# ',
    '? ',
    '1e999',
    '10 MiB',
    '5 s',
    'null',
    '~',
    '.inf',
    '0x10',
  ].map(bytes),
  run,
};
