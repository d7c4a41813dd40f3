// heliograph role add|list|show|change|remove: names under which principals are given policies.

import { Command } from 'commander';
import { withManagement, type Managed } from './principal-command.ts';

type Role = {
  readonly tenant: string;
  readonly id: string;
  readonly title: string;
  readonly policies: readonly string[];
  readonly quotas: Readonly<Record<string, number>>;
};

type Fields = Managed & { readonly title?: string; readonly policy?: string[]; readonly quota?: string[] };
type List = Managed & { readonly tenant: string; readonly policy?: string };

export function roleCommand(): Command {
  const command = new Command('role').alias('roles').description('add, change and remove roles');
  const name = ['<name>', 'name, or tenant/name'] as const;
  withFields(command.command('add').description('add a role'))
    .argument(...name)
    .action(add);
  withFields(command.command('change').description('change a role: only what is given changes'))
    .argument(...name)
    .action(change);
  withManagement(command.command('list').description('show the roles'))
    .option('-t, --tenant <tenant>', 'whose roles', 'main')
    .option('-p, --policy <name>', 'only roles that grant this policy')
    .action(list);
  withManagement(command.command('show').description('show a role'))
    .argument(...name)
    .action(show);
  withManagement(command.command('remove').description('remove a role; who has it keeps the name, which then grants nothing'))
    .argument(...name)
    .action(remove);
  return command;
}

function withFields(command: Command): Command {
  return withManagement(command)
    .option('--title <text>', 'what it is for, for people')
    .option('-p, --policy <name...>', 'all policies it grants')
    .option('--quota <name=number...>', "bounds in place of the tenant's: connections, messagesPerSecond, bytesPerSecond, …");
}

function loaded() {
  return Promise.all([import('./api-client.ts'), import('./answer-text.ts'), import('./given.ts')]);
}

async function fieldsOf({ title, policy, quota }: Fields): Promise<object> {
  const [, , { quotasOf }] = await loaded();
  return { ...(title !== undefined && { title }), ...(policy && { policies: policy }), ...(quota && { quotas: quotasOf(quota) }) };
}

async function add(given: string, options: Fields): Promise<void> {
  const [{ withApi }, { tell }, { accountOf }] = await loaded();
  const { tenant, name } = accountOf(given, 'role');
  const body = { id: name, ...(await fieldsOf(options)) };
  await withApi(options, async (api) =>
    tell(options, await api.request('POST', '/roles', { query: { tenant }, body }), `Added the role ${tenant}/${name}`),
  );
}

async function change(given: string, options: Fields): Promise<void> {
  const [{ withApi }, { tell }, { accountOf }] = await loaded();
  const { tenant, name } = accountOf(given, 'role');
  const body = await fieldsOf(options);
  await withApi(options, async (api) =>
    tell(options, await api.request('PATCH', pathOf(name), { query: { tenant }, body }), `Changed the role ${tenant}/${name}`),
  );
}

async function list(options: List): Promise<void> {
  const [{ withApi }, { tellTable }] = await loaded();
  const { tenant, policy } = options;
  await withApi(options, async (api) => {
    tellTable(options, await api.all<Role>('/roles', { tenant, policy }), [
      ['role', ({ id }) => id],
      ['policies', ({ policies }) => policies.join(', ')],
      ['title', ({ title }) => title],
    ]);
  });
}

async function show(given: string, options: Managed): Promise<void> {
  const [{ withApi }, { tellFacts, pairs }, { accountOf }] = await loaded();
  const { tenant, name } = accountOf(given, 'role');
  await withApi(options, async (api) => {
    const { body } = await api.request<Role>('GET', pathOf(name), { query: { tenant } });
    tellFacts(options, body, [
      ['role', `${tenant}/${name}`],
      ['title', body.title],
      ['policies', body.policies.join(', ')],
      ['quotas', pairs(body.quotas).join(', ')],
    ]);
  });
}

async function remove(given: string, options: Managed): Promise<void> {
  const [{ withApi }, { tell }, { accountOf }] = await loaded();
  const { tenant, name } = accountOf(given, 'role');
  await withApi(options, async (api) => {
    const { status, body } = await api.request('DELETE', pathOf(name), { query: { tenant } });
    tell(options, { status, body: body ?? { tenant, id: name } }, `Removed the role ${tenant}/${name}`);
  });
}

function pathOf(name: string): string {
  return `/roles/${encodeURIComponent(name)}`;
}
