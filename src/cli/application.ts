// heliograph application …: the programs of the registry.

import { Command } from 'commander';
import { addPrincipalCommands } from './principal-command.ts';

export function applicationCommand(): Command {
  const command = new Command('application').alias('applications').description('add, change and remove applications');
  addPrincipalCommands(command, { one: 'application', many: 'applications', roles: ['application'], wantsPassword: false });
  return command;
}
