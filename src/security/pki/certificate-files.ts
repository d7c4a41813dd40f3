// Certificates that the operator brings: read and checked as a whole before any of it is used, so that a mistake is told with the
// file it is in and not by the first handshake.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { UserError } from '../../base/user-error.ts';

/** What a TLS server shows; PEM. `certificate` holds the server's own first, then its issuers. */
export type ServerCertificate = {
  readonly certificate: string;
  readonly privateKey: string;
  /** Host names that get this certificate; empty: those that are in it. */
  readonly serverNames: readonly string[];
  readonly notAfterMs: number;
  /** The file it is from. */
  readonly source: string;
};

const pemCertificate = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

async function read(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const missing = code === 'ENOENT';
    throw new UserError(`The ${what} ${missing ? 'does not exist' : `cannot be read (${code ?? 'unknown error'})`}.`, {
      where: path,
      fix: missing ? 'check the path in the configuration' : 'check its owner and mode',
      cause: error,
    });
  }
}

/** The certificates of a PEM text, in order. @throws UserError when there is none or one is damaged */
export function parseCertificates(pem: string, path: string, what: string): X509Certificate[] {
  const blocks = pem.match(pemCertificate) ?? [];
  if (blocks.length === 0) throw new UserError(`The ${what} holds no certificate in PEM form.`, { where: path, fix: 'convert it to PEM' });
  return blocks.map((block, i) => {
    try {
      return new X509Certificate(block);
    } catch {
      throw new UserError(`The ${what} holds a damaged certificate (number ${i + 1}).`, { where: path, fix: 'export it again' });
    }
  });
}

function parseKey(pem: string, path: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    const encrypted = pem.includes('ENCRYPTED') || (error as NodeJS.ErrnoException).code === 'ERR_MISSING_PASSPHRASE';
    // The parser's own message is left out, so that nothing of a key can get into a log.
    throw new UserError(encrypted ? 'The private key is encrypted.' : 'The private key cannot be read as PEM.', {
      where: path,
      fix: encrypted ? 'give the key without a passphrase, readable by this process only' : 'check that it is the key, in PEM form',
    });
  }
}

/** @throws UserError for a file that is missing or damaged, a key that does not match, a certificate that is out of its time */
export async function readServerCertificate(
  files: { readonly certificateFile: string; readonly privateKeyFile: string; readonly serverNames: readonly string[] },
  nowMs: number,
): Promise<ServerCertificate> {
  const { certificateFile, privateKeyFile, serverNames } = files;
  const certificate = await read(certificateFile, 'certificate file');
  const privateKey = await read(privateKeyFile, 'private key file');
  const own = parseCertificates(certificate, certificateFile, 'certificate file')[0]!;
  if (!own.checkPrivateKey(parseKey(privateKey, privateKeyFile))) {
    throw new UserError('The private key does not belong to the certificate.', {
      where: `${privateKeyFile} and ${certificateFile}`,
      fix: 'give the key that the certificate was made for; the server’s own certificate comes first in its file',
    });
  }
  const fault = timeFault(own, nowMs);
  if (fault !== undefined) {
    throw new UserError(`The certificate ${fault}.`, { where: certificateFile, fix: 'renew it, or check the clock of this machine' });
  }
  return { certificate, privateKey, serverNames, notAfterMs: own.validToDate.getTime(), source: certificateFile };
}

/** PEM of authorities that may issue client certificates. @throws UserError as above, and for what is no authority */
export async function readClientAuthorities(path: string, nowMs: number): Promise<{ pem: string; notAfterMs: number }> {
  const pem = await read(path, 'file of client authorities');
  const all = parseCertificates(pem, path, 'file of client authorities');
  for (const [i, one] of all.entries()) {
    if (one.ca) continue;
    throw new UserError(`Certificate number ${i + 1} of the file is no authority’s, so it could not have issued any.`, {
      where: path,
      fix: 'give the certificates of the authorities that issue client certificates',
    });
  }
  const inForce = all.filter((one) => timeFault(one, nowMs) === undefined);
  if (inForce.length === 0) {
    throw new UserError(`The authority’s certificate ${timeFault(all[0]!, nowMs)}.`, { where: path, fix: 'give one that is in force' });
  }
  return { pem, notAfterMs: Math.min(...inForce.map((one) => one.validToDate.getTime())) };
}

function timeFault(certificate: X509Certificate, nowMs: number): string | undefined {
  if (certificate.validToDate.getTime() <= nowMs) return `expired on ${certificate.validToDate.toISOString()}`;
  if (certificate.validFromDate.getTime() > nowMs) return `is not valid before ${certificate.validFromDate.toISOString()}`;
  return undefined;
}
