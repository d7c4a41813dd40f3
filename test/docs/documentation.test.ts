// The documentation about configuration is true: the reference is what the schema says, and every example passes the check.

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseConfig } from '../../src/config.ts';
import { commandsReference } from '../../tools/commands-reference.ts';
import { configurationReference } from '../../tools/configuration-reference.ts';
import { openApiDocument } from '../../tools/openapi-document.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const pages = globSync(['*.md', 'docs/**/*.md', 'examples/**/*.md'], { cwd: root }).sort();

test('docs/configuration.md is what the schema says; if not, run "npm run docs"', () => {
  assert.equal(readFileSync(`${root}docs/configuration.md`, 'utf8'), configurationReference());
});

test('docs/openapi.json is what the API says; if not, run "npm run docs"', async () => {
  assert.equal(readFileSync(`${root}docs/openapi.json`, 'utf8'), await openApiDocument());
});

test('docs/commands.md is what the program says; if not, run "npm run docs"', () => {
  assert.equal(readFileSync(`${root}docs/commands.md`, 'utf8'), commandsReference());
});

for (const page of pages) {
  for (const { line, source } of yamlExamples(readFileSync(`${root}${page}`, 'utf8'))) {
    test(`${page}:${line}: the example passes "heliograph config check"`, () => {
      // The lines before it keep their numbers, so that a mistake is told with its line on the page.
      parseConfig(page, '\n'.repeat(line) + source);
    });
  }
}

for (const file of globSync('examples/**/heliograph*.yaml', { cwd: root })) {
  test(`${file} passes "heliograph config check"`, () => {
    parseConfig(file, readFileSync(`${root}${file}`, 'utf8'));
  });
}

test('at least one example was found', () => {
  assert.ok(yamlExamples(readFileSync(`${root}docs/configuration.md`, 'utf8')).length > 0);
});

/** Every block fenced as yaml, with the line of its fence, from 1. */
function yamlExamples(page: string): { line: number; source: string }[] {
  const found: { line: number; source: string }[] = [];
  let open: { line: number; lines: string[] } | undefined;
  for (const [i, text] of page.split('\n').entries()) {
    if (open === undefined) {
      if (/^\s*```yaml\s*$/.test(text)) open = { line: i + 1, lines: [] };
    } else if (/^\s*```\s*$/.test(text)) {
      found.push({ line: open.line, source: `${open.lines.join('\n')}\n` });
      open = undefined;
    } else {
      open.lines.push(text);
    }
  }
  return found;
}
