// docs/commands.md out of the command line's own help.

import type { Command } from 'commander';
import { exitCodesHelp } from '../src/cli/exit-codes.ts';
import { createProgram } from '../src/cli/program.ts';

const helpWidth = 110;

const head = `# The command line

<!-- Generated from the program's help by \`npm run docs\`. Change src/cli, not this file. -->

In a clone, write \`npm run -s heliograph -- <command>\` for \`heliograph <command>\`; \`npm start\` is \`heliograph serve\`.

- What a command prints for further use goes to standard output; messages and the log go to standard error.
- \`--json\` gives one JSON document instead of words, errors included.
- A mistake is told as what is wrong, where, and how to mend it.
`;

export function commandsReference(): string {
  const parts = [head];
  for (const command of createProgram().commands) parts.push(...pages(command, 'heliograph'));
  parts.push(`## Exit codes\n\n${block(exitCodesHelp.trim().replace(/^Exit codes:\n/, ''))}`);
  return parts.join('\n');
}

function pages(command: Command, parent: string): string[] {
  const name = `${parent} ${command.name()}`;
  if (command.commands.length > 0) return command.commands.flatMap((sub) => pages(sub, name));
  let help = '';
  command.configureOutput({ writeOut: (text) => (help += text), getOutHelpWidth: () => helpWidth, getOutHasColors: () => false });
  command.outputHelp();
  return [`## ${name}\n\n${block(help.trim())}`];
}

function block(text: string): string {
  return `\`\`\`text\n${text}\n\`\`\`\n`;
}
