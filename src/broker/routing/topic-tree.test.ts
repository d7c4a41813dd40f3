import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { matches } from '../../message/filter.ts';
import { TopicTree } from './topic-tree.ts';

type Named = { readonly name: string };

function found(tree: TopicTree<Named>, topic: string): string[] {
  const names: string[] = [];
  tree.match(topic, (value) => names.push(value.name));
  return names.sort();
}

const level = fc.constantFrom('', 'a', 'b', 'c', '$s');
const topics = fc
  .array(level, { minLength: 1, maxLength: 5 })
  .map((levels) => levels.join('/'))
  .filter((topic) => topic !== '');
const filters = fc
  .tuple(fc.array(fc.oneof({ arbitrary: level, weight: 3 }, { arbitrary: fc.constant('+'), weight: 1 }), { maxLength: 5 }), fc.boolean())
  .map(([levels, many]) => [...levels, ...(many ? ['#'] : [])].join('/'))
  .filter((filter) => filter !== '');

test('a tree under any adds and removes finds what comparing every filter finds', () => {
  const values = Array.from({ length: 4 }, (_, i): Named => ({ name: `v${i}` }));
  const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), filters, fc.nat(3)), { maxLength: 80, size: 'max' });
  fc.assert(
    fc.property(steps, fc.array(topics, { minLength: 1, maxLength: 10 }), (edits, probes) => {
      const tree = new TopicTree<Named>();
      const model = new Map<string, [string, Named]>();
      for (const [kind, filter, v] of edits) {
        const value = values[v]!;
        const key = `${filter} ${value.name}`;
        if (kind > 0) {
          assert.equal(tree.add(filter, value), !model.has(key));
          model.set(key, [filter, value]);
        } else {
          assert.equal(tree.remove(filter, value), model.delete(key));
        }
      }
      assert.equal(tree.size, model.size);
      assert.equal(tree.filterCount, new Set([...model.values()].map(([filter]) => filter)).size);
      const entries = [...tree.entries()].map(([filter, value]) => `${filter} ${value.name}`);
      assert.deepEqual(entries.sort(), [...model.keys()].sort());
      for (const topic of probes) {
        const expected = [...model.values()].filter(([filter]) => matches(filter, topic)).map(([, value]) => value.name);
        assert.deepEqual(found(tree, topic), expected.sort(), topic);
      }
    }),
    { numRuns: 1500 },
  );
});

test('the same filter holds many values, and each can be removed', () => {
  for (const filter of ['a/b', 'a/+']) {
    const tree = new TopicTree<Named>();
    const values = Array.from({ length: 1000 }, (_, i): Named => ({ name: `${i}` }));
    for (const value of values) assert.equal(tree.add(filter, value), true);
    assert.equal(tree.add(filter, values[500]!), false);
    assert.equal(tree.collect('a/b', []).length, 1000);
    assert.equal(tree.valuesOf(filter).length, 1000);
    for (const value of values.slice(1)) assert.equal(tree.remove(filter, value), true);
    assert.deepEqual(tree.collect('a/b', []), [values[0]]);
    assert.equal(tree.remove(filter, values[1]!), false);
    assert.equal(tree.remove(filter, values[0]!), true);
    assert.equal(tree.filterCount, 0);
    assert.deepEqual(tree.valuesOf(filter), []);
  }
});

test('visiting may change the tree', () => {
  const tree = new TopicTree<Named>();
  const values = Array.from({ length: 10 }, (_, i): Named => ({ name: `${i}` }));
  for (const value of values) tree.add('a/+', value);
  let seen = 0;
  tree.match('a/b', (value) => {
    seen++;
    tree.remove('a/+', value);
    tree.match('a/b', () => {});
  });
  assert.equal(seen, 10);
  assert.equal(tree.size, 0);
});

test('a topic of 60,000 levels is no trouble', () => {
  const tree = new TopicTree<Named>();
  const deep = '/'.repeat(60_000);
  const value = { name: 'x' };
  for (const filter of [`${deep}+`, `${deep}+/#`, `+${deep.slice(1)}/a`, `${deep}#`, '#']) tree.add(filter, value);
  assert.equal(found(tree, deep).length, 4);
  assert.equal(found(tree, `${deep.slice(1)}/a`).length, 5);
  for (const [filter] of Array.from(tree.entries())) assert.equal(tree.remove(filter, value), true);
  assert.equal(tree.size, 0);
  assert.deepEqual(found(tree, deep), []);
});

test('every mix of + and literal at 12 levels is visited once, not exponentially', () => {
  const tree = new TopicTree<Named>();
  const value = { name: 'x' };
  for (let mask = 0; mask < 4096; mask++) {
    const levels = Array.from({ length: 12 }, (_, i) => (mask & (1 << i) ? '+' : 'a'));
    tree.add([...levels, 'end'].join('/'), value);
  }
  assert.equal(found(tree, `${'a/'.repeat(12)}end`).length, 4096);
  assert.equal(found(tree, `${'a/'.repeat(12)}other`).length, 0);
});
