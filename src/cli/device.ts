// heliograph device add|list|show|disable|enable|remove|import|export: the devices of the registry. A running node notices changes.

import { Command } from 'commander';
import type { Entry, NewFields } from '../registry/entries.ts';
import type { Query, Registry, Result } from '../registry/registry.ts';
import { exportTo, importFrom } from './device-files.ts';

type Where = { readonly config?: string; readonly data?: string; readonly json?: boolean };
type Marks = { readonly label?: string[]; readonly group?: string[]; readonly role?: string[] };
type Search = Where & Marks & { readonly tenant?: string; readonly prefix?: string; readonly status?: string; readonly limit?: string };

export function deviceCommand(): Command {
  const command = new Command('device')
    .alias('devices')
    .description('add, change, list, import and export devices; a running broker notices it');
  withPlace(command.command('add').description('add a device'))
    .argument('<id>', 'id, or tenant/id')
    .option('-l, --label <key=value...>', 'labels, to search and to write policies by')
    .option('-g, --group <group...>', 'groups it is in')
    .option('-r, --role <role...>', 'roles that rules refer to')
    .action(add);
  withPlace(command.command('list').description('show devices, in the order of their ids'))
    .option('-t, --tenant <tenant>', 'whose devices', 'main')
    .option('-p, --prefix <text>', 'ids that begin with this')
    .option('-l, --label <key=value...>', 'that have all these labels')
    .option('-g, --group <group...>', 'that are in all these groups')
    .option('-s, --status <status>', 'active or disabled')
    .option('-n, --limit <count>', 'how many at most', '1000')
    .action(list);
  withPlace(command.command('show').description('show a device')).argument('<id>', 'id, or tenant/id').action(show);
  withPlace(command.command('disable').description('keep a device out')).argument('<id>', 'id, or tenant/id').action(setStatus('disabled'));
  withPlace(command.command('enable').description('let a device in again'))
    .argument('<id>', 'id, or tenant/id')
    .action(setStatus('active'));
  withPlace(command.command('remove').description('forget a device; its credentials go, its certificates are revoked'))
    .argument('<id>', 'id, or tenant/id')
    .action(remove);
  withPlace(command.command('import').description('add devices from a file: CSV with a header, or JSON lines'))
    .argument('<file>', 'a path, or - for standard input')
    .option('-t, --tenant <tenant>', 'whose devices', 'main')
    .option('-f, --format <format>', 'csv or jsonl (default: by the name of the file)')
    .option('-u, --update', 'change devices that are there already, instead of refusing their rows')
    .option('--refused <file>', 'write every refused row into this file, as JSON lines')
    .action((file: string, options: Where & Parameters<typeof importFrom>[2]) =>
      withRegistry(options, (registry) => importFrom(registry, file, options)),
    );
  withPlace(command.command('export').description('write devices into a file that import takes'))
    .argument('[file]', 'a path, or - for standard output', '-')
    .option('-t, --tenant <tenant>', 'whose devices', 'main')
    .option('-f, --format <format>', 'csv or jsonl (default: by the name of the file, else jsonl)')
    .action((file: string, options: Where & Parameters<typeof exportTo>[2]) =>
      withRegistry(options, (registry) => exportTo(registry, file, options)),
    );
  return command;
}

function withPlace(command: Command): Command {
  return command
    .option('-c, --config <file>', 'configuration that names the registry')
    .option('-d, --data <dir>', 'data directory (default: ./data)')
    .option('--json', 'machine-readable result');
}

async function add(given: string, options: Where & Marks): Promise<void> {
  const fields: NewFields<'device'> = {
    ...(options.label && { labels: await labelsOf(options.label) }),
    ...(options.group && { groups: options.group }),
    ...(options.role && { roles: options.role }),
  };
  const { tenant, name } = await device(given);
  await withRegistry(options, async (registry) => {
    const made = await done(registry.create('device', tenant, name, fields));
    tell(options, made, `Added ${tenant}/${name}`);
  });
}

async function list(options: Search): Promise<void> {
  const tenant = options.tenant ?? 'main';
  const wanted = await countOf(options.limit ?? '1000');
  const query: Query = {
    prefix: options.prefix,
    groups: options.group,
    status: options.status as Query['status'],
    ...(options.label && { labels: await labelsOf(options.label) }),
  };
  await withRegistry(options, async (registry) => {
    const found: Entry<'device'>[] = [];
    let after: string | undefined;
    do {
      const page = await done(registry.list('device', tenant, { ...query, after, limit: Math.min(1000, wanted - found.length) }));
      found.push(...page.entries);
      after = page.next;
    } while (after !== undefined && found.length < wanted);
    if (options.json) {
      process.stdout.write(`${JSON.stringify(found, undefined, 2)}\n`);
      return;
    }
    const width = Math.max(6, ...found.map(({ id }) => id.length));
    process.stdout.write(`${'device'.padEnd(width)}  status    groups, labels\n`);
    for (const { id, status, groups, labels } of found) {
      process.stdout.write(`${id.padEnd(width)}  ${status.padEnd(8)}  ${[...groups, ...pairs(labels)].join(', ')}`.trimEnd() + '\n');
    }
    if (after !== undefined) process.stderr.write(`There are more; --limit shows them, or "heliograph device export".\n`);
  });
}

async function show(given: string, options: Where): Promise<void> {
  const { tenant, name } = await device(given);
  await withRegistry(options, async (registry) => {
    const found = await done(registry.get('device', tenant, name));
    const { UserError } = await import('../base/user-error.ts');
    if (found === undefined)
      throw new UserError(`There is no device ${tenant}/${name}.`, { fix: 'heliograph device list shows those that there are' });
    if (options.json) {
      process.stdout.write(`${JSON.stringify(found, undefined, 2)}\n`);
      return;
    }
    const lines: readonly [string, string][] = [
      ['device', `${tenant}/${name}`],
      ['status', found.status],
      ['groups', found.groups.join(', ')],
      ['labels', pairs(found.labels).join(', ')],
      ['roles', found.roles.join(', ')],
      ['created', new Date(found.createdMs).toISOString()],
      ['changed', new Date(found.updatedMs).toISOString()],
      ['version', String(found.version)],
    ];
    for (const [what, text] of lines) process.stdout.write(`${what.padEnd(8)} ${text === '' ? '-' : text}\n`);
  });
}

function setStatus(status: 'active' | 'disabled'): (given: string, options: Where) => Promise<void> {
  return async (given, options) => {
    const { tenant, name } = await device(given);
    await withRegistry(options, async (registry) => {
      const changed = await done(registry.update('device', tenant, name, { status }));
      tell(options, changed, `${tenant}/${name} is ${status}`);
    });
  };
}

async function remove(given: string, options: Where): Promise<void> {
  const { tenant, name } = await device(given);
  await withRegistry(options, async (registry) => {
    const gone = await done(registry.remove('device', tenant, name));
    tell(options, gone, `Removed ${tenant}/${name}`);
  });
}

async function withRegistry(options: Where, work: (registry: Registry) => Promise<void>): Promise<void> {
  const [{ configOf }, { openRegistryOf }, { SystemClock }] = await Promise.all([
    import('./config-of.ts'),
    import('../node/registry-of.ts'),
    import('../base/clock.ts'),
  ]);
  const registry = await openRegistryOf(configOf(options), { clock: new SystemClock(), thread: false });
  try {
    await work(registry);
  } finally {
    await registry.close();
  }
}

async function done<T>(asked: Result<T> | Promise<Result<T>>): Promise<T> {
  const result = await asked;
  if (result.ok) return result.value;
  const { registryProblem } = await import('../node/registry-of.ts');
  throw registryProblem(result.error);
}

async function device(given: string): Promise<{ readonly tenant: string; readonly name: string }> {
  const [{ parseAccount }, { UserError }] = await Promise.all([import('../message/names.ts'), import('../base/user-error.ts')]);
  const found = parseAccount(given);
  if (found === undefined)
    throw new UserError(`"${given}" cannot be a device's id.`, { fix: 'use id or tenant/id, without / + # in them' });
  return found;
}

async function labelsOf(given: readonly string[]): Promise<Record<string, string>> {
  const { UserError } = await import('../base/user-error.ts');
  return Object.fromEntries(
    given.map((pair) => {
      const sign = pair.indexOf('=');
      if (sign < 1) throw new UserError(`"${pair}" is no label.`, { fix: 'write key=value, such as --label site=berlin' });
      return [pair.slice(0, sign), pair.slice(sign + 1)];
    }),
  );
}

async function countOf(given: string): Promise<number> {
  const [{ UserError }, { exitCodes }] = await Promise.all([import('../base/user-error.ts'), import('./exit-codes.ts')]);
  const count = Number(given);
  if (Number.isSafeInteger(count) && count > 0) return count;
  throw new UserError(`"${given}" is no number of devices.`, { fix: 'use a whole number above 0', exitCode: exitCodes.wrongUsage });
}

function pairs(labels: Readonly<Record<string, string>>): string[] {
  return Object.entries(labels).map(([key, text]) => `${key}=${text}`);
}

function tell(options: Where, entry: Entry<'device'>, words: string): void {
  process.stdout.write(options.json ? `${JSON.stringify(entry)}\n` : `${words}.\n`);
}
