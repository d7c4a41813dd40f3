import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testJournal } from '../../../test/contracts/journal.ts';
import { SqliteJournal } from './sqlite-journal.ts';

testJournal({
  name: 'the journal in SQLite',
  place() {
    const directory = fs.mkdtempSync(join(tmpdir(), 'heliograph-journal-'));
    return {
      journal: () => new SqliteJournal({ path: join(directory, 'shard-0.db') }),
      backup: () => {
        const path = join(directory, 'backup.db');
        return { path, journal: () => new SqliteJournal({ path }) };
      },
      remove: () => fs.promises.rm(directory, { recursive: true }),
    };
  },
});
