// heliograph config check|defaults|show

import { Command } from 'commander';
import { withAccessOptions, type AccessOptions } from './access-options.ts';

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
  withAccessOptions(command.command('show').description('print the configuration in force on a broker, complete; secrets are hidden'))
    .option('--json', 'as JSON')
    .action(show);
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

async function show(options: AccessOptions & { readonly json?: boolean }): Promise<void> {
  const [{ withApi }, { configAsYaml }] = await Promise.all([import('./api-client.ts'), import('../config/config-as-yaml.ts')]);
  await withApi(options, async (api) => {
    const { body } = await api.request<object>('GET', '/config');
    process.stdout.write(options.json === true ? `${JSON.stringify(body, null, 2)}\n` : configAsYaml(body));
  });
}
