// Every release reads what every earlier release wrote: the fixtures were written by the release that brought each format
// (tools/journal-fixture.ts), and are never written again.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readBytes, isJournalError, readRow } from '../../../test/contracts/opened-journal.ts';
import { openSqlite, temporaryDirectory } from '../../../test/contracts/temporary-journal.ts';
import { schemaVersion } from './schema.ts';

type Holds = { checkpoint: number; next: number; rows: Record<string, string> };

const fixtures = join(import.meta.dirname, '..', '..', '..', 'test', 'fixtures');

for (let format = 1; format <= schemaVersion; format++) {
  test(`a journal of format ${format} is read, row for row, and goes on`, async (context) => {
    const source = join(fixtures, `journal-format-${format}`);
    const holds = JSON.parse(fs.readFileSync(join(source, 'holds.json'), 'utf8')) as Holds;
    const path = join(temporaryDirectory(context), 'shard-0.db');
    fs.copyFileSync(join(source, 'shard-0.db'), path);
    const { journal, events, rows, next } = await openSqlite(context, path);
    assert.equal(next, holds.next);
    assert.equal([...rows.keys()][0], holds.checkpoint);
    for (let row = 1; row < holds.next; row++) {
      const expected = holds.rows[row];
      if (expected === undefined) isJournalError('missing')(await readRow(journal, row));
      else assert.equal(Buffer.from(await readBytes(journal, row)).toString('base64'), expected, `row ${row}`);
      if (row >= holds.checkpoint) assert.equal(Buffer.from(rows.get(row)!).toString('base64'), expected, `row ${row}`);
    }
    journal.append(next, Uint8Array.of(1));
    journal.checkpoint(next);
    journal.discard(Object.keys(holds.rows).map(Number));
    await events.untilDurable(next);
    await journal.close();
  });
}
