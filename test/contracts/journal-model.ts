// Random sequences of what an owner may do to a journal, compared with a model of what it must still hold.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { JournalError } from '../../src/store/journal.ts';
import { frameRow, recordsOf } from './framed-row.ts';
import type { JournalPlace } from './journal.ts';
import { bytesOf, isJournalError, openJournal, readRow } from './opened-journal.ts';

type Step =
  | { readonly kind: 'append'; readonly bodies: readonly Uint8Array[] }
  | { readonly kind: 'checkpoint' | 'reopen' | 'settle' }
  | { readonly kind: 'trim' | 'discard' | 'read'; readonly at: number; readonly keep: readonly number[] };

const body = fc.oneof(
  { weight: 5, arbitrary: fc.uint8Array({ maxLength: 60 }) },
  fc.nat(60_000).map((length) => bytesOf(length, length)),
);
const place = { at: fc.double({ min: 0, max: 1, noNaN: true }), keep: fc.uniqueArray(fc.nat(8), { maxLength: 5 }) };
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('append' as const), bodies: fc.array(body, { maxLength: 6 }) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('checkpoint' as const, 'settle' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const) }) },
    { weight: 5, arbitrary: fc.record({ kind: fc.constantFrom('trim' as const, 'discard' as const, 'read' as const), ...place }) },
  ),
  { maxLength: 40 },
);

/** A row as the model knows it: the records it must still have; it may have more while a trim waits. */
type ModelRow = { readonly all: ReadonlyMap<number, Uint8Array>; keep: ReadonlySet<number> };

export async function modelProperty(makePlace: () => JournalPlace): Promise<void> {
  const property = fc.asyncProperty(steps, async (steps) => {
    const place = makePlace();
    try {
      await runModel(place, steps);
    } finally {
      await place.remove();
    }
  });
  await fc.assert(property, { numRuns: 12 });
}

async function runModel(place: JournalPlace, steps: readonly Step[]): Promise<void> {
  const model = new Map<number, ModelRow>();
  let next = 1;
  let checkpoint = 1;
  let opened = await openJournal(place.journal());
  for (const step of steps) {
    const { journal } = opened;
    const row = 'at' in step ? 1 + Math.floor(step.at * (step.kind === 'read' ? next : checkpoint - 1)) : 0;
    const known = model.get(row);
    if (step.kind === 'append') {
      journal.append(next, frameRow(step.bodies));
      model.set(next++, { all: new Map(step.bodies.entries()), keep: new Set(step.bodies.keys()) });
    } else if (step.kind === 'checkpoint') {
      journal.checkpoint((checkpoint = next));
    } else if (step.kind === 'settle') {
      await opened.events.untilDurable(next - 1 > opened.next - 1 ? next - 1 : 0);
    } else if (step.kind === 'reopen') {
      await journal.close();
      opened = await openJournal(place.journal());
      assert.equal(opened.next, next);
      assert.deepEqual(
        [...opened.rows.keys()],
        Array.from({ length: next - checkpoint }, (_, i) => checkpoint + i),
      );
    } else if (step.kind === 'read') {
      checkRow(await readRow(journal, row), known);
    } else if (row < checkpoint && step.kind === 'discard') {
      journal.discard([row]);
      model.delete(row);
    } else if (row < checkpoint && step.kind === 'trim') {
      journal.trim(row, Uint32Array.from([...step.keep].sort((a, b) => a - b)));
      if (known !== undefined) known.keep = new Set(step.keep.filter((index) => known.keep.has(index)));
    }
  }
  await opened.journal.close();
  opened = await openJournal(place.journal());
  for (let row = 1; row < next; row++) checkRow(await readRow(opened.journal, row), model.get(row));
  await opened.journal.close();
}

/** A row that the model has no more may still be there: discarding is done when convenient. */
function checkRow(found: Uint8Array | JournalError, expected: ModelRow | undefined): void {
  if (expected === undefined) {
    if (found instanceof JournalError) isJournalError('missing')(found);
    return;
  }
  if (found instanceof JournalError) throw found;
  const records = recordsOf(found);
  for (const index of expected.keep) assert.deepEqual(records.get(index), expected.all.get(index));
  for (const [index, record] of records) assert.deepEqual(record, expected.all.get(index));
}
