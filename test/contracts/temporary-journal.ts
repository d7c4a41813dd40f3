// Journals in a directory that goes with the test.

import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { SqliteJournal, type SqliteJournalOptions } from '../../src/store/sqlite/sqlite-journal.ts';
import { openJournal, type Opened } from './opened-journal.ts';

export function temporaryDirectory(context: TestContext): string {
  const directory = fs.mkdtempSync(join(tmpdir(), 'heliograph-journal-'));
  context.after(() => fs.rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export type OpenedSqlite = Opened & { readonly journal: SqliteJournal };

/** Opens a journal that is closed with the test, should the test not come to it. */
export async function openSqlite(context: TestContext, path: string, options: Partial<SqliteJournalOptions> = {}): Promise<OpenedSqlite> {
  const journal = new SqliteJournal({ path, retryMs: 5, ...options });
  context.after(() => journal.close());
  return { ...(await openJournal(journal)), journal };
}

/** Looks again and again, a turn of the event loop apart, until it is so. The runner's time-out ends a test that waits in vain. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
