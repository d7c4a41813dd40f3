// heliograph tenant add|list|show|change|remove: who shares this broker without seeing each other.

import { Command } from 'commander';
import { withManagement, type Managed } from './principal-command.ts';

type Tenant = {
  readonly id: string;
  readonly status: string;
  readonly title: string;
  readonly quotas: Readonly<Record<string, number>>;
  readonly principalQuotas: Readonly<Record<string, number>>;
};

type Fields = Managed & {
  readonly title?: string;
  readonly status?: string;
  readonly quota?: string[];
  readonly principalQuota?: string[];
};

export function tenantCommand(): Command {
  const command = new Command('tenant').alias('tenants').description('add, change and remove tenants');
  withFields(command.command('add').description('add a tenant')).argument('<name>').action(add);
  withFields(command.command('change').description('change a tenant: only what is given changes'))
    .argument('<name>')
    .option('-s, --status <status>', 'active or disabled')
    .action(change);
  withManagement(command.command('list').description('show the tenants')).action(list);
  withManagement(command.command('show').description('show a tenant')).argument('<name>').action(show);
  withManagement(command.command('remove').description('remove a tenant that nothing belongs to any more'))
    .argument('<name>')
    .action(remove);
  return command;
}

function withFields(command: Command): Command {
  return withManagement(command)
    .option('--title <text>', 'what it is, for people')
    .option('--quota <name=number...>', 'bounds of it as a whole: connections, messagesPerSecond, bytesPerSecond, queueMessages, …')
    .option('--principal-quota <name=number...>', 'bounds of each of its principals');
}

function loaded() {
  return Promise.all([import('./api-client.ts'), import('./answer-text.ts'), import('./given.ts')]);
}

async function fieldsOf({ title, status, quota, principalQuota }: Fields): Promise<object> {
  const [, , { quotasOf }] = await loaded();
  return {
    ...(title !== undefined && { title }),
    ...(status !== undefined && { status }),
    ...(quota && { quotas: quotasOf(quota) }),
    ...(principalQuota && { principalQuotas: quotasOf(principalQuota) }),
  };
}

async function add(given: string, options: Fields): Promise<void> {
  const [{ withApi }, { tell }, { nameOf }] = await loaded();
  const body = { id: nameOf(given, 'tenant'), ...(await fieldsOf(options)) };
  await withApi(options, async (api) => tell(options, await api.request('POST', '/tenants', { body }), `Added the tenant ${given}`));
}

async function change(given: string, options: Fields): Promise<void> {
  const [{ withApi }, { tell }] = await loaded();
  const body = await fieldsOf(options);
  await withApi(options, async (api) => tell(options, await api.request('PATCH', pathOf(given), { body }), `Changed the tenant ${given}`));
}

async function list(options: Managed): Promise<void> {
  const [{ withApi }, { tellTable }] = await loaded();
  await withApi(options, async (api) => {
    tellTable(options, await api.all<Tenant>('/tenants'), [
      ['tenant', ({ id }) => id],
      ['status', ({ status }) => status],
      ['title', ({ title }) => title],
    ]);
  });
}

async function show(given: string, options: Managed): Promise<void> {
  const [{ withApi }, { tellFacts, pairs }] = await loaded();
  await withApi(options, async (api) => {
    const { body } = await api.request<Tenant>('GET', pathOf(given));
    tellFacts(options, body, [
      ['tenant', body.id],
      ['status', body.status],
      ['title', body.title],
      ['quotas', pairs(body.quotas).join(', ')],
      ['of each principal', pairs(body.principalQuotas).join(', ')],
    ]);
  });
}

async function remove(given: string, options: Managed): Promise<void> {
  const [{ withApi }, { tell }] = await loaded();
  await withApi(options, async (api) => {
    const { status } = await api.request('DELETE', pathOf(given));
    tell(options, { status, body: { id: given } }, `Removed the tenant ${given}`);
  });
}

function pathOf(name: string): string {
  return `/tenants/${encodeURIComponent(name)}`;
}
