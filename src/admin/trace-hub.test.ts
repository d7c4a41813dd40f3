import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/clock.ts';
import { TraceHub } from './trace-hub.ts';
import type { TraceLine } from './trace-hub.ts';

function bench(limits = { watchers: 2, linesPerSecond: 3, lineLength: 10 }) {
  const clock = new ManualClock(0);
  const hub = new TraceHub(clock, limits);
  const collect = (clientId: string, lines: string[], takes: () => boolean = () => true): (() => void) | undefined =>
    hub.watch(clientId, (line: TraceLine) => {
      if (!takes()) return false;
      lines.push('dropped' in line ? `dropped ${line.dropped}` : `${line.direction} ${line.packet}`);
      return true;
    });
  return { clock, hub, collect };
}

test('only what is watched is wanted, and each change moves the version', () => {
  const { hub, collect } = bench();
  assert.equal(hub.wants('a'), false);
  const lines: string[] = [];
  const before = hub.version;
  const stop = collect('a', lines)!;
  assert.ok(hub.version > before);
  assert.equal(hub.wants('a'), true);
  assert.equal(hub.wants('b'), false);
  hub.packet('a', 'in', 'PINGREQ');
  hub.packet('b', 'in', 'PINGREQ');
  hub.packet('a', 'out', 'PINGRESP and more');
  assert.deepEqual(lines, ['in PINGREQ', 'out PINGRESP a…']);
  const watching = hub.version;
  stop();
  stop();
  assert.ok(hub.version > watching);
  assert.deepEqual([hub.wants('a'), hub.watchers], [false, 0]);
  hub.packet('a', 'in', 'PINGREQ');
  assert.equal(lines.length, 2);
});

test('two may watch the same client, and there is a limit to all', () => {
  const { hub, collect } = bench();
  const [a, b]: [string[], string[]] = [[], []];
  const stop = collect('x', a)!;
  collect('x', b);
  assert.equal(collect('y', []), undefined);
  hub.packet('x', 'in', '1');
  stop();
  hub.packet('x', 'in', '2');
  assert.deepEqual([a, b], [['in 1'], ['in 1', 'in 2']]);
  assert.notEqual(collect('y', []), undefined);
});

test('too many lines a second, or a slow watcher, lose lines and are told so', () => {
  const { clock, hub, collect } = bench();
  const lines: string[] = [];
  let takes = true;
  collect('x', lines, () => takes);
  for (let i = 0; i < 5; i++) hub.packet('x', 'in', `${i}`);
  clock.advance(1000);
  hub.packet('x', 'in', '5');
  takes = false;
  hub.packet('x', 'in', '6');
  hub.packet('x', 'in', '7');
  takes = true;
  hub.packet('x', 'in', '8');
  assert.deepEqual(lines, ['in 0', 'in 1', 'in 2', 'dropped 2', 'in 5', 'dropped 2', 'in 8']);
});
