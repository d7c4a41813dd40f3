import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DeliveryTable } from './delivery-table.ts';
import { Entry, type Queue } from '../queues/queue.ts';

const queue = {} as Queue;

function entry(position: number): Entry {
  return new Entry(queue, position, 1, false, undefined, undefined);
}

function positions(table: DeliveryTable): number[] {
  return table.inOrder().map((found) => found.position);
}

test('ids are given in turn, never twice at a time, and found again', () => {
  // A positive number adds so many; a negative one settles the entry at that place, counted from the oldest.
  const steps = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: -100, max: -1 })), { maxLength: 200 });
  fc.assert(
    fc.property(steps, (steps) => {
      const table = new DeliveryTable();
      const model: Entry[] = [];
      let next = 0;
      for (const step of steps) {
        for (let i = 0; i < step; i++) {
          const added = entry(next++);
          table.add(added);
          model.push(added);
        }
        if (step < 0 && model.length > 0) table.delete(model.splice(-step % model.length, 1)[0]!);
        assert.equal(table.size, model.length);
        for (const one of model) assert.equal(table.get(one.deliveryId), one);
      }
      assert.deepEqual(table.inOrder(), model);
    }),
  );
});

test('one that is never settled is passed over, and stays the first', () => {
  const table = new DeliveryTable();
  const stuck = entry(0);
  table.add(stuck);
  const others: Entry[] = [];
  for (let i = 1; i <= 200_000; i++) {
    const added = entry(i);
    table.add(added);
    assert.notEqual(added.deliveryId, stuck.deliveryId);
    others.push(added);
    if (others.length > 5) table.delete(others.shift()!);
  }
  assert.equal(table.get(stuck.deliveryId), stuck);
  assert.deepEqual(positions(table), [0, ...others.map((one) => one.position)]);
});

test('every id can be under way', () => {
  const table = new DeliveryTable();
  const ids = new Set<number>();
  for (let i = 0; i < 65_535; i++) {
    const added = entry(i);
    table.add(added);
    ids.add(added.deliveryId);
  }
  assert.equal(ids.size, 65_535);
  assert.equal(Math.min(...ids), 1);
  assert.equal(Math.max(...ids), 65_535);
  table.delete(table.get(4711)!);
  const last = entry(1);
  table.add(last);
  assert.equal(last.deliveryId, 4711);
});

test('ids from before a restart keep their order, also where they had begun again', () => {
  const table = new DeliveryTable();
  for (const [position, id] of [65_534, 65_535, 1, 17, 33].entries()) {
    const recovered = entry(position);
    recovered.deliveryId = id;
    table.recover(recovered);
  }
  const added = entry(5);
  table.add(added);
  assert.deepEqual(positions(table), [0, 1, 2, 3, 4, 5]);
  assert.equal(table.get(17)!.position, 3);
  assert.equal(table.get(18), undefined);
});

test('an id that a damaged journal knows twice belongs to the later one', () => {
  const table = new DeliveryTable();
  for (const position of [1, 2]) {
    const recovered = entry(position);
    recovered.deliveryId = 9;
    table.recover(recovered);
  }
  assert.deepEqual(positions(table), [2]);
});
