// Throw-away certificates, made with the openssl of the machine: not the code under test, nor a library of it.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type IssuedCertificate = { readonly certificate: string; readonly privateKey: string };

export class TestAuthority {
  readonly certificate: string;
  readonly #directory = mkdtempSync(join(tmpdir(), 'heliograph-test-ca-'));
  #serial = 0;

  constructor(name: string) {
    this.#openssl('req', '-x509', ...newKeyOn('P-256'), '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '30', '-subj', `/CN=${name}`);
    this.certificate = this.#read('ca.pem');
  }

  /** `alternativeNames` in OpenSSL's words: `DNS:a.example`, `URI:…`. */
  issue(commonName: string, alternativeNames: readonly string[] = [], curve = 'P-256'): IssuedCertificate {
    const extensions = alternativeNames.length > 0 ? `subjectAltName=${alternativeNames.join(',')}\n` : 'keyUsage=digitalSignature\n';
    writeFileSync(join(this.#directory, 'extensions'), extensions);
    this.#openssl('req', '-new', ...newKeyOn(curve), '-keyout', 'key', '-out', 'request', '-subj', `/CN=${commonName}`);
    const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-set_serial', String(++this.#serial), '-days', '30'];
    this.#openssl('x509', '-req', '-in', 'request', ...signing, '-extfile', 'extensions', '-out', 'certificate');
    return { certificate: this.#read('certificate'), privateKey: this.#read('key') };
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true });
  }

  #read(file: string): string {
    return readFileSync(join(this.#directory, file), 'utf8');
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { cwd: this.#directory, stdio: ['ignore', 'ignore', 'pipe'] });
  }
}

function newKeyOn(curve: string): readonly string[] {
  return ['-newkey', 'ec', '-pkeyopt', `ec_paramgen_curve:${curve}`, '-nodes'];
}
