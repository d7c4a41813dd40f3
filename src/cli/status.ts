// heliograph status: the state of a running broker, and whether its books add up.

import { Command } from 'commander';
import type { Status } from '../admin/status.ts';
import { withAccessOptions, type AccessOptions } from './access-options.ts';

type Options = AccessOptions & { readonly json?: boolean };

export function statusCommand(): Command {
  return withAccessOptions(new Command('status').description('show the state of a running broker, and whether its books add up'))
    .option('--json', 'machine-readable result')
    .action(status);
}

async function status(options: Options): Promise<void> {
  const [{ getJson }, { accessOf }, { statusText }] = await Promise.all([
    import('../admin/admin-client.ts'),
    import('./admin-access.ts'),
    import('./status-text.ts'),
  ]);
  const answer = await getJson(await accessOf(options, process.env), '/api/v1/status');
  process.stdout.write(options.json === true ? `${JSON.stringify(answer, null, 2)}\n` : statusText(answer as Status));
}
