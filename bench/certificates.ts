// One authority, a server and a device below it, made by openssl: every broker gets the same.

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type Certificates = {
  readonly authority: string;
  readonly serverCertificate: string;
  readonly serverKey: string;
  readonly deviceCertificate: string;
  readonly deviceKey: string;
};

/** Paths of PEM files in `directory`. ECDSA P-256 throughout. */
export function makeCertificates(directory: string): Certificates {
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
  const newKey = (name: string): void =>
    openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', `${name}.key`);
  newKey('authority');
  openssl('req', '-x509', '-new', '-key', 'authority.key', '-subj', '/CN=bench authority', '-days', '2', '-out', 'authority.crt');
  const certify = (name: string, extensions: string): void => {
    newKey(name);
    openssl('req', '-new', '-key', `${name}.key`, '-subj', `/CN=${name}`, '-out', `${name}.csr`);
    writeFileSync(
      join(directory, `${name}.ext`),
      `basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n${extensions}\n`,
    );
    const files = ['-in', `${name}.csr`, '-CA', 'authority.crt', '-CAkey', 'authority.key', '-CAcreateserial', '-extfile', `${name}.ext`];
    openssl('x509', '-req', ...files, '-days', '2', '-out', `${name}.crt`);
  };
  certify('server', 'extendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost,IP:127.0.0.1');
  certify('bench-device', 'extendedKeyUsage=clientAuth\nsubjectAltName=URI:heliograph:main/bench-device');
  const at = (name: string): string => join(directory, name);
  return {
    authority: at('authority.crt'),
    serverCertificate: at('server.crt'),
    serverKey: at('server.key'),
    deviceCertificate: at('bench-device.crt'),
    deviceKey: at('bench-device.key'),
  };
}
