// The certificate authority of this house: keys of this node, authorities of the registry, and what is issued with both.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../../base/log.ts';
import type { MetricSource, Sample } from '../../base/metrics.ts';
import { makePrivateDirectory, writePrivateFile } from '../../base/private-file.ts';
import { UserError } from '../../base/user-error.ts';
import { systemScope } from '../../registry/entries.ts';
import { openAuditKey, type AuditKey } from './audit-key.ts';
import { openKeyFiles, type AuthorityKeys } from './authority-keys.ts';
import { AuthorityList, type KnownAuthority } from './authority-list.ts';
import { recordAuthorities } from './authority-records.ts';
import { found, trustFileName, type FoundingServices, type FoundingSettings } from './founding.ts';
import { Issuance, type IssueSettings } from './issuance.ts';
import type { AuthorityView, IssuedCertificate, IssueRequest, IssueWithKeyRequest, Pki, PkiResult, Signer } from './pki.ts';
import type { Sealer } from './sealing.ts';

export type PkiSettings = FoundingSettings & IssueSettings;

export type PkiServices = Omit<FoundingServices, 'list' | 'keys'> & {
  readonly sealer: Sealer;
  /** Absent: files below the directory. */
  readonly keys?: AuthorityKeys;
  readonly settings: () => PkiSettings;
};

/**
 * Opens the authority, and makes what is missing. The registry must answer.
 * @throws UserError when keys are damaged, locked or lost, or the registry does not answer
 */
export async function openPki(services: PkiServices): Promise<BuiltInPki> {
  const { directory, registry, log, settings } = services;
  await makePrivateDirectory(directory);
  const list = new AuthorityList(registry, log);
  const read = await list.open();
  try {
    if (!read.ok)
      throw new UserError(`The registry does not tell the authorities: ${read.error.message}.`, { fix: 'see that it can be reached' });
    const keys = services.keys ?? (await openKeyFiles(join(directory, 'keys'), services));
    await found(settings(), { ...services, list, keys });
    const pki = new BuiltInPki({ ...services, list, keys });
    await pki.open();
    return pki;
  } catch (error) {
    await list.close();
    throw error;
  }
}

export type OpenServices = PkiServices & Pick<FoundingServices, 'list' | 'keys'>;

export class BuiltInPki implements Pki, MetricSource {
  /** For who manages authorities; the rest of the house knows Pki. */
  readonly services: OpenServices;
  readonly issuance: Issuance;
  readonly #listeners = new Set<() => void>();
  #auditKey: AuditKey | undefined;
  #authorities: readonly AuthorityView[] = [];
  #anchors: readonly string[] = [];
  #following: Promise<void> = Promise.resolve();
  #isOpen = true;

  /** Use openPki. */
  constructor(services: OpenServices) {
    this.services = services;
    this.issuance = new Issuance(services);
  }

  async open(): Promise<void> {
    this.#derive();
    await this.#follow();
    this.services.list.subscribe(() => {
      this.keysChanged();
      void this.settled();
    });
  }

  /** Lets go of the registry; what is under way ends first. */
  async close(): Promise<void> {
    this.#isOpen = false;
    await this.services.list.close();
    await this.#following;
    this.services.keys.close?.();
  }

  get log(): Log {
    return this.services.log;
  }

  /** PEM file of the roots, for clients to trust. */
  get trustFile(): string {
    return join(this.services.directory, trustFileName);
  }

  /** PEM of the roots in force, the active one first. */
  get trustAnchors(): string {
    const { list } = this.services;
    const roots = list.all.filter(({ entry, isOwn }) => isOwn && entry.role === 'root' && list.isTrusted(entry.id));
    const rank = ({ entry }: KnownAuthority): number => (entry.status === 'active' ? 0 : 1);
    return roots
      .toSorted((a, b) => rank(a) - rank(b) || b.entry.version - a.entry.version)
      .map(({ entry }) => entry.certificate)
      .join('');
  }

  get authorities(): readonly AuthorityView[] {
    return this.#authorities;
  }

  get clientAnchors(): readonly string[] {
    return this.#anchors;
  }

  get auditKey(): AuditKey | undefined {
    return this.#auditKey;
  }

  signerOf(authorityId: string): Signer | undefined {
    return this.services.keys.signer(authorityId);
  }

  issue(request: IssueRequest): Promise<PkiResult<IssuedCertificate>> {
    return this.issuance.issue(request);
  }

  issueWithKey(request: IssueWithKeyRequest): Promise<PkiResult<IssuedCertificate & { readonly privateKey: string }>> {
    return this.issuance.issueWithKey(request);
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Keys have come to this node, or left it. */
  keysChanged(): void {
    this.#derive();
    for (const listener of this.#listeners) listener();
  }

  /** Files and the audit key have followed what the registry says; also to be called about once an hour. */
  settled(): Promise<void> {
    this.#following = this.#following.then(async () => {
      if (!this.#isOpen) return;
      try {
        await this.#follow();
      } catch (error) {
        this.log.error('pki.files.not.written', { error: (error as Error).message });
      }
    });
    return this.#following;
  }

  async #follow(): Promise<void> {
    const anchors = this.trustAnchors;
    if (anchors !== '' && (await readFile(this.trustFile, 'utf8').catch(() => undefined)) !== anchors) {
      await writePrivateFile(this.trustFile, anchors);
    }
    const { settings, list, keys } = this.services;
    await recordAuthorities(this.services);
    for (const { entry, isOwn } of list.all) {
      if (isOwn && entry.status === 'retired' && keys.signer(entry.id) !== undefined) await keys.noteRetired?.(entry.id);
    }
    const before = this.#auditKey?.certificate;
    this.#auditKey = await openAuditKey(settings().algorithm, { ...this.services, issuance: this.issuance });
    if (before !== undefined && this.#auditKey?.certificate !== before) for (const listener of this.#listeners) listener();
  }

  #derive(): void {
    const { list, keys } = this.services;
    this.#authorities = list.all.map(({ entry }) => viewOf(entry, keys));
    this.#anchors = list.all.filter(({ entry }) => list.isTrusted(entry.id)).map(({ entry }) => entry.certificate);
  }

  *metrics(): Iterable<Sample> {
    const { issued, refused } = this.issuance.counts;
    const help = 'Requests for certificates since the start, by how they ended.';
    for (const [result, value] of Object.entries({ issued, refused })) {
      yield { name: 'heliograph_pki_requests_total', help, type: 'counter', labels: { result }, value };
    }
    for (const { id, role, tenant, status, notAfterMs } of this.#authorities) {
      if (tenant !== systemScope || status === 'retired') continue;
      yield {
        name: 'heliograph_pki_authority_expiry_timestamp_seconds',
        help: 'When an authority expires, in seconds since the epoch.',
        type: 'gauge',
        labels: { id: id.slice(0, 16), role, status },
        value: notAfterMs / 1000,
      };
    }
  }
}

export function viewOf(entry: KnownAuthority['entry'], keys: AuthorityKeys): AuthorityView {
  const { id, role, status, tenant, certificate, subject, issuer, notBeforeMs, notAfterMs } = entry;
  return { id, role, status, tenant, certificate, subject, issuer, notBeforeMs, notAfterMs, hasKey: keys.signer(id) !== undefined };
}
