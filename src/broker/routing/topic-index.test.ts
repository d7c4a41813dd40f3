import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { matches } from '../../message/filter.ts';
import { TopicIndex, type TopicSearch } from './topic-index.ts';

type Box = { readonly n: number };

const level = fc.constantFrom('', 'a', 'b', 'c', '$s', 'd', 'e', 'f', 'g', 'h', 'i', 'j');
const topics = fc
  .array(level, { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join('/'))
  .filter((topic) => topic !== '');
const filters = fc
  .tuple(fc.array(fc.oneof({ arbitrary: level, weight: 1 }, { arbitrary: fc.constant('+'), weight: 1 }), { maxLength: 4 }), fc.boolean())
  .map(([levels, many]) => [...levels, ...(many ? ['#'] : [])].join('/'))
  .filter((filter) => filter !== '');

function drain(search: TopicSearch<Box>, steps: number, between: () => void = () => {}): string[] {
  const found: string[] = [];
  while (search.next(steps, (topic) => found.push(topic))) between();
  return found;
}

test('a search finds what comparing every topic finds, whatever the size of its slices', () => {
  const edits = fc.array(fc.tuple(fc.boolean(), topics), { maxLength: 100, size: 'max' });
  fc.assert(
    fc.property(edits, fc.array(filters, { minLength: 1, maxLength: 8 }), fc.integer({ min: 1, max: 9 }), (steps, probes, slice) => {
      const index = new TopicIndex<Box>();
      const model = new Map<string, Box>();
      for (const [i, [keep, topic]] of steps.entries()) {
        const value = { n: i };
        if (keep) {
          assert.equal(index.set(topic, value), model.get(topic));
          model.set(topic, value);
        } else {
          assert.equal(index.delete(topic), model.get(topic));
          model.delete(topic);
        }
      }
      assert.equal(index.size, model.size);
      assert.deepEqual(new Map(index.entries()), model);
      for (const [, topic] of steps) assert.equal(index.get(topic), model.get(topic));
      for (const filter of probes) {
        const expected = [...model.keys()].filter((topic) => matches(filter, topic));
        assert.deepEqual(drain(index.search(filter), slice).sort(), expected.sort(), filter);
      }
    }),
    { numRuns: 1000 },
  );
});

test('what is held throughout a search is found exactly once, though others come and go', () => {
  const edits = fc.array(fc.tuple(fc.boolean(), topics), { minLength: 20, maxLength: 200, size: 'max' });
  fc.assert(
    fc.property(edits, filters, fc.integer({ min: 1, max: 4 }), fc.nat(), (steps, filter, slice, seed) => {
      const index = new TopicIndex<Box>();
      const half = steps.length >> 1;
      const touched = new Set<string>();
      for (const [i, [, topic]] of steps.slice(0, half).entries()) index.set(topic, { n: i });
      const before = [...index.entries()].map(([topic]) => topic);
      let at = half + (seed % 3);
      const found = drain(index.search(filter), slice, () => {
        const step = steps[at++];
        if (step === undefined) return;
        touched.add(step[1]);
        if (step[0]) index.set(step[1], { n: at });
        else index.delete(step[1]);
      });
      const steady = before.filter((topic) => !touched.has(topic) && matches(filter, topic));
      assert.deepEqual(found.filter((topic) => !touched.has(topic)).sort(), steady.sort());
      for (const topic of found) assert.ok(matches(filter, topic));
    }),
    { numRuns: 3000 },
  );
});

test('a slice never looks at more than its steps', () => {
  const index = new TopicIndex<Box>();
  for (let n = 0; n < 1000; n++) index.set(`site/${n}/temp`, { n });
  const search = index.search('#');
  let slices = 0;
  let found = 0;
  let more = true;
  while (more) {
    let here = 0;
    more = search.next(50, () => here++);
    assert.ok(here <= 50);
    found += here;
    slices++;
  }
  assert.equal(found, 1000);
  assert.ok(slices >= 20);
  assert.equal(search.done, true);
});

test('a topic of 60,000 levels is no trouble', () => {
  const index = new TopicIndex<Box>();
  const deep = '/'.repeat(60_000);
  index.set(deep, { n: 1 });
  index.set(`${deep}a`, { n: 2 });
  index.set(`${deep}/`, { n: 3 });
  assert.equal(drain(index.search('#'), 1000).length, 3);
  assert.equal(drain(index.search(`${deep}+`), 1000).length, 2);
  assert.equal(drain(index.search(`${'+/'.repeat(60_000)}a`), 1000).length, 1);
  for (const topic of [deep, `${deep}a`, `${deep}/`]) assert.ok(index.delete(topic));
  assert.equal(index.size, 0);
});
