// Journals in a directory that goes with the test.

import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

export function temporaryDirectory(context: TestContext): string {
  const directory = fs.mkdtempSync(join(tmpdir(), 'heliograph-journal-'));
  context.after(() => fs.rmSync(directory, { recursive: true, force: true }));
  return directory;
}
