// heliograph user add|remove|list|password|roles|hash: the users of dataDir/users.json. A running node notices changes by itself.

import { dirname } from 'node:path';
import { Command } from 'commander';
import type { UsersFile } from '../security/users-file.ts';

type Where = { readonly config?: string; readonly data?: string; readonly json?: boolean };
type NewPassword = { readonly generate?: boolean };

export function userCommand(): Command {
  const command = new Command('user').alias('users').description('add, change and remove users; a running broker notices it');
  withPlace(command.command('add').description('add a user; its password comes from the terminal or standard input'))
    .argument('<name>', 'name, or tenant/name')
    .option('-r, --role <role...>', 'roles that rules refer to, such as admin, application, device', ['application'])
    .option('-g, --generate', 'choose a password and print it')
    .action(add);
  withPlace(command.command('remove').description('remove a user')).argument('<name>', 'name, or tenant/name').action(remove);
  withPlace(command.command('list').description('show the users')).action(list);
  withPlace(command.command('password').description('change the password of a user'))
    .argument('<name>', 'name, or tenant/name')
    .option('-g, --generate', 'choose a password and print it')
    .action(password);
  withPlace(command.command('roles').description('change the roles of a user'))
    .argument('<name>', 'name, or tenant/name')
    .argument('[roles...]', 'all roles it shall have')
    .action(roles);
  command
    .command('hash')
    .description('print the hash of a password, for security.users in the configuration')
    .option('--json', 'machine-readable result')
    .action(hash);
  return command;
}

function withPlace(command: Command): Command {
  return command
    .option('-c, --config <file>', 'configuration that names the data directory')
    .option('-d, --data <dir>', 'data directory (default: ./data)')
    .option('--json', 'machine-readable result');
}

async function add(given: string, options: Where & NewPassword & { role: string[] }): Promise<void> {
  const file = await open(options);
  const { tenant, name } = await account(given);
  const { chosen, generated } = await newPassword(options);
  await file.add({ tenant, name, roles: options.role, password: chosen, createdMs: Date.now() });
  tell(options, { tenant, name, roles: options.role, ...generated }, `Added ${tenant}/${name} (${options.role.join(', ')})`);
}

async function remove(given: string, options: Where): Promise<void> {
  const file = await open(options);
  const { tenant, name } = await account(given);
  await file.remove(tenant, name);
  tell(options, { tenant, name }, `Removed ${tenant}/${name}`);
}

async function list(options: Where): Promise<void> {
  const users = await (await open(options)).list();
  if (options.json) {
    const shown = users.map(({ tenant, name, roles: held, createdMs }) => ({ tenant, name, roles: held, createdMs }));
    process.stdout.write(`${JSON.stringify(shown, null, 2)}\n`);
    return;
  }
  const width = Math.max(4, ...users.map(({ tenant, name }) => tenant.length + name.length + 1));
  process.stdout.write(`${'user'.padEnd(width)}  roles\n`);
  for (const { tenant, name, roles: held } of users) process.stdout.write(`${`${tenant}/${name}`.padEnd(width)}  ${held.join(', ')}\n`);
}

async function password(given: string, options: Where & NewPassword): Promise<void> {
  const file = await open(options);
  const { tenant, name } = await account(given);
  const { chosen, generated } = await newPassword(options);
  await file.changePassword(tenant, name, chosen);
  tell(options, { tenant, name, ...generated }, `Changed the password of ${tenant}/${name}`);
}

async function roles(given: string, held: string[], options: Where): Promise<void> {
  const file = await open(options);
  const { tenant, name } = await account(given);
  await file.changeRoles(tenant, name, held);
  tell(options, { tenant, name, roles: held }, `${tenant}/${name} now has the roles ${held.join(', ') || '(none)'}`);
}

async function hash(options: { json?: boolean }): Promise<void> {
  const [{ hashPassword }, { secureRandom }, { readNewPassword }] = await Promise.all([
    import('../security/password-hash.ts'),
    import('../base/secure-random.ts'),
    import('./password-input.ts'),
  ]);
  const passwordHash = await hashPassword(Buffer.from(await readNewPassword()), secureRandom);
  process.stdout.write(options.json ? `${JSON.stringify({ passwordHash })}\n` : `${passwordHash}\n`);
}

async function open(options: Where): Promise<UsersFile> {
  const [{ configOf }, { UsersFile: File }, { secureRandom }, { makePrivateDirectory }, { usersFilePath }] = await Promise.all([
    import('./config-of.ts'),
    import('../security/users-file.ts'),
    import('../base/secure-random.ts'),
    import('../base/private-file.ts'),
    import('../node/paths.ts'),
  ]);
  const path = usersFilePath(configOf(options).node.dataDir);
  await makePrivateDirectory(dirname(path));
  return new File(path, secureRandom);
}

async function account(given: string): Promise<{ readonly tenant: string; readonly name: string }> {
  const [{ parseAccount }, { UserError }] = await Promise.all([import('../message/names.ts'), import('../base/user-error.ts')]);
  const found = parseAccount(given);
  if (found === undefined)
    throw new UserError(`"${given}" cannot be a user's name.`, { fix: 'use name or tenant/name, without / + # in them' });
  return found;
}

type Chosen = { readonly chosen: string; readonly generated: { readonly password?: string } };

async function newPassword({ generate }: NewPassword): Promise<Chosen> {
  if (generate === true) {
    const [{ generatePassword }, { secureRandom }] = await Promise.all([
      import('../security/generate-password.ts'),
      import('../base/secure-random.ts'),
    ]);
    const chosen = generatePassword(secureRandom);
    return { chosen, generated: { password: chosen } };
  }
  const { readNewPassword } = await import('./password-input.ts');
  return { chosen: await readNewPassword(), generated: {} };
}

function tell(
  options: Where,
  result: { readonly name: string; readonly password?: string; readonly [more: string]: unknown },
  words: string,
): void {
  if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else process.stdout.write(result.password === undefined ? `${words}.\n` : `${words}. Password, shown only now: ${result.password}\n`);
}
