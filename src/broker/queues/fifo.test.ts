import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Fifo } from './fifo.ts';

type Item = { readonly order: number };
type Step = (fifo: Fifo<Item>, model: Item[]) => void;

const item = fc.integer({ min: 0, max: 1000 }).map((order): Item => ({ order }));

const steps: fc.Arbitrary<Step> = fc.oneof(
  item.map((value): Step => (fifo, model) => {
    fifo.push(value);
    model.push(value);
  }),
  fc.constant<Step>((fifo, model) => assert.equal(fifo.shift(), model.shift())),
  fc.integer({ min: 0, max: 40 }).map((n): Step => (fifo, model) => {
    for (let i = 0; i < n; i++) assert.equal(fifo.shift(), model.shift());
  }),
  fc.array(item, { minLength: 60, maxLength: 140 }).map((values): Step => (fifo, model) => {
    for (const value of values) fifo.push(value);
    model.push(...values);
  }),
  fc.integer({ min: 2, max: 7 }).map((n): Step => (fifo, model) => {
    const asked: Item[] = [];
    const before = [...model];
    fifo.removeWhere((value) => {
      asked.push(value);
      return value.order % n === 0;
    });
    assert.deepEqual(asked, before);
    model.splice(0, model.length, ...before.filter(({ order }) => order % n !== 0));
  }),
  fc.constant<Step>((fifo, model) => {
    fifo.clear();
    model.length = 0;
  }),
);

test('a fifo is as good as an array', () => {
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 60 }), (all) => {
      const fifo = new Fifo<Item>();
      const model: Item[] = [];
      for (const step of all) {
        step(fifo, model);
        assert.equal(fifo.length, model.length);
        assert.deepEqual([...fifo], model);
        assert.deepEqual(fifo.toArray(), model);
        for (const i of [0, 1, model.length >> 1, model.length]) assert.equal(fifo.at(i), model[i]);
      }
    }),
  );
});
