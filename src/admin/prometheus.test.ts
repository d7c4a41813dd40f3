import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Histogram } from '../base/metrics.ts';
import type { MetricSource, Sample } from '../base/metrics.ts';
import { renderMetrics } from './prometheus.ts';

const source = (...samples: Sample[]): MetricSource => ({ metrics: () => samples });

test('each name is announced once, and its samples stand together', () => {
  const a: Sample = { name: 'a_total', help: 'As.', type: 'counter', labels: { x: '1' }, value: 1 };
  const b: Sample = { name: 'b', help: 'Bs.', type: 'gauge', value: -2.5 };
  assert.equal(
    renderMetrics([source(a, b), source({ ...a, labels: { x: '2', y: '' }, value: 1e21 })]),
    '# HELP a_total As.\n# TYPE a_total counter\na_total{x="1"} 1\na_total{x="2",y=""} 1e+21\n# HELP b Bs.\n# TYPE b gauge\nb -2.5\n',
  );
  assert.equal(renderMetrics([]), '');
});

test('what would break a line is escaped', () => {
  const text = renderMetrics([source({ name: 'a', help: 'one\\two\nthree "x"', type: 'gauge', labels: { l: 'a"b\\c\nd' }, value: 0 })]);
  assert.equal(text, '# HELP a one\\\\two\\nthree "x"\n# TYPE a gauge\na{l="a\\"b\\\\c\\nd"} 0\n');
});

test('a histogram has cumulative buckets, a sum and a count', () => {
  const value = new Histogram([0.1, 1]);
  for (const seconds of [0.05, 0.1, 0.5, 7]) value.observe(seconds);
  assert.equal(
    renderMetrics([source({ name: 'h', help: 'H.', type: 'histogram', labels: { s: '0' }, value })]),
    [
      '# HELP h H.',
      '# TYPE h histogram',
      'h_bucket{s="0",le="0.1"} 2',
      'h_bucket{s="0",le="1"} 3',
      'h_bucket{s="0",le="+Inf"} 4',
      'h_sum{s="0"} 7.65',
      'h_count{s="0"} 4',
      '',
    ].join('\n'),
  );
});

test('numbers that are none have their own words', () => {
  const values = [NaN, Infinity, -Infinity].map((value, i): Sample => ({ name: `n${i}`, help: '', type: 'gauge', value }));
  assert.deepEqual(renderMetrics([source(...values)]).match(/^n\d .*$/gm), ['n0 NaN', 'n1 +Inf', 'n2 -Inf']);
});

test('a name keeps the type it was announced with', () => {
  const text = renderMetrics([
    source({ name: 'a', help: '', type: 'gauge', value: 1 }, { name: 'a', help: '', type: 'counter', value: 2 }),
  ]);
  assert.deepEqual(text.match(/^a .*$/gm), ['a 1']);
});
