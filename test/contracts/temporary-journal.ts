// Journals in a directory that goes with the test.

import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { SqliteJournal, type SqliteJournalOptions } from '../../src/store/sqlite/sqlite-journal.ts';
import { openJournal, type Opened } from './opened-journal.ts';

export function temporaryDirectory(context: TestContext): string {
  const directory = fs.mkdtempSync(join(tmpdir(), 'heliograph-journal-'));
  atEnd(context, () => fs.rmSync(directory, { recursive: true, force: true }));
  return directory;
}

type Ending = () => void | Promise<void>;
const endings = new WeakMap<TestContext, Ending[]>();

/** Runs when the test ends, latest first: the runner's own hooks run in the order in which they were added. */
export function atEnd(context: TestContext, ending: Ending): void {
  const known = endings.get(context);
  if (known !== undefined) {
    known.push(ending);
    return;
  }
  const list = [ending];
  endings.set(context, list);
  context.after(async () => {
    for (const ending of list.reverse()) await ending();
  });
}

export type OpenedSqlite = Opened & { readonly journal: SqliteJournal };

/** Opens a journal that is closed with the test, should the test not come to it. */
export async function openSqlite(context: TestContext, path: string, options: Partial<SqliteJournalOptions> = {}): Promise<OpenedSqlite> {
  const journal = new SqliteJournal({ path, retryMs: 5, ...options });
  atEnd(context, () => journal.close());
  return { ...(await openJournal(journal)), journal };
}

/** Looks again and again, a turn of the event loop apart, until it is so. The runner's time-out ends a test that waits in vain. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
