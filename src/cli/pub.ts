// heliograph pub: publishes messages and says when the broker has them.

import { Command, Option } from 'commander';
import { collect, wholeNumber, withConnectionOptions, type ConnectionOptions } from './connection-options.ts';

export type PubOptions = ConnectionOptions & {
  readonly topic: string;
  readonly message?: string;
  readonly file?: string;
  readonly stdin?: boolean;
  readonly lines?: boolean;
  readonly empty?: boolean;
  readonly qos: 0 | 1 | 2;
  readonly retain?: boolean;
  readonly property?: readonly string[];
  readonly expiry?: number;
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlation?: string;
  readonly json?: boolean;
};

const longestExpirySec = 0xffff_ffff;

export function pubCommand(): Command {
  const command = new Command('pub')
    .description('publish messages; ends when the broker has acknowledged them')
    .requiredOption('-t, --topic <topic>', 'topic')
    .addOption(new Option('-m, --message <text>', 'what to say').conflicts(['file', 'stdin', 'lines', 'empty']))
    .addOption(new Option('-f, --file <file>', 'what a file holds, as one message').conflicts(['stdin', 'lines', 'empty']))
    .addOption(new Option('-s, --stdin', 'all of standard input, as one message').conflicts(['lines', 'empty']))
    .addOption(new Option('-l, --lines', 'each line of standard input as a message, as it comes').conflicts(['empty']))
    .option('-n, --empty', 'a message without payload; with --retain it removes the retained one')
    .option('-q, --qos <0|1|2>', '0: sent, 1: the broker has it, 2: exactly once', wholeNumber(0, 2), 1)
    .option('-r, --retain', 'keep it as the last message of its topic')
    .option('--property <key=value>', 'user property; may be given several times', collect)
    .option('--expiry <seconds>', 'time after which it is not delivered any more', wholeNumber(0, longestExpirySec))
    .option('--content-type <type>', 'such as application/json')
    .option('--response-topic <topic>', 'where an answer is expected')
    .option('--correlation <text>', 'what an answer repeats')
    .option('--json', 'say as JSON what was published');
  return withConnectionOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  heliograph pub -t hello/world -m 'first light'
  heliograph pub -t config/7 --file config.json --retain --content-type application/json
  tail -f log | heliograph pub -t logs/7 --lines
  HELIOGRAPH_PASSWORD=… heliograph pub --url mqtts://broker.example --cafile ca.crt -u pump-7 -t pumps/7 -m 4.2`,
    )
    .action(async (options: PubOptions) => {
      const { publish } = await import('./publish.ts');
      await publish(options);
    });
}
