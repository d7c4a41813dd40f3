// heliograph data check|backup|compact: the durable state of a broker. Its messages can be read only while it does not run; what it
// knows of who may exist, its keys and its audit log also meanwhile.

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command } from 'commander';
import type { Config } from '../config.ts';
import type { TrustCopy } from '../node/trust-copy.ts';
import { exitCodes } from './exit-codes.ts';

type Where = { readonly config?: string; readonly data?: string; readonly json?: boolean };
type BackupOptions = Where & { readonly trustOnly?: boolean };

export function dataCommand(): Command {
  const command = new Command('data').description('check, copy and compact the data of a broker');
  withPlace(command.command('check').description('read everything and tell what is damaged; changes nothing')).action(check);
  withPlace(command.command('backup').description('copy everything into a new data directory'))
    .argument('<target>', 'new or empty directory')
    .option('--trust-only', 'registry, keys, certificates and audit log without messages: also while the broker runs')
    .action(backup);
  withPlace(command.command('compact').description('give all unused space back at once; a running broker does it bit by bit')).action(
    compact,
  );
  return command;
}

function withPlace(command: Command): Command {
  return command
    .option('-c, --config <file>', 'configuration that names the data directory')
    .option('-d, --data <dir>', 'data directory (default: ./data)')
    .option('--json', 'machine-readable result');
}

async function check(options: Where): Promise<void> {
  const [directory, { checkData }, { trustFindings }, { progressLine }] = await Promise.all([
    directoryOf(options),
    import('../store/data-tools/index.ts'),
    import('../node/trust-copy.ts'),
    import('./progress-line.ts'),
  ]);
  const line = progressLine(options.json !== true);
  const data = await checkData(directory, ({ file, rows, ofRows }) => line.show(`${file}: ${rows} of ${ofRows} rows`));
  line.clear();
  const report = { ...data, findings: [...data.findings, ...(await trustFindings(directory))] };
  if (report.findings.length > 0 || report.inUse) process.exitCode = exitCodes.failed;
  if (options.json) {
    process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    return;
  }
  for (const { file, rows, records, storedBytes } of report.shards) {
    process.stdout.write(`${file}: ${rows} rows, ${records} records, ${storedBytes} bytes on disk\n`);
  }
  for (const { where, what, fix } of report.findings) process.stderr.write(`${where}: ${what}\n  fix:   ${fix}\n`);
  if (report.findings.length === 0 && !report.inUse) process.stdout.write('Everything is whole.\n');
}

async function backup(target: string, options: BackupOptions): Promise<void> {
  const { config, directory } = await placeOf(options);
  const [{ backupData, makeBackupTarget }, { copyTrust }] = await Promise.all([
    import('../store/data-tools/index.ts'),
    import('../node/trust-copy.ts'),
  ]);
  let trust: TrustCopy | undefined;
  const copy = async (): Promise<void> => {
    trust = await copyTrust(directory, resolve(target));
  };
  const messages = options.trustOnly === true ? await makeBackupTarget(target).then(copy) : await backupData(directory, target, copy);
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ target, ...messages, trust })}\n`);
    return;
  }
  const { registryBytes, files, bytes } = trust!;
  if (messages !== undefined) {
    process.stdout.write(
      `${target}: ${messages.rows} rows, ${messages.bytes} bytes in ${messages.shards} file(s), verified while copied.\n`,
    );
  }
  if (registryBytes !== undefined) process.stdout.write(`${target}: the registry, ${registryBytes} bytes, verified.\n`);
  process.stdout.write(`${target}: ${files} file(s) of keys, certificates and audit log, ${bytes} bytes.\n`);
  if (config.registry.kind === 'postgres') process.stdout.write('The registry is in PostgreSQL: back it up there (pg_dump).\n');
  process.stdout.write('Whoever has this copy can act as this broker and its authority: keep it in a safe place.\n');
}

async function compact(options: Where): Promise<void> {
  const [directory, { compactData }, { compactRegistryOf }, { registryPath }] = await Promise.all([
    directoryOf(options),
    import('../store/data-tools/index.ts'),
    import('../node/trust-copy.ts'),
    import('../node/paths.ts'),
  ]);
  const reports = await compactData(directory, ({ file, bytesBefore, bytesAfter }) => {
    if (!options.json) process.stdout.write(`${file}: ${bytesBefore} → ${bytesAfter} bytes\n`);
  });
  const registry = registryPath(directory);
  if (existsSync(registry)) {
    const sizes = await compactRegistryOf(registry);
    reports.push({ file: registry, ...sizes });
    if (!options.json) process.stdout.write(`${registry}: ${sizes.bytesBefore} → ${sizes.bytesAfter} bytes\n`);
  }
  if (options.json) process.stdout.write(`${JSON.stringify(reports)}\n`);
}

async function directoryOf(options: Where): Promise<string> {
  return (await placeOf(options)).directory;
}

async function placeOf(options: Where): Promise<{ readonly config: Config; readonly directory: string }> {
  const { configOf } = await import('./config-of.ts');
  const config = configOf(options);
  return { config, directory: resolve(config.node.dataDir) };
}
