// heliograph bench: a short load on a broker, to see that it carries one.

import { Command, Option } from 'commander';
import { wholeNumber, withConnectionOptions, type ConnectionOptions } from './connection-options.ts';

export type BenchOptions = ConnectionOptions & {
  readonly temporary?: boolean;
  readonly pairs: number;
  readonly qos: 0 | 1 | 2;
  readonly size: number;
  readonly rate?: number;
  readonly window: number;
  readonly seconds: number;
  readonly count?: number;
  readonly prefix: string;
  readonly json?: boolean;
};

const mostPairs = 1000;
const largestBytes = 1024 * 1024;
const longestSeconds = 3600;

export function benchCommand(): Command {
  const command = new Command('bench')
    .description('put a short load on a broker and tell messages per second and latency')
    .addOption(
      new Option('--temporary', 'on a broker of its own that is gone afterwards, instead of a running one').conflicts([
        'url',
        'host',
        'port',
      ]),
    )
    .option('--pairs <n>', 'publishers, each with a subscriber of its own', wholeNumber(1, mostPairs), 10)
    .option('-q, --qos <0|1|2>', 'QoS of messages and subscriptions', wholeNumber(0, 2), 1)
    .option('--size <bytes>', 'payload', wholeNumber(8, largestBytes), 64)
    .option('--rate <n>', 'messages a second of each publisher (default: as many as go)', wholeNumber(1, 1_000_000))
    .option('--window <n>', 'unacknowledged messages of each publisher', wholeNumber(1, 65_535), 100)
    .option('--seconds <n>', 'how long', wholeNumber(1, longestSeconds), 5)
    .option('--count <n>', 'messages of each publisher, however long it takes', wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .option('--prefix <topic>', 'topics are this, a slash and a number', 'heliograph-bench')
    .option('--json', 'machine-readable result');
  return withConnectionOptions(command)
    .addHelpText(
      'after',
      `
The clients are this one process, which is slower than the broker it talks to: the result says when the client was the limit. What a
broker can do is measured by "npm run bench" in a clone.

Examples:
  heliograph bench --temporary
  heliograph bench --data ./data --qos 2 --seconds 10
  heliograph bench --pairs 100 --rate 20              latency at 2,000 messages a second`,
    )
    .action(async (options: BenchOptions) => {
      const { bench } = await import('./bench-run.ts');
      await bench(options);
    });
}
