// The commands that devices, applications and users share: add, list, show, enable, disable, remove, roles, password.

import type { Command } from 'commander';
import { withAccessOptions, type AccessOptions } from './access-options.ts';
import type { ApiClient } from './api-client.ts';
import type { PasswordOptions } from './chosen-password.ts';

export type Principal = {
  readonly tenant: string;
  readonly id: string;
  readonly version: number;
  readonly createdMs: number;
  readonly updatedMs: number;
  readonly status: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly groups: readonly string[];
  readonly roles: readonly string[];
  readonly title?: string;
};

export type Managed = AccessOptions & { readonly json?: boolean };
export type Marks = { readonly label?: string[]; readonly group?: string[]; readonly role?: string[] | false; readonly title?: string };
type Search = Managed & Marks & { readonly tenant: string; readonly prefix?: string; readonly status?: string; readonly limit: string };

export type PrincipalKind = {
  /** As people say it, and as the path has it. */
  readonly one: 'device' | 'application' | 'user';
  readonly many: 'devices' | 'applications' | 'users';
  /** Of a new one that is given none. */
  readonly roles?: readonly string[];
  /** A new one needs a password. */
  readonly wantsPassword: boolean;
};

export const withManagement = (command: Command): Command => withAccessOptions(command).option('--json', 'machine-readable result');

/** Adds the common commands to `command`. */
export function addPrincipalCommands(command: Command, kind: PrincipalKind): void {
  const { one, many } = kind;
  const an = `${/^[aeiou]/.test(one) && one !== 'user' ? 'an' : 'a'} ${one}`;
  const name = [`<${one === 'user' ? 'name' : 'id'}>`, one === 'user' ? 'name, or tenant/name' : 'id, or tenant/id'] as const;
  const on = (verb: string, description: string) => withManagement(command.command(verb).description(description)).argument(...name);
  withMarks(on('add', kind.wantsPassword ? `add ${an}; its password comes from the terminal or standard input` : `add ${an}`), kind)
    // Devices have groups, people and programs have passwords: -g is what is wanted more.
    .option(one === 'device' ? '--generate' : '-g, --generate', 'choose a password and print it')
    .action((given: string, options: Managed & Marks & PasswordOptions) => add(kind, given, options));
  withManagement(command.command('list').description(`show ${many}, in the order of their ids`))
    .option('-t, --tenant <tenant>', `whose ${many}`, 'main')
    .option('-p, --prefix <text>', 'ids that begin with this')
    .option('-l, --label <key=value...>', 'that have all these labels')
    .option('-g, --group <group...>', 'that are in all these groups')
    .option('-s, --status <status>', 'active or disabled')
    .option('-n, --limit <count>', 'how many at most', '1000')
    .action((options: Search) => list(kind, options));
  on('show', `show ${an}`).action((given: string, options: Managed) => show(kind, given, options));
  on('disable', `keep ${an} out; where it is connected, it is cut off`).action(setStatus(kind, 'disabled'));
  on('enable', `let ${an} in again`).action(setStatus(kind, 'active'));
  on('remove', `forget ${an}; its credentials go, its certificates are revoked`).action((given: string, options: Managed) =>
    remove(kind, given, options),
  );
  on('roles', `change the roles of ${an}`)
    .argument('[roles...]', 'all roles it shall have')
    .action((given: string, held: string[], options: Managed) => roles(kind, given, held, options));
  on('password', `give ${an} a password, in place of any it had; it comes from the terminal or standard input`)
    .option('-g, --generate', 'choose a password and print it')
    .option('--none', 'take the password away')
    .action((given: string, options: Managed & PasswordOptions & { readonly none?: boolean }) => password(kind, given, options));
  if (one !== 'device') return;
  on('psk', `make a pre-shared key for ${an}, in place of any it had, and print it; for listeners with psk: true`)
    .option('--none', 'take the key away')
    .action((given: string, options: Managed & { readonly none?: boolean }) => preSharedKey(kind, given, options));
}

function withMarks(command: Command, { one, roles: byDefault }: PrincipalKind): Command {
  const withRoles =
    byDefault === undefined
      ? command.option('-r, --role <role...>', 'roles, which give it policies')
      : command
          .option('-r, --role <role...>', 'roles, which give it policies', [...byDefault])
          .option('--no-role', 'without any; where duties are separated, roles wait for a second person, and passwords do not');
  const withLabels = withRoles
    .option('-l, --label <key=value...>', 'labels, to search and to write policies by')
    .option(one === 'device' ? '-g, --group <group...>' : '--group <group...>', 'groups it is in');
  return one === 'user' ? withLabels.option('--title <text>', 'who it is, for people') : withLabels;
}

async function add(kind: PrincipalKind, given: string, options: Managed & Marks & PasswordOptions): Promise<void> {
  const [{ withApi }, { accountOf, labelsOf }, { choosePassword }, { tell }] = await loaded();
  const { tenant, name } = accountOf(given, kind.one);
  const fields = {
    ...(options.label && { labels: labelsOf(options.label) }),
    ...(options.group && { groups: options.group }),
    ...(options.role && { roles: options.role }),
    ...(options.title !== undefined && { title: options.title }),
  };
  const chosen = kind.wantsPassword || options.generate === true ? await choosePassword(options) : undefined;
  const body = { id: name, ...fields, ...(chosen && { password: chosen.chosen }) };
  await withApi(options, async (api) => {
    const answer = await api.request<object>('POST', `/${kind.many}`, { query: { tenant }, body });
    const generated = chosen?.generated;
    const shown = generated === undefined ? answer : { ...answer, body: { ...answer.body, password: generated } };
    const held = options.role ? ` (${options.role.join(', ')})` : '';
    tell(options, shown, `Added ${tenant}/${name}${held}`, shownOnce(generated));
  });
}

function loaded() {
  return Promise.all([import('./api-client.ts'), import('./given.ts'), import('./chosen-password.ts'), import('./answer-text.ts')]);
}

async function list({ one, many }: PrincipalKind, options: Search): Promise<void> {
  const [{ withApi }, { countOf, labelsOf }, , { pairs, tellTable }] = await loaded();
  const { tenant, prefix, status, group } = options;
  const wanted = countOf(options.limit, many);
  const label = options.label && Object.entries(labelsOf(options.label)).map(([key, text]) => `${key}=${text}`);
  await withApi(options, async (api) => {
    const found: Principal[] = [];
    // One more than is shown tells whether there are more.
    for await (const each of api.pages<Principal>(`/${many}`, { tenant, prefix, status, group, label }, wanted + 1)) found.push(each);
    tellTable(options, found.slice(0, wanted), [
      [one, ({ id }) => id],
      ['status', (each) => each.status],
      ['roles', (each) => each.roles.join(', ')],
      ['groups, labels', ({ groups, labels }) => [...groups, ...pairs(labels)].join(', ')],
    ]);
    if (found.length > wanted) process.stderr.write(`There are more; --limit shows them.\n`);
  });
}

function pathOf({ many }: PrincipalKind, name: string): string {
  return `/${many}/${encodeURIComponent(name)}`;
}

async function onOne(
  kind: PrincipalKind,
  given: string,
  options: Managed,
  work: (api: ApiClient, path: string, tenant: string, account: string) => Promise<void>,
) {
  const [{ withApi }, { accountOf }] = await loaded();
  const { tenant, name } = accountOf(given, kind.one);
  await withApi(options, (api) => work(api, pathOf(kind, name), tenant, `${tenant}/${name}`));
}

function show(kind: PrincipalKind, given: string, options: Managed): Promise<void> {
  return onOne(kind, given, options, async (api, path, tenant, account) => {
    const [, , , { moment, pairs, tellFacts }] = await loaded();
    const { body } = await api.request<Principal>('GET', path, { query: { tenant } });
    tellFacts(options, body, [
      [kind.one, account],
      ...(body.title === undefined ? [] : [['title', body.title] as const]),
      ['status', body.status],
      ['groups', body.groups.join(', ')],
      ['labels', pairs(body.labels).join(', ')],
      ['roles', body.roles.join(', ')],
      ['created', moment(body.createdMs)],
      ['changed', moment(body.updatedMs)],
      ['version', String(body.version)],
    ]);
  });
}

function setStatus(kind: PrincipalKind, status: 'active' | 'disabled'): (given: string, options: Managed) => Promise<void> {
  return (given, options) =>
    onOne(kind, given, options, async (api, path, tenant, account) => {
      const [, , , { tell }] = await loaded();
      tell(options, await api.request('PATCH', path, { query: { tenant }, body: { status } }), `${account} is ${status}`);
    });
}

function remove(kind: PrincipalKind, given: string, options: Managed): Promise<void> {
  return onOne(kind, given, options, async (api, path, tenant, account) => {
    const [, , , { tell }] = await loaded();
    const { status } = await api.request('DELETE', path, { query: { tenant } });
    const [, name] = account.split('/') as [string, string];
    tell(options, { status, body: { tenant, id: name } }, `Removed ${account}`);
  });
}

function roles(kind: PrincipalKind, given: string, held: string[], options: Managed): Promise<void> {
  return onOne(kind, given, options, async (api, path, tenant, account) => {
    const [, , , { tell }] = await loaded();
    const answer = await api.request('PATCH', path, { query: { tenant }, body: { roles: held } });
    tell(options, answer, `${account} now has the roles ${held.join(', ') || '(none)'}`);
  });
}

function password(kind: PrincipalKind, given: string, options: Managed & PasswordOptions & { readonly none?: boolean }): Promise<void> {
  return onOne(kind, given, options, async (api, path, tenant, account) => {
    const [, , { choosePassword }, { tell }] = await loaded();
    const [, id] = account.split('/') as [string, string];
    if (options.none === true) {
      const { status } = await api.request('DELETE', `${path}/password`, { query: { tenant } });
      tell(options, { status, body: { tenant, id } }, `${account} has no password any more`);
      return;
    }
    const { chosen, generated } = await choosePassword(options);
    const { status } = await api.request('PUT', `${path}/password`, { query: { tenant }, body: { password: chosen } });
    const body = { tenant, id, ...(generated !== undefined && { password: generated }) };
    tell(options, { status, body }, `Changed the password of ${account}`, shownOnce(generated));
  });
}

function preSharedKey(kind: PrincipalKind, given: string, options: Managed & { readonly none?: boolean }): Promise<void> {
  return onOne(kind, given, options, async (api, path, tenant, account) => {
    const [[, , , { tell }], { secureRandom }] = await Promise.all([loaded(), import('../base/secure-random.ts')]);
    const [, id] = account.split('/') as [string, string];
    if (options.none === true) {
      const { status } = await api.request('DELETE', `${path}/psk`, { query: { tenant } });
      tell(options, { status, body: { tenant, id } }, `${account} has no pre-shared key any more`);
      return;
    }
    const key = Buffer.from(secureRandom.bytes(32)).toString('hex');
    const { status } = await api.request('PUT', `${path}/psk`, { query: { tenant }, body: { key } });
    tell(options, { status, body: { tenant, id, key } }, `Gave ${account} a pre-shared key`, `Key, shown only now: ${key}`);
  });
}

function shownOnce(generated: string | undefined): string | undefined {
  return generated === undefined ? undefined : `Password, shown only now: ${generated}`;
}
