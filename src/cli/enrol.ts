// heliograph enrol token …: tokens by which devices that have nothing else are given their first certificate.

import { Command } from 'commander';
import type { EnrolmentView } from '../security/pki/enrolment/enrolment.ts';
import { withAccessOptions, type AccessOptions } from './access-options.ts';

type Options = AccessOptions & { readonly json?: boolean; readonly tenant: string };
type CreateOptions = Options & {
  readonly uses: string;
  readonly valid: string;
  readonly newDevices?: boolean;
  readonly group?: string[];
  readonly role?: string[];
};

export function enrolCommand(): Command {
  const command = new Command('enrol').description('let devices come to certificates by themselves');
  const token = command.command('token').description('tokens for a first certificate (EST, or a request over HTTPS)');
  const verb = (name: string, description: string): Command =>
    withAccessOptions(token.command(name).description(description))
      .option('-t, --tenant <tenant>', 'whose devices', 'main')
      .option('--json', 'machine-readable result');
  verb('create', 'make a token; it is shown once, only its hash is kept')
    .argument('<pattern>', 'ids of the devices it is good for; * stands for any characters')
    .option('--uses <count>', 'how many devices can use it', '1')
    .option('--valid <time>', 'for how long: 90s, 30min, 12h, 7d', '24h')
    .option('-n, --new-devices', 'add devices that are not there yet (with the role device, unless --role says otherwise)')
    .option('-g, --group <group...>', 'groups of devices that it adds')
    .option('-r, --role <role...>', 'roles of devices that it adds')
    .action(create);
  verb('list', 'show tokens, without their text').action(list);
  verb('disable', 'make a token good for nothing').argument('<id>', 'as list shows it').action(setStatus('disabled'));
  verb('enable', 'make a disabled token good again').argument('<id>', 'as list shows it').action(setStatus('active'));
  verb('remove', 'forget a token').argument('<id>', 'as list shows it').action(remove);
  return command;
}

function loaded() {
  return Promise.all([import('./api-client.ts'), import('./given.ts'), import('./answer-text.ts')]);
}

async function create(pattern: string, options: CreateOptions): Promise<void> {
  const [{ withApi }, { countOf, nameOf, spanOf }, { moment, tell }] = await loaded();
  const { tenant, group, role } = options;
  const addsDevices = options.newDevices === true || group !== undefined || role !== undefined;
  const body = {
    devicePattern: pattern,
    maxUses: countOf(options.uses, 'uses'),
    validMs: spanOf(options.valid),
    ...(addsDevices && { newDevices: { groups: group ?? [], roles: role ?? ['device'] } }),
  };
  await withApi(options, async (api) => {
    const query = { tenant: nameOf(tenant, 'tenant') };
    const answer = await api.request<EnrolmentView & { readonly token: string }>('POST', '/enrolments', { query, body });
    const { token, maxUses, expiresAtMs } = answer.body;
    const times = maxUses === 1 ? 'once' : `${maxUses} times`;
    tell(options, answer, `Token, shown only now: ${token}\nGood ${times} until ${moment(expiresAtMs)}, for ${pattern}`);
  });
}

async function list(options: Options): Promise<void> {
  const [{ withApi }, { nameOf }, { moment, tellTable }] = await loaded();
  const query = { tenant: nameOf(options.tenant, 'tenant') };
  await withApi(options, async (api) => {
    const found: EnrolmentView[] = [];
    for await (const each of api.pages<EnrolmentView>('/enrolments', query)) found.push(each);
    tellTable(options, found, [
      ['token', ({ id }) => id],
      ['status', ({ status }) => status],
      ['used', ({ uses, maxUses }) => `${uses} of ${maxUses}`],
      ['until', ({ expiresAtMs }) => moment(expiresAtMs)],
      ['for', ({ devicePattern }) => devicePattern],
      ['adds devices', ({ newDevices }) => (newDevices === undefined ? 'no' : `yes (${newDevices.roles.join(', ') || 'no role'})`)],
    ]);
  });
}

function setStatus(status: 'active' | 'disabled'): (id: string, options: Options) => Promise<void> {
  return async (id, options) => {
    const [{ withApi }, , { tell }] = await loaded();
    await withApi(options, async (api) => {
      const path = `/enrolments/${encodeURIComponent(id)}`;
      tell(options, await api.request('PATCH', path, { query: { tenant: options.tenant }, body: { status } }), `Token ${id} is ${status}`);
    });
  };
}

async function remove(id: string, options: Options): Promise<void> {
  const [{ withApi }, , { tell }] = await loaded();
  const { tenant } = options;
  await withApi(options, async (api) => {
    const { status } = await api.request('DELETE', `/enrolments/${encodeURIComponent(id)}`, { query: { tenant } });
    tell(options, { status, body: { tenant, id } }, `Removed token ${id}`);
  });
}
