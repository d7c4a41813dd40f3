// An authority of somebody else, kept by openssl in a folder, as a company may have one: root, issuing authorities, devices with
// every fault there is, and its revocation list.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { run } from '../interop/process.ts';

const settings = `
[ca]
default_ca = main
[main]
dir = .
database = index.txt
serial = serial
crlnumber = crlnumber
new_certs_dir = .
default_md = sha256
default_days = 30
default_crl_days = 7
policy = any
unique_subject = no
copy_extensions = none
[any]
commonName = supplied
[req]
distinguished_name = name
prompt = no
[name]
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[issuing]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[narrow]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
nameConstraints = critical,permitted;DNS:plant.example
[device]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
authorityKeyIdentifier = keyid
[server]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
authorityKeyIdentifier = keyid
subjectAltName = \${ENV::NAMES}
[stray]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
authorityKeyIdentifier = keyid
subjectAltName = DNS:elsewhere.example
`;

export type Wish = {
  /** The section of its extensions; default: device. */
  readonly as?: 'root' | 'issuing' | 'narrow' | 'device' | 'server' | 'stray';
  readonly days?: readonly [from: number, to: number];
  readonly names?: string;
};

const dayMs = 86_400_000;

function moment(days: number): string {
  return new Date(Date.now() + days * dayMs)
    .toISOString()
    .replaceAll(/[-:T]/g, '')
    .replace(/\.\d+Z$/, 'Z');
}

export class OpensslAuthority {
  readonly folder: string;
  readonly name: string;

  private constructor(folder: string, name: string) {
    this.folder = folder;
    this.name = name;
  }

  static async make(folder: string, name: string): Promise<OpensslAuthority> {
    mkdirSync(folder, { recursive: true });
    const authority = new OpensslAuthority(folder, name);
    for (const [file, text] of [
      ['openssl.cnf', settings],
      ['index.txt', ''],
      ['serial', '1000\n'],
      ['crlnumber', '01\n'],
    ] as const) {
      writeFileSync(join(folder, file), text);
    }
    const self = ['-x509', '-days', '3650', '-extensions', 'root'];
    await authority.openssl('req', '-new', ...newKey(name), '-subj', `/CN=${name}`, ...self, '-out', `${name}.pem`);
    return authority;
  }

  /** A certificate with its key, signed by the root or by another that it has signed; all above it but the root behind it. */
  async issue(name: string, { as = 'device', days = [-1, 20], names = 'DNS:localhost' }: Wish = {}, by = this.name): Promise<void> {
    await this.openssl('req', '-new', ...newKey(name), '-subj', `/CN=${name}`, '-out', `${name}.csr`);
    const dates = ['-startdate', moment(days[0]), '-enddate', moment(days[1])];
    const signer = ['-cert', `${by}.pem`, '-keyfile', `${by}.key`];
    const batch = ['-batch', '-notext', '-extensions', as, ...dates, ...signer, '-in', `${name}.csr`, '-out', `${name}.pem`];
    await this.openssl(...[['ca'], batch].flat(), { NAMES: names });
    const above = by === this.name ? '' : this.text(`${by}-chain.pem`);
    writeFileSync(join(this.folder, `${name}-chain.pem`), this.text(`${name}.pem`) + above);
  }

  async revoke(name: string): Promise<void> {
    const signer = ['-cert', `${this.name}.pem`, '-keyfile', `${this.name}.key`];
    await this.openssl('ca', '-revoke', `${name}.pem`, ...signer);
  }

  /** DER. */
  async list(): Promise<Buffer> {
    const signer = ['-cert', `${this.name}.pem`, '-keyfile', `${this.name}.key`];
    await this.openssl('ca', '-gencrl', ...signer, '-out', 'list.pem');
    await this.openssl('crl', '-in', 'list.pem', '-outform', 'DER', '-out', 'list.der');
    return readFileSync(join(this.folder, 'list.der'));
  }

  text(file: string): string {
    return readFileSync(join(this.folder, file), 'utf8');
  }

  /** What a TLS client shows. */
  shown(name: string): { readonly key: string; readonly cert: string } {
    return { key: this.text(`${name}.key`), cert: this.text(`${name}-chain.pem`) };
  }

  async openssl(...args: readonly (string | NodeJS.ProcessEnv)[]): Promise<void> {
    const words = args.filter((each): each is string => typeof each === 'string');
    const more = args.find((each): each is NodeJS.ProcessEnv => typeof each === 'object') ?? { NAMES: 'DNS:localhost' };
    const config = words[0] === 'crl' ? [] : ['-config', 'openssl.cnf'];
    const { code, output } = await run('openssl', [words[0]!, ...config, ...words.slice(1)], {
      cwd: this.folder,
      env: { ...process.env, ...more },
    });
    assert.equal(code, 0, `openssl ${words.join(' ')}: ${output}`);
  }
}

function newKey(name: string): string[] {
  return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`];
}
