// heliograph config check|defaults

import { Command } from 'commander';

export function configCommand(): Command {
  const command = new Command('config').description('check a configuration file, or show the defaults');
  command
    .command('check')
    .description('check a configuration file and tell every mistake with its line')
    .argument('<file>', 'YAML file')
    .option('--json', 'machine-readable result')
    .action(check);
  command
    .command('defaults')
    .description('print every setting with its default, as a commented YAML file')
    .option('--json', 'as JSON, without comments')
    .action(defaults);
  return command;
}

async function check(file: string, options: { json?: boolean }): Promise<void> {
  const { ConfigError, loadConfig } = await import('../config.ts');
  try {
    loadConfig(file);
  } catch (error) {
    if (!options.json || !(error instanceof ConfigError)) throw error;
    process.stdout.write(`${JSON.stringify({ ok: false, problems: error.problems }, null, 2)}\n`);
    process.exitCode = error.exitCode;
    return;
  }
  process.stdout.write(options.json ? `${JSON.stringify({ ok: true, problems: [] })}\n` : `${file}: correct\n`);
}

async function defaults(options: { json?: boolean }): Promise<void> {
  if (options.json) {
    const { defaultConfig } = await import('../config.ts');
    process.stdout.write(`${JSON.stringify(defaultConfig(), null, 2)}\n`);
    return;
  }
  const { defaultsAsYaml } = await import('../config/defaults-as-yaml.ts');
  process.stdout.write(defaultsAsYaml());
}
