// The options of commands that ask a running node. See admin-access.ts for what they mean.

import type { Command } from 'commander';

export type AccessOptions = {
  readonly config?: string;
  readonly data?: string;
  readonly url?: string;
  readonly user?: string;
  readonly ca?: string;
};

export const passwordVariable = 'HELIOGRAPH_PASSWORD';
/** An API token, for scripts. */
export const tokenVariable = 'HELIOGRAPH_TOKEN';

/** An API token comes from the environment (`tokenVariable`), never from an argument, which every user of the machine could read. */
export function withAccessOptions(command: Command): Command {
  return command
    .option('-c, --config <file>', 'configuration that names the data directory')
    .option('-d, --data <dir>', 'data directory of the broker to ask, on this machine (default: ./data)')
    .option('--url <url>', 'management interface to ask instead, such as https://broker.example:8080')
    .option('-u, --user <name>', `sign in as this user; the password comes from the environment variable ${passwordVariable}`)
    .option('--ca <file>', 'PEM file of an authority to trust, besides those that are well known');
}
