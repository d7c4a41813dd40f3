// heliograph device …: the devices of the registry.

import { Command } from 'commander';
import type { CertificateOptions } from './device-folder.ts';
import type { exportTo, importFrom } from './device-files.ts';
import { addDeviceKeyCommands } from './device-keys.ts';
import { addPrincipalCommands, withManagement, type Managed } from './principal-command.ts';

export function deviceCommand(): Command {
  const command = new Command('device')
    .alias('devices')
    .description('add devices with their certificates, change, list, import and export them');
  addDeviceKeyCommands(command);
  addPrincipalCommands(command, { one: 'device', many: 'devices', wantsPassword: false });
  const adding = command.commands.find((each) => each.name() === 'add')!;
  withCertificate(adding, 'make the folder here (default: named after the device, in the working directory)')
    .option('--no-certificate', 'only add the device: it gets its certificate by enrolment, or needs none')
    // Before the device is there: a folder that cannot be made must not leave half of it done.
    .hook('preAction', async (_command, asked) => {
      const { checkFolder } = await import('./device-folder.ts');
      const out = folderOf(asked.args[0]!, asked.opts<AddOptions>());
      if (out !== undefined) checkFolder(out);
    })
    .hook('postAction', async (_command, added) => {
      const options = added.opts<AddOptions>();
      const out = folderOf(added.args[0]!, options);
      if (out !== undefined || options.csr !== undefined)
        await certificate(added.args[0]!, { ...options, ...(out !== undefined && { out }) });
    });
  const issuing = withManagement(command.command('certificate').description('issue a certificate to a device that is there already'));
  withCertificate(issuing, 'make a folder of all that the device needs, instead of printing the certificate')
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

type AddOptions = Managed & CertificateOptions & { readonly certificate: boolean; readonly generate?: boolean };

/** Where the certificate goes; undefined: none is asked for, or it is printed. */
function folderOf(given: string, { out, csr, certificate: wanted, generate }: AddOptions): string | undefined {
  if (out !== undefined || !wanted || csr !== undefined || generate === true) return out;
  return given.slice(given.indexOf('/') + 1);
}

function withCertificate(command: Command, outHelp: string): Command {
  return command
    .option('-o, --out <dir>', outHelp)
    .option('--csr <file>', 'certify the key of this request (PKCS #10, PEM) instead of a new one')
    .option('--days <count>', 'how long the certificate is valid; shortened to what the configuration allows')
    .option('--host <name>', 'by which the device reaches this broker, for the folder', 'localhost');
}

async function certificate(given: string, options: Managed & CertificateOptions): Promise<void> {
  const [{ withApi }, { issueToDevice }] = await Promise.all([import('./api-client.ts'), import('./device-folder.ts')]);
  await withApi(options, (api) => issueToDevice(api, given, options));
}
