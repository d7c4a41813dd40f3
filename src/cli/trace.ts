// heliograph trace: what one client and the broker say to each other, packet by packet, until Ctrl-C.

import { Command } from 'commander';
import type { TraceLine } from '../admin/trace-hub.ts';
import { withAccessOptions, type AccessOptions } from './access-options.ts';
import { visible } from './visible.ts';

type Options = AccessOptions & { readonly client: string; readonly json?: boolean };

export function traceCommand(): Command {
  return withAccessOptions(new Command('trace').description('watch the packets of one client, live, until Ctrl-C'))
    .requiredOption('-i, --client <id>', 'client id; it may connect later')
    .option('--json', 'one JSON document per line')
    .action(trace);
}

async function trace(options: Options): Promise<void> {
  const [{ getLines }, { accessOf }] = await Promise.all([import('../admin/admin-client.ts'), import('./admin-access.ts')]);
  const access = await accessOf(options, process.env);
  const leaving = new AbortController();
  const leave = (): void => leaving.abort();
  process.once('SIGINT', leave).once('SIGTERM', leave);
  // `heliograph trace … | head` ends without a fuss.
  process.stdout.once('error', leave);
  try {
    for await (const line of getLines(access, `/api/v1/trace?client=${encodeURIComponent(options.client)}`, leaving.signal)) {
      process.stdout.write(`${options.json === true ? line : traceText(JSON.parse(line) as TraceLine | Watching)}\n`);
    }
  } finally {
    process.off('SIGINT', leave).off('SIGTERM', leave);
    process.stdout.off('error', leave);
  }
}

type Watching = { readonly watching: string };

/** `12:00:00.123  in   PUBLISH q1 …`, seen from the broker. */
export function traceText(line: TraceLine | Watching): string {
  if ('watching' in line) return `watching ${visible(JSON.stringify(line.watching))}; "in" is what the client sent`;
  const time = new Date(line.atMs).toISOString().slice(11, 23);
  return 'dropped' in line
    ? `${time}  …    ${line.dropped} packets not shown`
    : `${time}  ${line.direction.padEnd(3)}  ${visible(line.packet)}`;
}
