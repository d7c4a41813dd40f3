// The topic tree alone, in a process of its own, because its memory is counted.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { BrokerFailed } from './brokers.ts';
import { pinned, type Cores } from './machine.ts';
import type { Measurement } from './measurement.ts';
import type { Scale } from './works.ts';

/** The shape that stands for a typical set of subscriptions. */
const typical = 'mixed, 3/4 exact';

export function measureTopicTree({ filters }: Scale, cores: Cores | undefined): Promise<Measurement> {
  const script = join(import.meta.dirname, 'topic-tree.ts');
  const [program, ...args] = pinned(cores?.broker, [process.execPath, '--expose-gc', script, String(filters), typical]) as [
    string,
    ...string[],
  ];
  const run = spawnSync(program, args, { encoding: 'utf8' });
  const found = /\s(\d+) ns\s+\d+ ns\s+[\d.]+\s+(\d+) B/.exec(run.stdout);
  if (found === null) return Promise.reject(new BrokerFailed(`the topic tree could not be measured: ${run.stderr}`));
  return Promise.resolve({ matchMicros: Number(found[1]) / 1000, bytesPerFilter: Number(found[2]) });
}
