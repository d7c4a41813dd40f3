// The key that signs the audit log: `<data>/pki/audit.pem`, its encrypted key and certificate. Made at the first start, and made
// again when half of its life is over or its issuer is not trusted any more; what earlier ones signed stays good by their
// certificates, which stand in the log.

import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writePrivateFile } from '../../base/private-file.ts';
import { UserError } from '../../base/user-error.ts';
import type { FoundingServices } from './founding.ts';
import { decryptPrivateKey, encryptPrivateKey } from './encrypted-key.ts';
import { factsOf } from './authority-list.ts';
import type { Issuance } from './issuance.ts';
import type { KeyAlgorithm, Pki } from './pki.ts';
import type { Sealer } from './sealing.ts';
import { authorityIdOf } from './certificate-facts.ts';
import { newPrivateKey, publicKeyOf, softwareSigner } from './software-signer.ts';

const fileName = 'audit.pem';
const days = 1825;
const dayMs = 86_400_000;

export type AuditKey = NonNullable<Pki['auditKey']>;
type Services = Pick<FoundingServices, 'directory' | 'clock' | 'random' | 'list' | 'log'> & {
  readonly sealer: Sealer;
  readonly issuance: Issuance;
};

/** Undefined: there is none, and nobody here can certify one now. @throws UserError when the file does not open */
export async function openAuditKey(algorithm: KeyAlgorithm, services: Services): Promise<AuditKey | undefined> {
  const kept = await readKept(services);
  if (kept !== undefined && isGood(kept, services)) return kept;
  const made = await make(algorithm, services);
  return made ?? kept;
}

async function readKept({ directory, sealer, issuance, list }: Services): Promise<AuditKey | undefined> {
  const path = join(directory, fileName);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new UserError('The key of the audit log cannot be read.', { where: path, fix: 'check its owner and mode', cause: error });
  });
  if (text === undefined) return undefined;
  const key = await decryptPrivateKey(text, sealer.secret);
  if (key === undefined) {
    throw new UserError(`The key of the audit log does not open with the ${sealer.source} that was given.`, {
      where: path,
      fix: `give the ${sealer.source} it was made with, or move the file away for a new key`,
    });
  }
  const certificate = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/.exec(text)?.[0];
  const facts = certificate === undefined ? undefined : factsOf(certificate);
  if (certificate === undefined || facts === undefined || facts.keyId !== authorityIdOf(publicKeyOf(key))) return undefined;
  const issuer = issuerOf(certificate, list);
  const chain = issuer === undefined ? '' : issuance.chainOf(issuer).chain;
  return { signer: softwareSigner(key), certificate, chain };
}

function issuerOf(certificate: string, list: Services['list']) {
  const own = new X509Certificate(certificate);
  return list.all.find(({ entry, isOwn }) => isOwn && own.checkIssued(new X509Certificate(entry.certificate)));
}

function isGood({ certificate }: AuditKey, { list, clock }: Services): boolean {
  const own = new X509Certificate(certificate);
  const issuer = issuerOf(certificate, list);
  if (issuer === undefined || !list.isTrusted(issuer.entry.id)) return false;
  const [from, to] = [own.validFromDate.getTime(), own.validToDate.getTime()];
  // An issuer that ends soon gives no longer life: then what there is stays until there is another issuer.
  const isShort = to >= issuer.facts.notAfterMs && list.active('issuing')[0]?.entry.id === issuer.entry.id;
  return clock.wallMs() < (isShort ? to - dayMs : from + (to - from) / 2);
}

async function make(algorithm: KeyAlgorithm, { directory, sealer, random, issuance, log }: Services): Promise<AuditKey | undefined> {
  const key = await newPrivateKey(algorithm);
  const publicKey = publicKeyOf(key);
  const issued = await issuance.issueAudit(publicKey, algorithm, authorityIdOf(publicKey).slice(0, 8), days);
  if (!issued.ok) {
    log.warn('pki.audit.key.not.made', { error: issued.error.message });
    return undefined;
  }
  const { certificate, chain } = issued.value;
  await writePrivateFile(join(directory, fileName), (await encryptPrivateKey(key, sealer, random)) + certificate);
  return { signer: softwareSigner(key), certificate, chain };
}
