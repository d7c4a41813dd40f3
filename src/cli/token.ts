// heliograph token add|list|remove: API tokens, which scripts show instead of a password.

import { Command } from 'commander';
import { withManagement, type Managed } from './principal-command.ts';

type Token = {
  readonly tenant: string;
  readonly id: string;
  readonly owner: { readonly kind: string; readonly id: string };
  readonly createdMs: number;
  readonly expiresAtMs?: number;
};

type Add = Managed & { readonly kind: string; readonly valid?: string };
type List = Managed & { readonly tenant: string };

export function tokenCommand(): Command {
  const command = new Command('token').alias('tokens').description('make, show and take back API tokens');
  withManagement(command.command('add').description('make a token that acts as somebody; it is shown once'))
    .argument('<owner>', 'name, or tenant/name, of whom it acts as')
    .option('-k, --kind <kind>', 'user, application or device', 'user')
    .option('--valid <span>', 'how long it holds: 12h, 30d (default: until it is taken back)')
    .action(add);
  withManagement(command.command('list').description('show the tokens, without their text'))
    .option('-t, --tenant <tenant>', 'whose tokens', 'main')
    .action(list);
  withManagement(command.command('remove').description('take a token back'))
    .argument('<id>', 'its id, or tenant/id, as list shows it')
    .action(remove);
  return command;
}

function loaded() {
  return Promise.all([import('./api-client.ts'), import('./answer-text.ts'), import('./given.ts')]);
}

async function add(given: string, options: Add): Promise<void> {
  const [{ withApi }, { tell }, { accountOf, spanOf }] = await loaded();
  const { tenant, name } = accountOf(given, options.kind);
  const body = { owner: { kind: options.kind, id: name }, ...(options.valid !== undefined && { validMs: spanOf(options.valid) }) };
  await withApi(options, async (api) => {
    const answer = await api.request<Token & { readonly token: string }>('POST', '/tokens', { query: { tenant }, body });
    tell(options, answer, `Made the token ${answer.body.id} of ${tenant}/${name}`, `Shown only now: ${answer.body.token}`);
  });
}

async function list(options: List): Promise<void> {
  const [{ withApi }, { tellTable, moment }] = await loaded();
  await withApi(options, async (api) => {
    tellTable(options, await api.all<Token>('/tokens', { tenant: options.tenant }), [
      ['token', ({ id }) => id],
      ['acts as', ({ owner }) => `${owner.kind} ${owner.id}`],
      ['made', ({ createdMs }) => moment(createdMs)],
      ['ends', ({ expiresAtMs }) => moment(expiresAtMs)],
    ]);
  });
}

async function remove(given: string, options: Managed): Promise<void> {
  const [{ withApi }, { tell }, { accountOf }] = await loaded();
  const { tenant, name } = accountOf(given, 'token');
  await withApi(options, async (api) => {
    const { status } = await api.request('DELETE', `/tokens/${encodeURIComponent(name)}`, { query: { tenant } });
    tell(options, { status, body: { tenant, id: name } }, `Took back the token ${name}`);
  });
}
