// How fast the topic tree matches and how much memory it takes. Run: node --expose-gc bench/topic-tree.ts [FILTERS [ONE SHAPE]]
//
// Memory is the tree's own: the filters' texts are counted (the tree keeps them), the values are one shared object. A match is
// timed as the broker would do it for a topic it has not seen before: the text comes fresh from bytes.

import { TopicIndex } from '../src/broker/routing/topic-index.ts';
import { TopicTree } from '../src/broker/routing/topic-tree.ts';

const count = Number(process.argv[2] ?? 1_000_000);
const only = process.argv[3];
const probes = 200_000;
const rounds = 5;

type Shape = {
  readonly name: string;
  readonly filter: (n: number) => string;
  readonly topic: (n: number) => string;
};

const shapes: readonly Shape[] = [
  { name: 'exact: site/<n>/temp', filter: (n) => `site/${n}/temp`, topic: (n) => `site/${n}/temp` },
  { name: 'site/<n>/+/temp', filter: (n) => `site/${n}/+/temp`, topic: (n) => `site/${n}/dev7/temp` },
  {
    name: 'two filters with a + per site',
    filter: (n) => `site/${n >> 1}/+/${n & 1 ? 'temp' : 'hum'}`,
    topic: (n) => `site/${n >> 1}/dev7/temp`,
  },
  { name: 'device/<n>/#', filter: (n) => `device/${n}/#`, topic: (n) => `device/${n}/a/b/c` },
  {
    name: 'mixed, 3/4 exact',
    filter: (n) => (n % 4 === 0 ? `site/${n}/+/temp` : `site/${n}/dev${n % 10}/temp`),
    topic: (n) => `site/${n}/dev${n % 10}/temp`,
  },
  { name: 'no filter matches', filter: (n) => `site/${n}/+/temp`, topic: (n) => `site/${n}/dev7/humidity` },
];

function heapBytes(): number {
  if (globalThis.gc === undefined) throw new Error('run with --expose-gc');
  globalThis.gc();
  globalThis.gc();
  return process.memoryUsage().heapUsed;
}

/** Nanoseconds per call of `work`, the median of several rounds. */
function median(calls: number, work: () => void): number {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const start = process.hrtime.bigint();
    work();
    times.push(Number(process.hrtime.bigint() - start) / calls);
  }
  return times.sort((a, b) => a - b)[rounds >> 1]!;
}

function measure(shape: Shape): string {
  const value = {};
  const before = heapBytes();
  const tree = new TopicTree<object>();
  const start = performance.now();
  for (let n = 0; n < count; n++) tree.add(Buffer.from(shape.filter(n)).toString('latin1'), value);
  const addMs = performance.now() - start;
  // A few that look at every topic.
  for (const filter of ['#', 'nobody/#', '+/+/+/nothing', 'site/+/+/pressure']) tree.add(filter, value);
  const bytes = (heapBytes() - before) / count;

  const topics: Buffer[] = [];
  for (let i = 0; i < probes; i++) topics.push(Buffer.from(shape.topic((i * 7_919) % count)));
  const decode = median(probes, () => {
    for (const topic of topics) topic.toString('latin1');
  });
  const into: object[] = [];
  let found = 0;
  const fresh = median(probes, () => {
    for (const topic of topics) {
      into.length = 0;
      found += tree.collect(topic.toString('latin1'), into).length;
    }
  });
  const known = topics.slice(0, 1000).map((topic) => topic.toString('latin1'));
  const hot = median(1000 * 20, () => {
    for (let i = 0; i < 20; i++) {
      for (const topic of known) {
        into.length = 0;
        tree.collect(topic, into);
      }
    }
  });
  const cells = [
    shape.name.padEnd(32),
    `${(fresh - decode).toFixed(0)} ns`.padStart(10),
    `${hot.toFixed(0)} ns`.padStart(10),
    (found / probes / rounds).toFixed(1).padStart(7),
    `${bytes.toFixed(0)} B`.padStart(9),
    `${((addMs * 1e6) / count).toFixed(0)} ns`.padStart(9),
  ];
  return cells.join(' ');
}

function measureIndex(): string {
  const value = {};
  const before = heapBytes();
  const index = new TopicIndex<object>();
  for (let n = 0; n < count; n++) index.set(Buffer.from(`site/${n >> 2}/dev${n & 3}/temp`).toString('latin1'), value);
  const bytes = (heapBytes() - before) / count;
  let found = 0;
  const search = index.search('#');
  const start = performance.now();
  let slices = 0;
  let longest = 0;
  for (let more = true; more; slices++) {
    const sliceStart = performance.now();
    more = search.next(1000, () => found++);
    longest = Math.max(longest, performance.now() - sliceStart);
  }
  const all = ((performance.now() - start) * 1e6) / found;
  return `index of ${found} topics: ${bytes.toFixed(0)} B a topic; # in ${slices} slices: ${all.toFixed(0)} ns a topic, longest slice ${longest.toFixed(2)} ms`;
}

console.log(`${count} filters, and four that look at every topic. Median of ${rounds} rounds.`);
console.log(
  `${'filters'.padEnd(32)} ${'match'.padStart(10)} ${'1000 hot'.padStart(10)} ${'found'.padStart(7)} ${'a filter'.padStart(9)} ${'add'.padStart(9)}`,
);
for (const shape of shapes) if (only === undefined || shape.name === only) console.log(measure(shape));
if (only === undefined) console.log(measureIndex());
