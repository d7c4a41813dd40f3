// The command line's entry. Everything a user can do wrong ends here as what, where and how to mend it.

import { CommanderError } from 'commander';
import { ConfigError } from './config/problem.ts';
import { UserError } from './base/user-error.ts';
import { watchClosedOutput } from './cli/closed-output.ts';
import { exitCodes } from './cli/exit-codes.ts';
import { createProgram } from './cli/program.ts';
import { visible } from './cli/visible.ts';

/** Runs one command; resolves when it is over, with the exit code set. */
export async function main(argv: readonly string[]): Promise<void> {
  ignoreKnownWarnings();
  watchClosedOutput();
  try {
    await createProgram().parseAsync([...argv]);
  } catch (error) {
    process.exitCode = report(error, argv.includes('--json'));
  }
}

/** Tells the user what went wrong and returns the exit code. */
function report(error: unknown, json: boolean): number {
  // Commander has already written its message.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.wrongUsage;
  if (!(error instanceof UserError)) {
    process.stderr.write(`This should not have happened; please report it.\n${error instanceof Error ? error.stack : String(error)}\n`);
    return exitCodes.bug;
  }
  if (json) process.stderr.write(`${JSON.stringify({ error: { what: error.message, where: error.where, fix: error.fix } })}\n`);
  else process.stderr.write(inWords(error));
  return error.exitCode;
}

function inWords(error: UserError): string {
  if (error instanceof ConfigError) return `${error.message}\n`;
  const where = error.where === undefined ? '' : `  where: ${error.where}\n`;
  const fix = error.fix === undefined ? '' : `  fix:   ${error.fix}\n`;
  // It may repeat what a server said.
  return visible(`Error: ${error.message}\n${where}${fix}`, '\n');
}

/** node:sqlite still announces itself as experimental; that is no news for an operator. Other warnings are shown. */
function ignoreKnownWarnings(): void {
  process.removeAllListeners('warning');
  process.on('warning', (warning) => {
    if (warning.name === 'ExperimentalWarning' && warning.message.includes('SQLite')) return;
    process.stderr.write(`${warning.stack ?? warning.message}\n`);
  });
}
