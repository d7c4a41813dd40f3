// The list of commands. Each stands in a file of its own, and loads what it needs only when it runs.

import { Command } from 'commander';
import { applicationCommand } from './application.ts';
import { approvalCommand } from './approval.ts';
import { auditCommand } from './audit.ts';
import { benchCommand } from './bench.ts';
import { caCommand } from './ca.ts';
import { certificateCommand } from './certificate.ts';
import { configCommand } from './config.ts';
import { dataCommand } from './data.ts';
import { deviceCommand } from './device.ts';
import { enrolCommand } from './enrol.ts';
import { exitCodesHelp } from './exit-codes.ts';
import { policyCommand } from './policy.ts';
import { pubCommand } from './pub.ts';
import { queueCommand, retainedCommand } from './queue.ts';
import { roleCommand } from './role.ts';
import { serveCommand } from './serve.ts';
import { connectionCommand, sessionCommand } from './session.ts';
import { statusCommand } from './status.ts';
import { subCommand } from './sub.ts';
import { tenantCommand } from './tenant.ts';
import { tokenCommand } from './token.ts';
import { traceCommand } from './trace.ts';
import { userCommand } from './user.ts';
import { packageVersion } from '../node/version.ts';

export function createProgram(): Command {
  const program = new Command('heliograph')
    .description('A secure, durable message broker: what it has acknowledged, it does not lose.')
    .version(packageVersion(), '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .showHelpAfterError('(add --help for the options)')
    // So that a command's -V is its own.
    .enablePositionalOptions()
    .addHelpText('after', exitCodesHelp);
  // As in other MQTT clients, their -h is the host.
  const clients = [pubCommand(), subCommand(), benchCommand()];
  const principals = [deviceCommand(), applicationCommand(), userCommand(), tokenCommand(), enrolCommand()];
  const access = [tenantCommand(), roleCommand(), policyCommand(), caCommand(), approvalCommand(), certificateCommand(), auditCommand()];
  const kept = [sessionCommand(), connectionCommand(), queueCommand(), retainedCommand()];
  const others = [configCommand(), dataCommand(), statusCommand(), traceCommand()];
  for (const command of [serveCommand(), ...clients, ...principals, ...access, ...kept, ...others]) program.addCommand(command);
  throwInsteadOfExit(program);
  for (const command of clients) command.helpOption('--help', 'show help');
  return program;
}

/** So that main() alone decides how the process ends. */
function throwInsteadOfExit(command: Command): void {
  command.exitOverride();
  for (const sub of command.commands) {
    sub.copyInheritedSettings(command);
    throwInsteadOfExit(sub);
  }
}
