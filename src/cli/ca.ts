// heliograph ca …: the certificate authority, and authorities of others that are trusted here.

import { Command } from 'commander';
import type { CaStatus, Impact, Rotation } from '../security/pki/ca-management.ts';
import type { AuthorityView } from '../security/pki/pki.ts';
import { withAccessOptions, type AccessOptions } from './access-options.ts';
import type { ApiClient } from './api-client.ts';

type Options = AccessOptions & { readonly json?: boolean };
type Status = Omit<CaStatus, 'authorities'> & { readonly entries: readonly AuthorityView[] };
type RotateOptions = Options & { readonly root?: boolean; readonly algorithm?: string; readonly dryRun?: boolean };
type RegisterOptions = Options & {
  readonly tenant: string;
  readonly proof?: string;
  readonly justInTime?: boolean;
  readonly group?: string[];
  readonly role?: string[];
  readonly crl?: string[];
  readonly ocsp?: string[];
  readonly check?: string;
};

export function caCommand(): Command {
  const command = new Command('ca').description('the certificate authority: rotate it, take its root offline, trust authorities of others');
  const verb = (name: string, description: string): Command =>
    withAccessOptions(command.command(name).description(description)).option('--json', 'machine-readable result');
  verb('status', 'show authorities, and what protects their keys').action(status);
  verb('init', 'make root, issuing authority and audit key; a broker does so when it first starts')
    .option('-a, --algorithm <algorithm>', 'ecdsa-p256, ecdsa-p384 or ed25519 (default: of the configuration)')
    .action(init);
  verb('rotate', 'a new issuing authority takes over; the old one stays trusted until it is retired')
    .option('--issuing', 'the issuing authority alone (default)')
    .option('--root', 'a new root, too; the old one vouches for it')
    .option('-a, --algorithm <algorithm>', 'ecdsa-p256, ecdsa-p384 or ed25519 (default: of the configuration)')
    .option('-n, --dry-run', 'only tell which devices would be cut off when the old one is retired, and when none is')
    .action(rotate);
  verb('retire', 'end the trust in an authority and in those below it')
    .argument('<id>', 'id, or its beginning, as status shows it')
    .option('-f, --force', 'even if devices are cut off')
    .option('-n, --dry-run', 'only tell which devices would be cut off')
    .action(retire);
  verb('export', 'write key and certificate into a file, encrypted with a passphrase from the terminal or standard input')
    .argument('<id>', 'id, or its beginning, as status shows it; "root" is the active root')
    .argument('<file>', 'a file that is not there yet')
    .option('--remove', 'take a root offline: this node keeps no copy')
    .action(exportKey);
  verb('import', 'bring back what export wrote; the passphrase comes from the terminal or standard input')
    .argument('<file>', 'what export wrote')
    .action(importKey);
  verb('register', 'trust an authority of somebody else, after it has proved to be yours')
    .argument('<file>', 'its certificate, PEM')
    .option('-t, --tenant <tenant>', 'whose devices it certifies', 'main')
    .option('--proof <file>', 'a certificate that it has issued for the name that was given')
    .option('--just-in-time', 'add devices that it has certified when they first connect')
    .option('-g, --group <group...>', 'groups of devices that are added')
    .option('-r, --role <role...>', 'roles of devices that are added')
    .option('--crl <url...>', 'where its revocation lists are, besides what certificates say')
    .option('--ocsp <url...>', 'where it answers OCSP, besides what certificates say')
    .option('--check <how>', 'when revocation cannot be found out: hard keeps out (default), soft lets in, none does not ask')
    .action(register);
  return command;
}

function loaded() {
  return Promise.all([import('./api-client.ts'), import('./answer-text.ts')]);
}

async function status(options: Options): Promise<void> {
  const [{ withApi }, { moment, tellTable }] = await loaded();
  await withApi(options, async (api) => {
    const { body } = await api.request<Status>('GET', '/authorities');
    if (options.json === true) return void process.stdout.write(`${JSON.stringify(body, undefined, 2)}\n`);
    tellTable(options, body.entries, [
      ['id', ({ id }) => id.slice(0, 16)],
      ['role', ({ role }) => role],
      ['status', ({ status: is }) => is],
      ['key', ({ hasKey, role }) => (role === 'foreign' ? '-' : hasKey ? 'here' : 'offline')],
      ['until', ({ notAfterMs }) => moment(notAfterMs).slice(0, 10)],
      ['subject', ({ subject }) => subject],
    ]);
    process.stdout.write(`Keys are protected by: ${body.protection}\nClients trust: ${body.trustFile}\n`);
  });
}

async function init(options: Options & { readonly algorithm?: string }): Promise<void> {
  const [{ withApi }, { tell }] = await loaded();
  await withApi(options, async (api) => {
    // Where no node runs, asking is founding: the authority is made by whoever first opens it.
    const { algorithm } = options;
    const answer = await api.request<CaStatus>('POST', '/authorities:init', { body: algorithm === undefined ? {} : { algorithm } });
    tell(options, answer, `The certificate authority is made; clients trust ${answer.body.trustFile}`);
  });
}

async function rotate(options: RotateOptions): Promise<void> {
  const [{ withApi }, { tell }] = await loaded();
  const what = options.root === true ? 'root' : 'issuing';
  await withApi(options, async (api) => {
    if (options.dryRun === true) return tellImpact(api, options, { what });
    const body = { what, ...(options.algorithm !== undefined && { algorithm: options.algorithm }) };
    const answer = await api.request<Rotation>('POST', '/authorities:rotate', { body });
    if (answer.status === 202) return tell(options, answer, '');
    const { issuing, retiring, root, crossSigned } = answer.body;
    const words = [`${issuing.id.slice(0, 16)} issues now`];
    if (root !== undefined) {
      words.push(crossSigned ? 'the old root vouches for the new one' : 'the old root’s key is offline: give every client the new ca.crt');
    }
    words.push(`retire when ready: ${retiring.map((id) => `heliograph ca retire ${id.slice(0, 16)}`).join(', ') || '-'}`);
    tell(options, answer, words.join('; '));
  });
}

async function tellImpact(api: ApiClient, options: Options, of: { readonly what: string } | { readonly id: string }): Promise<void> {
  const [, { moment, tellTable }] = await loaded();
  const { body } = await api.request<Impact>('GET', '/authorities:impact', { query: { ...of } });
  if (options.json === true) return void process.stdout.write(`${JSON.stringify(body, undefined, 2)}\n`);
  process.stdout.write(`${body.certificates} certificates in force; ${body.cutOff} of them have no successor yet.\n`);
  for (const { tenant, certificates, cutOff } of body.tenants)
    process.stdout.write(`  ${tenant}: ${certificates}, ${cutOff} would be cut off\n`);
  if (body.safeAtMs !== undefined) {
    tellTable({}, body.entries, [
      ['would be cut off', ({ tenant, owner }) => `${owner.kind} ${tenant}/${owner.id}`],
      ['until', ({ notAfterMs }) => moment(notAfterMs)],
    ]);
    process.stdout.write(
      `Safe at the latest after ${moment(body.safeAtMs)}.${body.next === undefined ? '' : ' There are more; --json shows where.'}\n`,
    );
  } else process.stdout.write('Retiring cuts nobody off.\n');
}

/** The one authority whose id begins so. @throws UserError */
async function idOf(api: ApiClient, given: string): Promise<string> {
  const { body } = await api.request<Status>('GET', '/authorities');
  const isRoot = given === 'root';
  const found = body.entries.filter(({ id }) => (isRoot ? id === body.activeRoot : id.startsWith(given.toLowerCase())));
  if (found.length === 1) return found[0]!.id;
  const { UserError } = await import('../base/user-error.ts');
  throw new UserError(`${found.length === 0 ? 'No authority has' : 'Several authorities have'} an id that begins with "${given}".`, {
    fix: 'heliograph ca status shows them',
  });
}

async function retire(given: string, options: Options & { readonly force?: boolean; readonly dryRun?: boolean }): Promise<void> {
  const [{ withApi }, { tell }] = await loaded();
  await withApi(options, async (api) => {
    const id = await idOf(api, given);
    if (options.dryRun === true) return tellImpact(api, options, { id });
    const answer = await api.request('POST', `/authorities/${id}/retire`, { body: { force: options.force === true } });
    tell(options, answer, `${id.slice(0, 16)} is retired: its certificates mean nothing any more`);
  });
}

async function exportKey(given: string, file: string, options: Options & { readonly remove?: boolean }): Promise<void> {
  const [[{ withApi }, { tell }], { readNewPassword }, { newPrivateFile }] = await Promise.all([
    loaded(),
    import('./password-input.ts'),
    import('./device-folder.ts'),
  ]);
  const passphrase = await readNewPassword();
  await withApi(options, async (api) => {
    const id = await idOf(api, given);
    const write = newPrivateFile(file);
    // First a copy that is safe on the disk, then the key is given up here.
    const answer = await api.request<{ readonly pem: string }>('POST', `/authorities/${id}/export`, { body: { passphrase } });
    if (answer.status === 202) return tell(options, answer, '');
    write(answer.body.pem);
    const gone =
      options.remove === true ? await api.request('POST', `/authorities/${id}/export`, { body: { passphrase, remove: true } }) : answer;
    const words = options.remove === true ? `${file} holds the only copy of the key: keep it offline` : `${file} holds the encrypted key`;
    tell(options, { status: gone.status, body: { id, file } }, words);
  });
}

async function importKey(file: string, options: Options): Promise<void> {
  const [[{ withApi }, { tell }], { readNewPassword }, { textOfFile }] = await Promise.all([
    loaded(),
    import('./password-input.ts'),
    import('./device-folder.ts'),
  ]);
  const pem = textOfFile(file);
  const passphrase = await readNewPassword();
  await withApi(options, async (api) => {
    const answer = await api.request<AuthorityView>('POST', '/authorities:import', { body: { pem, passphrase } });
    tell(options, answer, `The key is here again`);
  });
}

async function register(file: string, options: RegisterOptions): Promise<void> {
  const [[{ withApi }, { tell }], { textOfFile }] = await Promise.all([loaded(), import('./device-folder.ts')]);
  const certificate = textOfFile(file);
  const { tenant, group: groups, role: roles, crl: crlUrls, ocsp: ocspUrls, check: revocationCheck } = options;
  const query = { tenant };
  await withApi(options, async (api) => {
    if (options.proof !== undefined) {
      const { X509Certificate, createHash } = await import('node:crypto');
      const key = new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' });
      const id = createHash('sha256').update(key).digest('hex');
      const answer = await api.request('POST', `/authorities/${id}/prove`, { query, body: { proof: textOfFile(options.proof) } });
      return tell(options, answer, `The authority ${id.slice(0, 16)} is trusted in ${tenant}`);
    }
    const settings = {
      groups,
      roles,
      crlUrls,
      ocspUrls,
      revocationCheck,
      ...(options.justInTime === true && { registration: 'just-in-time' }),
    };
    const answer = await api.request<{ readonly nonce: string }>('POST', '/authorities', { query, body: { certificate, ...settings } });
    const next = `Have it issue a certificate for this common name, then: heliograph ca register ${file} --tenant ${tenant} --proof CERT`;
    tell(options, answer, next, `\n${answer.body.nonce}`);
  });
}
