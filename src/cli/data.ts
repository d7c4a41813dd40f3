// heliograph data check|backup|compact: the durable state of a broker that does not run.

import { resolve } from 'node:path';
import { Command } from 'commander';
import { exitCodes } from './exit-codes.ts';

type Where = { readonly config?: string; readonly data?: string; readonly json?: boolean };

export function dataCommand(): Command {
  const command = new Command('data').description('check, copy and compact the data of a broker that does not run');
  withPlace(command.command('check').description('read everything and tell what is damaged; changes nothing')).action(check);
  withPlace(command.command('backup').description('copy sessions, queues and retained messages into a new data directory'))
    .argument('<target>', 'new or empty directory')
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
  const [directory, { checkData }, { progressLine }] = await Promise.all([
    directoryOf(options),
    import('../store/data-tools/index.ts'),
    import('./progress-line.ts'),
  ]);
  const line = progressLine(options.json !== true);
  const report = await checkData(directory, ({ file, rows, ofRows }) => line.show(`${file}: ${rows} of ${ofRows} rows`));
  line.clear();
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

async function backup(target: string, options: Where): Promise<void> {
  const [directory, { backupData }] = await Promise.all([directoryOf(options), import('../store/data-tools/index.ts')]);
  const report = await backupData(directory, target);
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ target, ...report })}\n`);
    return;
  }
  process.stdout.write(`${target}: ${report.rows} rows, ${report.bytes} bytes in ${report.shards} file(s), verified while copied.\n`);
  process.stdout.write(`Users and keys are not in it: keep users.json and pki/ of ${directory} in a safe place.\n`);
}

async function compact(options: Where): Promise<void> {
  const [directory, { compactData }] = await Promise.all([directoryOf(options), import('../store/data-tools/index.ts')]);
  const reports = await compactData(directory, ({ file, bytesBefore, bytesAfter }) => {
    if (!options.json) process.stdout.write(`${file}: ${bytesBefore} → ${bytesAfter} bytes\n`);
  });
  if (options.json) process.stdout.write(`${JSON.stringify(reports)}\n`);
}

async function directoryOf(options: Where): Promise<string> {
  const { configOf } = await import('./config-of.ts');
  return resolve(configOf(options).node.dataDir);
}
