// heliograph device oscore … and device rpk …: keys of devices besides certificates and pre-shared ones.

import type { Command } from 'commander';
import type { ApiClient } from './api-client.ts';
import { withManagement, type Managed } from './principal-command.ts';

type Context = {
  readonly id: string;
  readonly senderId: string;
  readonly recipientId: string;
  readonly idContext?: string;
  readonly algorithm: string;
  readonly hkdf: string;
  readonly windowSize: number;
  readonly rederivation: boolean;
  readonly expiresAtMs?: number;
  readonly masterSecret?: string;
  readonly masterSalt?: string;
};

type AddContext = Managed & {
  readonly senderId?: string;
  readonly recipientId?: string;
  readonly idContext?: string;
  readonly algorithm?: string;
  readonly hkdf?: string;
  readonly window?: string;
  readonly rederivation?: boolean;
  readonly secretFile?: string;
  readonly salt?: string;
  readonly valid?: string;
};

type Key = { readonly id: string; readonly algorithm: string; readonly sha256: string; readonly expiresAtMs?: number };

const device = ['<id>', 'id of the device, or tenant/id'] as const;
const idOf = 'id of the entry, as list shows it';

export function addDeviceKeyCommands(command: Command): void {
  const oscore = command.command('oscore').description('security contexts of OSCORE (RFC 8613), for devices that speak CoAP');
  withManagement(oscore.command('add').description('add a context; what is not given is chosen, and a chosen secret is printed once'))
    .argument(...device)
    .option('--sender-id <hex>', 'Sender ID of the node: the Recipient ID of the device')
    .option('--recipient-id <hex>', 'Recipient ID of the node: the Sender ID of the device')
    .option('--id-context <hex>', 'ID Context')
    .option('--algorithm <name>', 'AEAD algorithm (default: AES-CCM-16-64-128)')
    .option('--hkdf <name>', 'HKDF-SHA-256 or HKDF-SHA-512 (default: HKDF-SHA-256)')
    .option('--window <count>', 'how many requests may overtake each other (default: 32)')
    .option('--rederivation', 'let the device derive fresh keys by an ID Context of its own (RFC 8613 appendix B.2)')
    .option('--secret-file <file>', 'file that holds the Master Secret in hex, - for standard input (default: a new one)')
    .option('--salt <hex>', 'Master Salt (default: none with --secret-file, else a new one)')
    .option('--valid <span>', 'how long it holds: 12h, 30d (default: for ever)')
    .action(addContext);
  withManagement(oscore.command('list').description('show the contexts of a device, without their secrets'))
    .argument(...device)
    .action((given: string, options: Managed) =>
      on(given, options, async (api, path, tenant) => {
        const { moment, tellTable } = await import('./answer-text.ts');
        const { body } = await api.request<{ entries: Context[] }>('GET', `${path}/oscore-contexts`, { query: { tenant } });
        tellTable(options, body.entries, [
          ['context', ({ id }) => id],
          ['recipient id', ({ recipientId }) => recipientId || '(empty)'],
          ['sender id', ({ senderId }) => senderId || '(empty)'],
          ['id context', ({ idContext }) => idContext ?? '-'],
          ['algorithm', ({ algorithm }) => algorithm],
          ['window', ({ windowSize }) => String(windowSize)],
          ['until', ({ expiresAtMs }) => moment(expiresAtMs) || '-'],
        ]);
      }),
    );
  withManagement(oscore.command('remove').description('take a context from a device'))
    .argument(...device)
    .argument('<context>', idOf)
    .action((given: string, context: string, options: Managed) => remove(given, 'oscore-contexts', context, options));

  const rpk = command.command('rpk').description('raw public keys (RFC 7250), for devices that speak DTLS without certificates');
  withManagement(rpk.command('add').description('add the public key of a device'))
    .argument(...device)
    .argument('<file>', 'the public key (SubjectPublicKeyInfo) in PEM or DER, - for standard input')
    .option('--valid <span>', 'how long it holds: 12h, 30d (default: for ever)')
    .action(addKey);
  withManagement(rpk.command('list').description('show the raw public keys of a device'))
    .argument(...device)
    .action((given: string, options: Managed) =>
      on(given, options, async (api, path, tenant) => {
        const { moment, tellTable } = await import('./answer-text.ts');
        const { body } = await api.request<{ entries: Key[] }>('GET', `${path}/raw-public-keys`, { query: { tenant } });
        tellTable(options, body.entries, [
          ['key', ({ id }) => id],
          ['algorithm', ({ algorithm }) => algorithm],
          ['SHA-256', ({ sha256 }) => sha256],
          ['until', ({ expiresAtMs }) => moment(expiresAtMs) || '-'],
        ]);
      }),
    );
  withManagement(rpk.command('remove').description('take a raw public key from a device'))
    .argument(...device)
    .argument('<key>', idOf)
    .action((given: string, key: string, options: Managed) => remove(given, 'raw-public-keys', key, options));
}

async function on(
  given: string,
  options: Managed,
  work: (api: ApiClient, path: string, tenant: string, account: string) => Promise<void>,
): Promise<void> {
  const [{ withApi }, { accountOf }] = await Promise.all([import('./api-client.ts'), import('./given.ts')]);
  const { tenant, name } = accountOf(given, 'device');
  await withApi(options, (api) => work(api, `/devices/${encodeURIComponent(name)}`, tenant, `${tenant}/${name}`));
}

async function addContext(given: string, options: AddContext): Promise<void> {
  const [{ countOf, spanOf }, { tell }] = await Promise.all([import('./given.ts'), import('./answer-text.ts')]);
  const { senderId, recipientId, idContext, algorithm, hkdf, window, rederivation, secretFile, salt, valid } = options;
  const body = {
    ...(senderId !== undefined && { senderId }),
    ...(recipientId !== undefined && { recipientId }),
    ...(idContext !== undefined && { idContext }),
    ...(algorithm !== undefined && { algorithm }),
    ...(hkdf !== undefined && { hkdf }),
    ...(window !== undefined && { windowSize: countOf(window, 'requests') }),
    ...(rederivation === true && { rederivation }),
    ...(secretFile !== undefined && { masterSecret: (await bytesIn(secretFile)).toString('latin1').trim() }),
    ...(salt !== undefined && { masterSalt: salt }),
    ...(valid !== undefined && { validMs: spanOf(valid) }),
  };
  await on(given, options, async (api, path, tenant, account) => {
    const answer = await api.request<Context>('POST', `${path}/oscore-contexts`, { query: { tenant }, body });
    const { id, masterSecret, masterSalt, senderId: own, recipientId: kid } = answer.body;
    const words = `Added OSCORE context ${id} to ${account}; for the device: Sender ID ${kid || '(empty)'}, Recipient ID ${own || '(empty)'}`;
    const secret = masterSecret === undefined ? undefined : `Shown only now: Master Secret ${masterSecret}, Master Salt ${masterSalt}`;
    tell(options, answer, words, secret);
  });
}

async function addKey(given: string, file: string, options: Managed & { readonly valid?: string }): Promise<void> {
  const [{ spanOf }, { tell }] = await Promise.all([import('./given.ts'), import('./answer-text.ts')]);
  const bytes = await bytesIn(file);
  const publicKey = bytes.includes('-----BEGIN') ? bytes.toString('latin1') : bytes.toString('base64');
  const body = { publicKey, ...(options.valid !== undefined && { validMs: spanOf(options.valid) }) };
  await on(given, options, async (api, path, tenant, account) => {
    const answer = await api.request<Key>('POST', `${path}/raw-public-keys`, { query: { tenant }, body });
    tell(options, answer, `Added the ${answer.body.algorithm} key ${answer.body.sha256} to ${account}`);
  });
}

function remove(given: string, kind: 'oscore-contexts' | 'raw-public-keys', entry: string, options: Managed): Promise<void> {
  return on(given, options, async (api, path, tenant, account) => {
    const { tell } = await import('./answer-text.ts');
    const { status } = await api.request('DELETE', `${path}/${kind}/${encodeURIComponent(entry)}`, { query: { tenant } });
    tell(options, { status, body: { tenant, id: entry } }, `Removed ${entry} from ${account}`);
  });
}

async function bytesIn(file: string): Promise<Buffer> {
  const [{ readFile }, { UserError }] = await Promise.all([import('node:fs/promises'), import('../base/user-error.ts')]);
  try {
    if (file !== '-') return await readFile(file);
    return Buffer.concat((await process.stdin.toArray()) as Buffer[]);
  } catch (error) {
    throw new UserError(`The file cannot be read: ${(error as Error).message}.`, { where: file });
  }
}
