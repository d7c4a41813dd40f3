import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytesOf } from '../../../test/contracts/opened-journal.ts';
import { PendingRows } from './pending-rows.ts';

/** The worker's view: chunks by id, as it is told of them. */
class OtherSide {
  readonly chunks = new Map<number, Uint8Array>();

  hear(pending: PendingRows): void {
    for (const [id, shared] of pending.created) this.chunks.set(id, new Uint8Array(shared));
    for (const id of pending.dropped) this.chunks.delete(id);
    pending.created = [];
    pending.dropped = [];
  }
}

test('rows that wait are found on both sides, and none is overwritten before it is released', () => {
  const sizes = fc.array(fc.oneof(fc.nat(2000), fc.nat(300_000)), { minLength: 1, maxLength: 60 });
  const lags = fc.infiniteStream(fc.nat(12));
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e9 }), sizes, lags, (first, sizes, lags) => {
      const pending = new PendingRows();
      const other = new OtherSide();
      const places = new Map<number, { chunk: number; start: number; length: number }>();
      let released = first - 1;
      sizes.forEach((length, i) => {
        const row = first + i;
        places.set(row, { ...pending.append(row, bytesOf(row, length)), length });
        other.hear(pending);
        for (let waiting = released + 1; waiting <= row; waiting++) {
          const { chunk, start, length } = places.get(waiting)!;
          const expected = bytesOf(waiting, length);
          assert.ok(Buffer.compare(other.chunks.get(chunk)!.subarray(start, start + length), expected) === 0, `row ${waiting}`);
          assert.ok(Buffer.compare(pending.find(waiting)!, expected) === 0, `row ${waiting}`);
        }
        assert.equal(pending.find(released), undefined);
        assert.equal(pending.find(row + 1), undefined);
        assert.equal(pending.rows, row - released);
        const next = Math.min(row, released + (lags.next().value as number));
        if (next > released) pending.release((released = next));
      });
      pending.release(first + sizes.length);
      assert.equal(pending.rows, 0);
      assert.equal(pending.bytes, 0);
    }),
    { numRuns: 40 },
  );
});

test('memory is reused while rows come and go, and given up after a flood', () => {
  const pending = new PendingRows();
  const other = new OtherSide();
  let row = 0;
  for (let i = 0; i < 5000; i++) {
    pending.append(++row, bytesOf(row, 10_000));
    pending.release(row - 3);
    other.hear(pending);
  }
  assert.ok(other.chunks.size <= 3, `${other.chunks.size} chunks for 40 KB`);
  for (let i = 0; i < 3000; i++) pending.append(++row, bytesOf(row, 10_000));
  other.hear(pending);
  assert.ok(other.chunks.size > 100);
  pending.release(row);
  other.hear(pending);
  assert.ok(other.chunks.size <= 65, `${other.chunks.size} chunks are kept for nothing`);
});
