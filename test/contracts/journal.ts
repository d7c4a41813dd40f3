// The suite that every implementation of the journal passes (src/store/journal.ts). What only one of them can do (crashes of
// a process, damaged files, full disks) is tested beside it.

import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import type { Journal } from '../../src/store/journal.ts';
import { frameRow, recordsOf } from './framed-row.ts';
import { modelProperty } from './journal-model.ts';
import { bytesOf, equalBytes, isJournalError, openJournal, readBytes, readRow } from './opened-journal.ts';
import { RecordedEvents } from './recorded-events.ts';

/** Somewhere to keep a journal; every `journal()` of the same place opens the same rows. */
export interface JournalPlace {
  journal(): Journal;
  /** A path for a backup, and how to open what was written there. */
  backup(): { path: string; journal: () => Journal };
  remove(): Promise<void>;
}

export type JournalSuite = {
  readonly name: string;
  readonly place: () => JournalPlace;
  /** Why it makes no backups. */
  readonly noBackup?: string;
};

export function testJournal(suite: JournalSuite): void {
  describe(suite.name, () => {
    const at: At = (body) => async (context) => {
      const { place, end } = closing(suite.place());
      try {
        await body(place, context);
      } finally {
        await end();
      }
    };
    for (const tests of [testRows, testOrder, testReads, testSpace, testTrim, testUse, testMisuse]) tests(at);
    testBackup(suite, at);
    test('any sequence of operations leaves what a model of it says', { timeout: 60_000 }, () => modelProperty(suite.place));
  });
}

/** A place that closes its journals at the end, also those of a test that failed: an open one would keep the process alive. */
function closing(place: JournalPlace): { place: JournalPlace; end: () => Promise<void> } {
  const journals: Journal[] = [];
  const noted = (journal: Journal): Journal => {
    journals.push(journal);
    return journal;
  };
  return {
    place: {
      journal: () => noted(place.journal()),
      backup() {
        const { path, journal } = place.backup();
        return { path, journal: () => noted(journal()) };
      },
      remove: () => place.remove(),
    },
    async end() {
      await Promise.all(journals.map((journal) => journal.close()));
      await place.remove();
    },
  };
}

type At = (body: (place: JournalPlace, context: TestContext) => Promise<void>) => (context: TestContext) => Promise<void>;

function testRows(at: At): void {
  test(
    'a new journal has no rows, and the first one is number 1',
    at(async (place) => {
      const { journal, rows, next } = await openJournal(place.journal());
      assert.equal(rows.size, 0);
      assert.equal(next, 1);
      await journal.close();
    }),
  );

  test(
    'rows come back in order and byte for byte, also empty and large ones',
    at(async (place) => {
      const sizes = [10, 0, 1, 300_000, 16_384, 65_537, 3_000_000, 5];
      const first = await openJournal(place.journal());
      sizes.forEach((size, i) => first.journal.append(i + 1, bytesOf(i + 1, size)));
      await first.events.untilDurable(sizes.length);
      await first.journal.close();
      const second = await openJournal(place.journal());
      assert.equal(second.next, sizes.length + 1);
      sizes.forEach((size, i) => assert.ok(equalBytes(second.rows.get(i + 1)!, bytesOf(i + 1, size)), `row ${i + 1}`));
      assert.equal(second.rows.size, sizes.length);
      await second.journal.close();
    }),
  );

  test(
    'many small rows, appended over several turns, come back in order',
    at(async (place) => {
      const count = 12_000;
      const first = await openJournal(place.journal());
      for (let row = 1; row <= count; row++) {
        first.journal.append(row, bytesOf(row, row % 90));
        if (row % 1000 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await first.journal.close();
      const second = await openJournal(place.journal());
      assert.equal(second.rows.size, count);
      for (const [row, bytes] of second.rows) assert.ok(equalBytes(bytes, bytesOf(row, row % 90)), `row ${row}`);
      await second.journal.close();
    }),
  );
}

function testOrder(at: At): void {
  test(
    'durable is told in a later turn, in rising order',
    at(async (place) => {
      const { journal, events } = await openJournal(place.journal());
      for (let row = 1; row <= 300; row++) {
        events.inCall = true;
        journal.append(row, bytesOf(row, 100));
        events.inCall = false;
        if (row % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await events.untilDurable(300);
      for (let i = 1; i < events.durableRows.length; i++) assert.ok(events.durableRows[i]! > events.durableRows[i - 1]!);
      assert.equal(events.durableRow, 300);
      assert.deepEqual(events.errors, []);
      await journal.close();
    }),
  );

  test(
    'append takes a copy',
    at(async (place) => {
      const { journal, events } = await openJournal(place.journal());
      const bytes = bytesOf(1, 1000);
      journal.append(1, bytes);
      bytes.fill(0);
      await events.untilDurable(1);
      assert.deepEqual(await readBytes(journal, 1), bytesOf(1, 1000));
      await journal.close();
    }),
  );
}

function testReads(at: At): void {
  test(
    'rows are read while they wait and after, and never from within the call',
    at(async (place) => {
      const { journal, events } = await openJournal(place.journal());
      for (let row = 1; row <= 20; row++) journal.append(row, bytesOf(row, 20_000 + row));
      let called = false;
      journal.read(3, () => {
        called = true;
      });
      assert.equal(called, false);
      for (let row = 1; row <= 20; row++) assert.deepEqual(await readBytes(journal, row), bytesOf(row, 20_000 + row));
      await events.untilDurable(20);
      for (let row = 20; row > 0; row--) assert.deepEqual(await readBytes(journal, row), bytesOf(row, 20_000 + row));
      await journal.close();
    }),
  );

  test(
    'a row that was never written is missing',
    at(async (place) => {
      const { journal } = await openJournal(place.journal());
      for (const row of [0, 1, 1000]) isJournalError('missing')(await readRow(journal, row));
      await journal.close();
    }),
  );
}

function testSpace(at: At): void {
  test(
    'replay starts at the checkpoint; earlier rows are still read',
    at(async (place) => {
      const first = await openJournal(place.journal());
      for (let row = 1; row <= 5; row++) first.journal.append(row, bytesOf(row, 50));
      first.journal.checkpoint(4);
      first.journal.append(6, bytesOf(6, 50));
      await first.journal.close();
      const second = await openJournal(place.journal());
      assert.deepEqual([...second.rows.keys()], [4, 5, 6]);
      assert.equal(second.next, 7);
      assert.deepEqual(await readBytes(second.journal, 2), bytesOf(2, 50));
      await second.journal.close();
    }),
  );

  test(
    'a checkpoint after the last row replays nothing, and row numbers go on, also when every row is discarded',
    at(async (place) => {
      const first = await openJournal(place.journal());
      for (let row = 1; row <= 3; row++) first.journal.append(row, bytesOf(row, 50));
      first.journal.checkpoint(4);
      first.journal.discard([1, 2, 3]);
      await first.journal.close();
      const second = await openJournal(place.journal());
      assert.equal(second.rows.size, 0);
      assert.equal(second.next, 4);
      second.journal.append(4, bytesOf(4, 50));
      await second.events.untilDurable(4);
      await second.journal.close();
      const third = await openJournal(place.journal());
      assert.deepEqual([...third.rows.keys()], [4]);
      await third.journal.close();
    }),
  );
}

function testTrim(at: At): void {
  const bodies = [Uint8Array.of(1), Uint8Array.of(2, 2), new Uint8Array(5000).fill(3), Uint8Array.of(4)];

  test(
    'trim keeps records under their indexes and gives space back',
    at(async (place) => {
      const first = await openJournal(place.journal());
      first.journal.append(1, frameRow(bodies));
      first.journal.append(2, frameRow(bodies));
      first.journal.checkpoint(3);
      first.journal.trim(1, Uint32Array.of(1, 3));
      first.journal.trim(2, Uint32Array.of(0, 1, 3));
      first.journal.trim(2, Uint32Array.of(3));
      await first.journal.close();
      const second = await openJournal(place.journal());
      const kept = (...indexes: number[]) => new Map(indexes.map((index) => [index, bodies[index]!]));
      assert.deepEqual(recordsOf(await readBytes(second.journal, 1)), kept(1, 3));
      assert.deepEqual(recordsOf(await readBytes(second.journal, 2)), kept(3));
      assert.ok(second.journal.stats().bytes < 100, `${second.journal.stats().bytes} bytes`);
      await second.journal.close();
    }),
  );

  test(
    'trim and discard of rows that are gone, and trim of bytes that are no records, do no harm',
    at(async (place) => {
      const { journal, events } = await openJournal(place.journal());
      journal.append(1, bytesOf(1, 100));
      journal.append(2, Uint8Array.of(99, 1, 2));
      journal.checkpoint(3);
      journal.discard([1, 1]);
      journal.trim(1, Uint32Array.of(0));
      journal.trim(2, Uint32Array.of(0));
      journal.discard([1]);
      journal.append(3, bytesOf(3, 10));
      await events.untilDurable(3);
      isJournalError('missing')(await readRow(journal, 1));
      assert.deepEqual(await readBytes(journal, 2), Uint8Array.of(99, 1, 2));
      assert.deepEqual(events.errors, []);
      await journal.close();
    }),
  );

  test(
    'stats count rows and bytes that live',
    at(async (place) => {
      const { journal, events } = await openJournal(place.journal());
      for (let row = 1; row <= 4; row++) journal.append(row, bytesOf(row, 1000));
      await events.untilDurable(4);
      assert.equal(journal.stats().rows, 4);
      assert.equal(journal.stats().bytes, 4000);
      assert.ok(journal.stats().storedBytes >= 4000);
      assert.ok(journal.stats().commits >= 1);
      journal.checkpoint(3);
      journal.discard([1, 2]);
      journal.append(5, bytesOf(5, 10));
      await events.untilDurable(5);
      assert.equal(journal.stats().rows, 3);
      assert.equal(journal.stats().bytes, 2010);
      await journal.close();
      const again = await openJournal(place.journal());
      assert.equal(again.journal.stats().rows, 3);
      assert.equal(again.journal.stats().bytes, 2010);
      await again.journal.close();
    }),
  );
}

function testUse(at: At): void {
  test(
    'a second journal on the same rows is refused while the first is open',
    at(async (place) => {
      const { journal } = await openJournal(place.journal());
      await assert.rejects(openJournal(place.journal()), isJournalError('locked'));
      journal.append(1, bytesOf(1, 10));
      await journal.close();
      const again = await openJournal(place.journal());
      assert.equal(again.rows.size, 1);
      await again.journal.close();
    }),
  );

  test(
    'close waits until what was appended is durable and told, and may be called again',
    at(async (place) => {
      const { journal, events } = await openJournal(place.journal());
      for (let row = 1; row <= 50; row++) journal.append(row, bytesOf(row, 5000));
      await Promise.all([journal.close(), journal.close()]);
      assert.equal(events.durableRow, 50);
      await journal.close();
      assert.equal(events.durableRow, 50);
      assert.deepEqual(events.errors, []);
    }),
  );

  test(
    'what was asked before close is answered before it ends',
    at(async (place) => {
      const { journal } = await openJournal(place.journal());
      journal.append(1, bytesOf(1, 10));
      const answer = readRow(journal, 1);
      await journal.close();
      assert.deepEqual(await answer, bytesOf(1, 10));
    }),
  );
}

function testMisuse(at: At): void {
  test(
    'a journal that was never opened can be closed',
    at(async (place) => {
      await place.journal().close();
    }),
  );

  test(
    'use that breaks the contract throws at once',
    at(async (place) => {
      const unopened = place.journal();
      assert.throws(() => unopened.append(1, new Uint8Array(1)), /not open/);
      const { journal, events } = await openJournal(place.journal());
      assert.throws(() => journal.append(2, new Uint8Array(1)), RangeError);
      journal.append(1, bytesOf(1, 1));
      assert.throws(() => journal.append(1, new Uint8Array(1)), RangeError);
      assert.throws(() => journal.discard([1]), RangeError);
      assert.throws(() => journal.trim(1, Uint32Array.of(0)), RangeError);
      assert.throws(() => journal.checkpoint(3), RangeError);
      journal.checkpoint(2);
      assert.throws(() => journal.checkpoint(1), RangeError);
      await events.untilDurable(1);
      await journal.close();
      assert.throws(() => journal.append(2, new Uint8Array(1)), /not open/);
      assert.throws(() => journal.read(1, () => {}), /not open/);
      await assert.rejects(openJournal(journal), /opened once/);
    }),
  );

  test(
    'an owner that throws while rows are replayed gets its error, and the rows can be opened again',
    at(async (place) => {
      const first = await openJournal(place.journal());
      for (let row = 1; row <= 3; row++) first.journal.append(row, bytesOf(row, 10));
      await first.journal.close();
      const bad = new Error('I cannot read this');
      await assert.rejects(
        place.journal().open(new RecordedEvents(), () => {
          throw bad;
        }),
        (error) => error === bad,
      );
      const second = await openJournal(place.journal());
      assert.equal(second.rows.size, 3);
      await second.journal.close();
    }),
  );
}

function testBackup(suite: JournalSuite, at: At): void {
  const skip = suite.noBackup ?? false;

  test(
    'a backup holds every row durable at the call, is a journal of its own, and overwrites nothing',
    { skip },
    at(async (place) => {
      const { journal, events } = await openJournal(place.journal());
      for (let row = 1; row <= 200; row++) journal.append(row, bytesOf(row, 20_000));
      await events.untilDurable(200);
      journal.checkpoint(101);
      journal.discard([1, 2, 3]);
      const target = place.backup();
      const backup = journal.backup(target.path);
      for (let row = 201; row <= 260; row++) {
        journal.append(row, bytesOf(row, 20_000));
        await new Promise((resolve) => setImmediate(resolve));
      }
      await backup;
      await assert.rejects(journal.backup(target.path), isJournalError('io', /exists already/));
      await journal.close();
      const copy = await openJournal(target.journal());
      for (let row = 101; row <= 200; row++) assert.ok(equalBytes(copy.rows.get(row)!, bytesOf(row, 20_000)), `row ${row}`);
      assert.deepEqual(await readBytes(copy.journal, 50), bytesOf(50, 20_000));
      isJournalError('missing')(await readRow(copy.journal, 2));
      copy.journal.append(copy.next, bytesOf(copy.next, 10));
      await copy.events.untilDurable(copy.next);
      await copy.journal.close();
    }),
  );
}
