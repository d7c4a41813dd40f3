// Every link of the documentation that stays within this repository leads somewhere: to a file, and to a heading of it.

import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const pages = globSync(['*.md', 'docs/**/*.md', 'bench/**/*.md', 'examples/**/*.md'], { cwd: root }).toSorted();

for (const page of pages) {
  test(`${page}: its links lead somewhere`, () => {
    assert.deepEqual(brokenLinks(page, readFileSync(join(root, page), 'utf8')), []);
  });
}

test('a link to a file or a heading that is not there is found', () => {
  const text = '# One\n\n[a](#one) [b](#two) [c](docs/none.md) [d](README.md#none) [e](https://example.com/x) `[f](#code)`\n';
  assert.deepEqual(brokenLinks('page.md', text), ['#two', 'docs/none.md', 'README.md#none']);
});

function brokenLinks(page: string, text: string): string[] {
  const prose = text.replaceAll(/^```[^]*?^```/gm, '').replaceAll(/`[^`\n]*`/g, '');
  const targets = [...prose.matchAll(/\]\(([^()\s]+)\)/g)].map(([, target]) => target!).filter((target) => !/^[a-z]+:/.test(target));
  return targets.filter((target) => {
    const [path = '', heading] = target.split('#');
    const file = path === '' ? page : join(dirname(page), path);
    if (path !== '' && !existsSync(join(root, file))) return true;
    return heading !== undefined && !anchorsOf(path === '' ? text : readFileSync(join(root, file), 'utf8')).has(heading);
  });
}

/** As GitHub makes them: lower case, spaces as hyphens, without punctuation. */
function anchorsOf(text: string): Set<string> {
  const prose = text.replaceAll(/^```[^]*?^```/gm, '');
  return new Set(
    [...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
      heading!
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(' ', '-'),
    ),
  );
}
