// What stands when a node starts: where there is no authority, a root and an issuing one are made. What an earlier version kept (one
// root in the clear, that signed everything) becomes the root above a new issuing authority; clients trust what they trusted.

import { join } from 'node:path';
import type { Log } from '../../base/log.ts';
import { removePrivateFile } from '../../base/private-file.ts';
import { UserError } from '../../base/user-error.ts';
import { systemScope, type AuthorityRole, type AuthorityStatus } from '../../registry/entries.ts';
import type { Write } from '../../registry/registry.ts';
import { X509Certificate } from 'node:crypto';
import { issuingCertificate, rootCertificate } from './authority-certificates.ts';
import { KeyFiles, parsePlainKey, type NewKey } from './authority-keys.ts';
import { factsOf } from './authority-list.ts';
import type { CertificateFacts } from './certificate-facts.ts';
import { subjectInWords, type IssuanceServices } from './issuance.ts';
import type { KeyAlgorithm } from './pki.ts';
import { readIfPresent, warnIfExposed } from './keystore-files.ts';

const plainKeyFile = 'ca-key.pem';
export const trustFileName = 'ca.crt';

export type FoundingSettings = {
  readonly algorithm: KeyAlgorithm;
  readonly rootValidityDays: number;
  readonly issuingValidityDays: number;
  readonly publicUrl?: string | undefined;
};

export type FoundingServices = Omit<IssuanceServices, 'settings'> & {
  readonly log: Log;
  /** `<data>/pki`. */
  readonly directory: string;
};

/** Makes what is missing; once it is there, changes nothing. @throws UserError when keys and certificates do not fit, or were lost */
export async function found(settings: FoundingSettings, services: FoundingServices): Promise<void> {
  const { list } = services;
  const hasOwn = (): boolean => list.all.some(({ isOwn }) => isOwn);
  if (!hasOwn()) await takeUpKept(services);
  if (!hasOwn()) await takeUpPlain(settings, services);
  if (!hasOwn()) await makeRoot(settings, services);
  await removePlainKey(services);
  if (list.active('issuing').length === 0) await makeIssuing(settings, services);
}

type Kept = { readonly pem: string; readonly facts: CertificateFacts };

/** The registry was lost, or is another one: what was kept beside the keys fills it again. */
async function takeUpKept(services: FoundingServices): Promise<void> {
  const kept = services.keys.ids.flatMap((id): Kept[] => {
    const pem = services.keys.certificates(id)[0];
    const facts = pem === undefined ? undefined : factsOf(pem);
    return pem === undefined || facts === undefined ? [] : [{ pem, facts }];
  });
  const isRoot = ({ facts }: Kept): boolean => Buffer.compare(facts.issuerName, facts.subjectName) === 0;
  // Of several, the last made is the one in force: a rotation had retired the others, or was about to.
  const newestFirst = (a: Kept, b: Kept): number => b.facts.notBeforeMs - a.facts.notBeforeMs;
  const roots = kept.filter(isRoot).sort(newestFirst);
  const others = kept.filter((one) => !isRoot(one) && one.facts.isAuthority).sort(newestFirst);
  if (roots.length === 0) return;
  const isRetired = ({ facts }: Kept): boolean => services.keys.retired?.has(facts.keyId) === true;
  const statusIn = (all: readonly Kept[], one: Kept): AuthorityStatus => {
    if (isRetired(one)) return 'retired';
    return one === all.find((other) => !isRetired(other)) ? 'active' : 'retiring';
  };
  const writes: Write[] = [];
  for (const one of roots) writes.push(authorityWrite(one.pem, one.facts, 'root', statusIn(roots, one)));
  for (const one of others) {
    const above = roots.find((root) => Buffer.compare(root.facts.subjectName, one.facts.issuerName) === 0);
    if (above !== undefined) writes.push(authorityWrite(one.pem, one.facts, 'issuing', statusIn(others, one), above.facts.keyId));
  }
  await write(writes, services);
  services.log.warn('pki.authorities.taken.from.files', { authorities: writes.length });
}

/** What version 0.1 kept: `ca-key.pem` and `ca.crt`. */
async function takeUpPlain(settings: FoundingSettings, services: FoundingServices): Promise<void> {
  const { directory, keys, log } = services;
  const keyPath = join(directory, plainKeyFile);
  const certificatePath = join(directory, trustFileName);
  const [keyText, certificate] = await Promise.all([readIfPresent(keyPath), readIfPresent(certificatePath)]);
  if (keyText === undefined) {
    if (certificate === undefined) return;
    throw new UserError('The key of the certificate authority is missing.', {
      where: `${join(directory, 'keys')}, ${keyPath}`,
      fix: `restore it from a backup; or move ${certificatePath} away for a new authority, which clients must then be told to trust`,
    });
  }
  if (!(keys instanceof KeyFiles)) {
    throw new UserError('An authority whose key is in a file cannot move into an HSM.', {
      where: keyPath,
      fix: 'start once without pki.pkcs11, then rotate the root with it',
    });
  }
  await warnIfExposed(keyPath, log);
  const key = keys.adopt(parsePlainKey(keyText, keyPath));
  if (certificate === undefined) return keepRoot(key, await rootCertificate(key.signer, settings.rootValidityDays, services), services);
  checkPair(key, certificate, `${keyPath}, ${certificatePath}`);
  await keepRoot(key, certificate, services);
  log.info('pki.authority.taken.up', { id: key.id });
}

function checkPair(key: NewKey, pem: string, where: string): void {
  const facts = factsOf(pem);
  if (facts === undefined) {
    throw new UserError('The key or the certificate of the certificate authority is damaged.', { where, fix: 'restore it from a backup' });
  }
  if (facts.keyId === key.id && facts.isAuthority) return;
  throw new UserError('The key and the certificate of the certificate authority do not belong together.', {
    where,
    fix: 'restore both from the same backup',
  });
}

async function makeRoot(settings: FoundingSettings, services: FoundingServices): Promise<void> {
  const key = await services.keys.create(settings.algorithm);
  await keepRoot(key, await rootCertificate(key.signer, settings.rootValidityDays, services), services);
  services.log.info('pki.authority.created', { role: 'root', id: key.id, certificate: join(services.directory, trustFileName) });
}

/** The key first: a certificate whose key was lost with the power would be trusted for nothing. */
async function keepRoot(key: NewKey, certificate: string, services: FoundingServices): Promise<void> {
  await key.keep([certificate]);
  await write([authorityWrite(certificate, factsOf(certificate)!, 'root', 'active')], services);
  told('root', key.id, services);
}

async function makeIssuing(settings: FoundingSettings, services: FoundingServices): Promise<void> {
  const { list, keys, log } = services;
  const root = list.active('root').find(({ entry }) => keys.signer(entry.id) !== undefined);
  if (root === undefined) {
    log.warn('pki.issuing.missing', { fix: 'bring the key of the root back with "heliograph ca import"' });
    return;
  }
  const key = await keys.create(settings.algorithm);
  const plan = { days: settings.issuingValidityDays, publicUrl: settings.publicUrl };
  const above = { facts: root.facts, signer: keys.signer(root.entry.id)! };
  const certificate = await issuingCertificate(key.signer, above, plan, services);
  await key.keep([certificate]);
  await write([authorityWrite(certificate, factsOf(certificate)!, 'issuing', 'active', root.entry.id)], services);
  told('issuing', key.id, services);
  log.info('pki.authority.created', { role: 'issuing', id: key.id });
}

function told(role: string, id: string, { audit }: FoundingServices): void {
  const event = { actor: { kind: 'node' }, action: 'authority.create', from: '', outcome: 'done' } as const;
  audit.record({ ...event, target: `authority/${id}`, details: { role } });
}

/** The registry's entry of a certificate of our own. */
export function authorityWrite(
  pem: string,
  facts: CertificateFacts,
  role: AuthorityRole,
  status: AuthorityStatus,
  issuer?: string,
): Write<'authority'> {
  const { notBeforeMs, notAfterMs } = facts;
  const subject = subjectInWords(new X509Certificate(pem));
  const fields = { role, status, certificate: pem, subject, ...(issuer !== undefined && { issuer }), notBeforeMs, notAfterMs };
  return { do: 'put', kind: 'authority', tenant: systemScope, id: facts.keyId, fields };
}

async function write(writes: readonly Write[], { registry, list }: FoundingServices): Promise<void> {
  const done = await registry.apply(writes, { atomic: true });
  if (!done.ok) {
    throw new UserError(`The registry does not take the certificate authority: ${done.error.message}.`, {
      fix: 'see that the registry can be reached and has space, then start again',
    });
  }
  await list.refresh();
}

/** What versions before kept in the clear, once it is kept encrypted and known. */
async function removePlainKey({ directory, keys, log }: FoundingServices): Promise<void> {
  const path = join(directory, plainKeyFile);
  const text = await readIfPresent(path);
  if (text === undefined || !(keys instanceof KeyFiles)) return;
  if (keys.signer(keys.adopt(parsePlainKey(text, path)).id) === undefined) return;
  await removePrivateFile(path);
  log.info('pki.plain.key.removed', { path });
}
