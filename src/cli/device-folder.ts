// heliograph device add --out, device certificate: a certificate, and a folder with all that a device needs to connect.

import { existsSync, mkdirSync, openSync, readFileSync, writeSync, closeSync, fsyncSync } from 'node:fs';
import { basename, join } from 'node:path';
import { UserError } from '../base/user-error.ts';
import type { ApiClient } from './api-client.ts';
import { tell } from './answer-text.ts';
import { accountOf, countOf } from './given.ts';

export type CertificateOptions = {
  readonly out?: string;
  readonly csr?: string;
  readonly days?: string;
  readonly host?: string;
  readonly json?: boolean;
};

type Issued = {
  readonly certificate: string;
  readonly chain: string;
  readonly root: string;
  readonly privateKey?: string;
  readonly fingerprint: string;
  readonly notAfterMs: number;
};

const dayMs = 86_400_000;
const tlsPort = 8883;
const dtlsPort = 5684;
const httpPort = 8443;

export async function issueToDevice(api: ApiClient, given: string, options: CertificateOptions): Promise<void> {
  const { tenant, name } = accountOf(given, 'device');
  const body = {
    owner: { kind: 'device', id: name },
    ...(options.csr !== undefined && { request: textOfFile(options.csr) }),
    ...(options.days !== undefined && { validityMs: countOf(options.days, 'days') * dayMs }),
  };
  // Before anything is issued: a certificate that cannot be written would only have to be revoked.
  if (options.out !== undefined) makeFolder(options.out);
  const answer = await api.request<Issued>('POST', '/certificates', { query: { tenant }, body });
  if (options.out === undefined) {
    const { certificate, chain, privateKey } = answer.body;
    process.stdout.write(options.json === true ? `${JSON.stringify(answer.body)}\n` : `${privateKey ?? ''}${certificate}${chain}`);
    return;
  }
  writeFolder(options.out, { tenant, name, host: options.host ?? 'localhost' }, answer.body);
  const { fingerprint, notAfterMs } = answer.body;
  const until = new Date(notAfterMs).toISOString();
  tell(
    options,
    { status: 201, body: { folder: options.out, fingerprint, notAfterMs } },
    `${options.out} is ready until ${until}; its README.md says how to connect`,
  );
}

/** @throws UserError when a folder cannot be made there */
export function checkFolder(path: string): void {
  // A name of a device may hold what means something in paths.
  const isPlain = /^[^.]|^\.[^.]/.test(basename(path)) && !path.includes('\0');
  if (isPlain && !existsSync(path)) return;
  throw new UserError(isPlain ? 'The folder for the device is there already.' : 'The name of the device cannot be that of a folder.', {
    where: path,
    fix: 'name another one with --out, or give --no-certificate',
  });
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    throw new UserError(`The folder cannot be made: ${(error as Error).message}`, {
      where: path,
      fix: 'name one that is not there yet, in a directory that is',
      cause: error,
    });
  }
}

function writeFolder(folder: string, who: { readonly tenant: string; readonly name: string; readonly host: string }, issued: Issued): void {
  const put = (name: string, text: string): void => newPrivateFile(join(folder, name))(text);
  if (issued.privateKey !== undefined) put('device.key', issued.privateKey);
  put('device.crt', issued.certificate);
  put('chain.crt', issued.certificate + issued.chain);
  put('ca.crt', issued.root);
  put('mosquitto.conf', mosquittoBridge(who));
  put('README.md', readme(who, issued));
}

function mosquittoBridge({ name, host }: { readonly name: string; readonly host: string }): string {
  return `# mosquitto as the device's own broker, which passes messages on
connection heliograph
address ${host}:${tlsPort}
remote_clientid ${name}
topic # out 1 "" dev/${name}/
bridge_cafile ca.crt
bridge_certfile chain.crt
bridge_keyfile device.key
`;
}

function readme({ tenant, name, host }: { readonly tenant: string; readonly name: string; readonly host: string }, issued: Issued): string {
  const key =
    issued.privateKey === undefined
      ? 'the key that the request was made with, as device.key'
      : 'device.key, its private key: keep it secret';
  return `# ${tenant}/${name}

Good until ${new Date(issued.notAfterMs).toISOString()}. In this folder: ${key};
device.crt, its certificate; chain.crt, the same with its issuer; ca.crt, whom it trusts.

mosquitto:

    mosquitto_pub -h ${host} -p ${tlsPort} -i '${name}' --cafile ca.crt --cert chain.crt --key device.key \\
      -q 1 -t 'dev/${name}/hello' -m 'hello'

paho (Python):

    import paho.mqtt.client as mqtt
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=${JSON.stringify(name)})
    client.tls_set(ca_certs='ca.crt', certfile='chain.crt', keyfile='device.key')
    client.connect(${JSON.stringify(host)}, ${tlsPort})
    client.loop_start()
    client.publish(${JSON.stringify(`dev/${name}/hello`)}, 'hello', qos=1).wait_for_publish()

CoAP over DTLS (libcoap), and HTTP:

    coap-client-openssl -C ca.crt -c chain.crt -j device.key -m put -e hello 'coaps://${host}:${dtlsPort}/t/dev/${inUri(name)}/hello'
    curl --cacert ca.crt --cert chain.crt --key device.key -d hello 'https://${host}:${httpPort}/v1/topics/dev/${inUri(name)}/hello'

openssl:

    openssl verify -CAfile ca.crt -untrusted chain.crt device.crt
    openssl s_client -connect ${host}:${tlsPort} -CAfile ca.crt -cert chain.crt -key device.key
`;
}

/** As a segment of a path, between single quotes of a shell. */
function inUri(name: string): string {
  return encodeURIComponent(name).replaceAll("'", '%27');
}

/** Makes the file at once, for its owner alone; the answer writes it, and returns when it is on the disk. @throws UserError */
export function newPrivateFile(path: string): (text: string) => void {
  let file: number;
  try {
    file = openSync(path, 'wx', 0o600);
  } catch (error) {
    throw new UserError(`The file cannot be made: ${(error as Error).message}`, {
      where: path,
      fix: 'name a file that is not there yet, in a directory that is',
      cause: error,
    });
  }
  return (text) => {
    writeSync(file, text);
    fsyncSync(file);
    closeSync(file);
  };
}

export function textOfFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UserError(`The file cannot be read: ${(error as Error).message}`, { where: path, fix: 'check the path', cause: error });
  }
}
