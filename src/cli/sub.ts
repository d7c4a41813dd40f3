// heliograph sub: subscribes, and writes what comes.

import { Command } from 'commander';
import { collect, wholeNumber, withConnectionOptions, type ConnectionOptions } from './connection-options.ts';

export type SubOptions = ConnectionOptions & {
  readonly topic: readonly string[];
  readonly qos: 0 | 1 | 2;
  readonly json?: boolean;
  readonly verbose?: boolean;
  readonly quiet?: boolean;
  readonly count?: number;
  readonly timeout?: number;
  readonly session?: string;
  readonly sessionExpiry: number;
  /** Commander's `--no-retained`. */
  readonly retained: boolean;
};

const daySec = 86_400;
const longestExpirySec = 0xffff_ffff;
const longestTimeoutSec = 2_000_000;

export function subCommand(): Command {
  const command = new Command('sub')
    .description('subscribe, and write the payload of each message on a line, until Ctrl-C')
    .requiredOption('-t, --topic <filter>', 'filter: + is any level, # the rest; may be given several times', collect)
    .option('-q, --qos <0|1|2>', 'highest QoS to get messages at', wholeNumber(0, 2), 1)
    .option('--json', 'each message as a JSON object: topic, payload, encoding (utf8 or base64), qos, retain, dup, properties')
    .option('-v, --verbose', 'the topic before each payload')
    .option('--quiet', 'nothing on standard error but mistakes')
    .option('--count <n>', 'end after so many messages', wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .option('--timeout <seconds>', 'end after so long; a failure if --count is not reached by then', wholeNumber(1, longestTimeoutSec))
    .option('--session <name>', 'durable session of this name: what comes while it is away waits for it')
    .option('--session-expiry <seconds>', 'how long the broker keeps that session', wholeNumber(0, longestExpirySec), daySec)
    .option('--no-retained', 'only what is published from now on');
  return withConnectionOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  heliograph sub -t 'hello/#' -v
  heliograph sub --session logbook -q 2 -t 'station/#'
  heliograph sub -t '$share/workers/jobs/#'            workers of a group share the messages
  heliograph sub -t '$queue/jobs'                      a queue by its name
  heliograph sub -t sensors/+/temperature --json | jq .payload`,
    )
    .action(async (options: SubOptions) => {
      const { subscribe } = await import('./subscribe.ts');
      await subscribe(options);
    });
}
