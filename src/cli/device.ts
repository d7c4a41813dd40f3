// heliograph device …: the devices of the registry.

import { Command } from 'commander';
import type { CertificateOptions } from './device-folder.ts';
import type { exportTo, importFrom } from './device-files.ts';
import { addPrincipalCommands, withManagement, type Managed } from './principal-command.ts';

export function deviceCommand(): Command {
  const command = new Command('device').alias('devices').description('add, change, list, import and export devices');
  addPrincipalCommands(command, { one: 'device', many: 'devices', wantsPassword: false });
  const adding = command.commands.find((each) => each.name() === 'add')!;
  withCertificate(adding).hook('postAction', async (_command, added) => {
    const options = added.opts<Managed & CertificateOptions>();
    if (options.out !== undefined || options.csr !== undefined) await certificate(added.args[0]!, options);
  });
  withCertificate(withManagement(command.command('certificate').description('issue a certificate to a device that is there already')))
    .argument('<id>', 'id, or tenant/id')
    .action(certificate);
  withManagement(command.command('import').description('add devices from a file: CSV with a header, or JSON lines'))
    .argument('<file>', 'a path, or - for standard input')
    .option('-t, --tenant <tenant>', 'whose devices', 'main')
    .option('-f, --format <format>', 'csv or jsonl (default: by the name of the file)')
    .option('--update', 'change devices that are there already, instead of refusing their rows')
    .option('--refused <file>', 'write every refused row into this file, as JSON lines')
    .action(async (file: string, options: Managed & Parameters<typeof importFrom>[2]) => {
      const [{ withApi }, files] = await Promise.all([import('./api-client.ts'), import('./device-files.ts')]);
      await withApi(options, (api) => files.importFrom(api, file, options));
    });
  withManagement(command.command('export').description('write devices into a file that import takes'))
    .argument('[file]', 'a path, or - for standard output', '-')
    .option('-t, --tenant <tenant>', 'whose devices', 'main')
    .option('-f, --format <format>', 'csv or jsonl (default: by the name of the file, else jsonl)')
    .action(async (file: string, options: Managed & Parameters<typeof exportTo>[2]) => {
      const [{ withApi }, files] = await Promise.all([import('./api-client.ts'), import('./device-files.ts')]);
      await withApi(options, (api) => files.exportTo(api, file, options));
    });
  return command;
}

function withCertificate(command: Command): Command {
  return command
    .option('-o, --out <dir>', 'issue a certificate, and make a folder of all that the device needs')
    .option('--csr <file>', 'certify the key of this request (PKCS #10, PEM) instead of a new one')
    .option('--days <count>', 'how long the certificate is valid; shortened to what the configuration allows')
    .option('--host <name>', 'by which the device reaches this broker, for the folder', 'localhost');
}

async function certificate(given: string, options: Managed & CertificateOptions): Promise<void> {
  const [{ withApi }, { issueToDevice }] = await Promise.all([import('./api-client.ts'), import('./device-folder.ts')]);
  await withApi(options, (api) => issueToDevice(api, given, options));
}
