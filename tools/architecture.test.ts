import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { importsOf, rooms, violations, withoutComments, type SourceFile } from './architecture.ts';

const root = join(import.meta.dirname, '..');

function sources(): SourceFile[] {
  const files: SourceFile[] = [];
  for (const folder of ['src', 'sim', 'test', 'bench', 'tools']) {
    for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
      const path = join(entry.parentPath, entry.name);
      if (!path.includes('node_modules'))
        files.push({ path: relative(root, path).replaceAll('\\', '/'), text: readFileSync(path, 'utf8') });
    }
  }
  return files;
}

test('imports run downward only, sockets, files and time stay in their rooms', () => {
  const files = sources();
  assert.ok(files.length > 50, 'the scan must see the project');
  assert.deepEqual(violations(files), []);
});

test('every room of the rules exists', () => {
  const paths = sources().map((file) => file.path);
  for (const room of Object.keys(rooms)) {
    const prefix = room.replace('*', '');
    assert.ok(paths.includes(`${room}.ts`) || paths.some((path) => path.startsWith(prefix)), `${room} is in tools/architecture.ts only`);
  }
});

function problemsOf(path: string, text: string): string[] {
  return violations([{ path, text }]);
}

test('each kind of violation is found', () => {
  const bad: [path: string, text: string, answer: RegExp][] = [
    ['src/base/x.ts', `import { a } from '../message/message.ts';`, /nothing outside itself/],
    ['src/message/x.ts', `export { a } from '../broker/port.ts';`, /may import only src\/base/],
    ['src/broker/x.ts', `import type {\n  A,\n} from '../protocols/protocol.ts';`, /may import only/],
    ['src/broker/x.ts', `import '../store/sqlite/worker.ts';`, /may import only/],
    ['src/broker/x.ts', `const x = await import('../node.ts');`, /may import only/],
    ['src/protocols/mqtt/x.ts', `import { a } from '../amqp/codec.ts';`, /may import only/],
    ['src/protocols/mqtt/x.ts', `import { a } from '../../broker/queue.ts';`, /broker\/port\.ts/],
    ['src/protocols/mqtt/x.ts', `import { connect } from 'node:net';`, /Wire/],
    ['src/net/x.ts', `import { a } from '../../test/harness/client.ts';`, /outside src/],
    ['src/net/x.ts', `import { a } from './y.test.ts';`, /for tests/],
    ['src/net/x.ts', `import { a } from './testing/y.ts';`, /for tests/],
    ['src/broker/x.ts', `const now = Date.now();`, /:1: Date\.now: .*Clock/],
    ['src/message/x.ts', `a();\nsetTimeout(a, 1);`, /:2: setTimeout: .*Timers/],
    ['src/broker/x.ts', `const x = Math.random();`, /Random/],
    ['src/broker/x.ts', `import { randomBytes } from 'node:crypto';`, /Random/],
    ['src/security/x.ts', `import { DatabaseSync } from 'node:sqlite';`, /journal/],
    ['src/net/x.ts', `import { readFileSync } from 'node:fs';`, /files belong/],
    ['src/admin/x.ts', `import pino from 'pino';`, /base\/log\.ts/],
    ['src/attic/x.ts', ``, /no room/],
    ['src/base/string-utils.ts', ``, /named after/],
    ['test/helpers/x.ts', ``, /named after/],
  ];
  for (const [path, text, answer] of bad) {
    const found = problemsOf(path, text);
    assert.equal(found.length, 1, `${path}: ${text} → ${found.join('; ')}`);
    assert.match(found[0]!, answer);
  }
});

test('what is allowed is not complained about', () => {
  const good: [path: string, text: string][] = [
    ['src/broker/x.ts', `import { a } from './queue.ts';\nimport type { J } from '../store/journal.ts';`],
    ['src/broker/x.ts', `// Date.now() would be wrong here\n/* setTimeout\n too */`],
    ['src/broker/testing/x.ts', `import { a } from '../../store/memory/memory-journal.ts';`],
    ['src/broker/x.test.ts', `import { a } from '../protocols/mqtt/connection.ts';`],
    ['src/protocols/mqtt/codec/x.ts', `import { a } from '../options.ts';\nimport { b } from '../../protocol.ts';`],
    ['src/protocols/registry.ts', `import { mqtt } from './mqtt/index.ts';`],
    ['src/net/x.ts', `import { createServer } from 'node:net';`],
    ['src/config.ts', `import { readFileSync } from 'node:fs';\nimport { a } from './config/check.ts';`],
    ['src/node.ts', `import { a } from './store/sqlite/journal.ts';`],
    ['test/harness/x.ts', `setTimeout(() => {}, 1);`],
  ];
  for (const [path, text] of good) assert.deepEqual(problemsOf(path, text), [], path);
});

test('the scanner reads imports of all forms, and no comments', () => {
  const text = `import a, { b } from 'one';\nimport * as c from "two"; export * from 'three';\nimport 'four';\nawait import('five');\n// import 'six'`;
  assert.deepEqual(importsOf(withoutComments(text)).sort(), ['five', 'four', 'one', 'three', 'two']);
  assert.equal(withoutComments(`a('mqtt://x') // b\nc/* d\n */`), `a('mqtt://x') \nc    \n   `);
});
