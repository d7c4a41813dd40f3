// The topic tree alone, in a process of its own, because its memory is counted.

import { join } from 'node:path';
import { BrokerFailed } from './brokers.ts';
import { pinned, start, type Cores } from './machine.ts';
import type { Measurement } from './measurement.ts';
import type { Scale } from './works.ts';

/** The shape that stands for a typical set of subscriptions. */
const typical = 'mixed, 3/4 exact';

export async function measureTopicTree({ filters }: Scale, cores: Cores | undefined): Promise<Measurement> {
  const script = join(import.meta.dirname, 'topic-tree.ts');
  const command = [process.execPath, '--expose-gc', script, String(filters), typical];
  const child = start(pinned(cores?.broker, command), ['ignore', 'pipe', 'inherit']);
  let output = '';
  for await (const text of child.stdout!.setEncoding('utf8')) output += text as string;
  const found = /\s(\d+) ns\s+\d+ ns\s+[\d.]+\s+(\d+) B/.exec(output);
  if (found === null) throw new BrokerFailed(`the topic tree could not be measured: ${output}`);
  return { matchMicros: Number(found[1]) / 1000, bytesPerFilter: Number(found[2]) };
}
