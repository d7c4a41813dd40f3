import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testJournal } from '../../../test/contracts/journal.ts';
import { RecordedEvents } from '../../../test/contracts/recorded-events.ts';
import { MemoryContents, MemoryJournal } from './memory-journal.ts';

testJournal({
  name: 'the journal in memory',
  noBackup: 'memory has no files',
  place() {
    const contents = new MemoryContents();
    return {
      journal: () => new MemoryJournal({ contents }),
      backup: () => {
        throw new Error('memory has no files');
      },
      remove: () => Promise.resolve(),
    };
  },
});

test('a handed-in scheduler decides when rows are durable', async () => {
  const tasks: (() => void)[] = [];
  const journal = new MemoryJournal({ schedule: (task) => tasks.push(task) });
  const events = new RecordedEvents();
  await journal.open(events, () => {});
  journal.append(1, Uint8Array.of(1));
  journal.append(2, Uint8Array.of(2));
  assert.equal(tasks.length, 1, 'one report for what is appended before it runs');
  assert.equal(events.durableRow, 0);
  tasks.shift()!();
  assert.deepEqual(events.durableRows, [2]);
  await assert.rejects(journal.backup('somewhere'), /nothing to back up/);
  await journal.close();
});

test('new journals share nothing', async () => {
  const first = new MemoryJournal();
  await first.open(new RecordedEvents(), () => {});
  first.append(1, Uint8Array.of(1));
  const second = new MemoryJournal();
  assert.equal(await second.open(new RecordedEvents(), () => {}), 1);
  await Promise.all([first.close(), second.close()]);
});
