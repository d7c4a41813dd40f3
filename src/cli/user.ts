// heliograph user …: the people of the registry.

import { Command } from 'commander';
import { addPrincipalCommands } from './principal-command.ts';

export function userCommand(): Command {
  const command = new Command('user').alias('users').description('add, change and remove users');
  addPrincipalCommands(command, { one: 'user', many: 'users', roles: ['application'], wantsPassword: true });
  command
    .command('hash')
    .description('print the hash of a password, for security.users in the configuration')
    .option('--json', 'machine-readable result')
    .action(hash);
  return command;
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
