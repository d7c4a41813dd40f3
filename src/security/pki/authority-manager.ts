// What an operator does with our own authorities (the contract is ca-management.ts). One thing at a time: two rotations at once would
// retire each other's work.

import type { KeyObject } from 'node:crypto';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { type AuthorityStatus, type Owner, type RevocationReason } from '../../registry/entries.ts';
import type { Write } from '../../registry/registry.ts';
import { crossCertificate, issuingCertificate, rootCertificate } from './authority-certificates.ts';
import { KeyFiles, type NewKey } from './authority-keys.ts';
import { caFault, registryFault } from './ca-fault.ts';
import { factsOf, type KnownAuthority } from './authority-list.ts';
import { viewOf, type BuiltInPki } from './built-in-pki.ts';
import type { By, CaFault, CaManagement, CaResult, CaStatus, ForeignSettings, Impact, Rotation } from './ca-management.ts';
import { revokeAll, revokeOne } from './certificate-revocation.ts';
import { decryptPrivateKey, encryptPrivateKey } from './encrypted-key.ts';
import { proveForeign, registerForeign } from './foreign-registration.ts';
import { authorityWrite, found } from './founding.ts';
import { impactOf } from './impact.ts';
import { fingerprintOf } from './issuance.ts';
import type { AuthorityView, KeyAlgorithm, Signer } from './pki.ts';
import { algorithmOf } from './software-signer.ts';

const passphraseLength = { min: 8, max: 1024 } as const;
const maxImportLength = 65_536;

export class AuthorityManager implements CaManagement {
  readonly #pki: BuiltInPki;
  #last: Promise<unknown> = Promise.resolve();

  constructor(pki: BuiltInPki) {
    this.#pki = pki;
  }

  status(): CaStatus {
    const { list, keys, sealer } = this.#pki.services;
    const audit = this.#pki.auditKey && new X509Certificate(this.#pki.auditKey.certificate);
    return {
      authorities: this.#pki.authorities,
      activeRoot: list.active('root')[0]?.entry.id,
      activeIssuing: list.active('issuing')[0]?.entry.id,
      protection: keys.kind === 'hsm' ? 'hsm' : sealer.source,
      auditKey: audit && { fingerprint: fingerprintOf(audit), notAfterMs: audit.validToDate.getTime() },
      trustFile: this.#pki.trustFile,
    };
  }

  init(options: { readonly algorithm?: KeyAlgorithm }, by: By): Promise<CaResult<CaStatus>> {
    return this.#alone(async () => {
      const { list, settings } = this.#pki.services;
      if (list.active('issuing').length > 0) return caFault('exists', 'There is a certificate authority already.');
      const wanted = settings();
      await found({ ...wanted, algorithm: options.algorithm ?? wanted.algorithm }, this.#pki.services);
      await this.#pki.settled();
      if (list.active('issuing').length === 0) return caFault('unavailable', 'The key of the root is not on this node.');
      this.#tell(by, 'authority.init', `authority/${list.active('root')[0]?.entry.id ?? ''}`);
      return { ok: true, value: this.status() };
    });
  }

  async impact(
    of: { readonly what: 'issuing' | 'root' } | { readonly id: string },
    page: { readonly limit?: number; readonly after?: string },
  ): Promise<CaResult<Impact>> {
    const { list } = this.#pki.services;
    const id = 'id' in of ? of.id : list.active(of.what)[0]?.entry.id;
    if (id === undefined || list.get(id) === undefined) return caFault('not-found', 'There is no such authority.');
    return impactOf(id, page, this.#pki.services);
  }

  rotate(options: { readonly what: 'issuing' | 'root'; readonly algorithm?: KeyAlgorithm }, by: By): Promise<CaResult<Rotation>> {
    return this.#alone(async () => {
      const algorithm = options.algorithm ?? this.#pki.services.settings().algorithm;
      const done = options.what === 'root' ? await this.#rotateRoot(algorithm) : await this.#rotateIssuing(algorithm);
      const target = `authority/${done.ok ? (done.value.root ?? done.value.issuing).id : options.what}`;
      const details = done.ok
        ? { what: options.what, retiring: done.value.retiring.length }
        : { what: options.what, code: done.error.code };
      this.#tell(by, 'authority.rotate', target, done, details);
      return done;
    });
  }

  async #rotateIssuing(algorithm: KeyAlgorithm): Promise<CaResult<Rotation>> {
    const { list, keys } = this.#pki.services;
    const root = list.active('root').find(({ entry }) => keys.signer(entry.id) !== undefined);
    if (root === undefined) {
      return caFault('unavailable', 'The key of the root is not on this node: bring it back with "heliograph ca import".');
    }
    const old = list.active('issuing');
    const signer = keys.signer(root.entry.id)!;
    return this.#putInForce(algorithm, { facts: root.facts, signer }, root.entry.id, [], old, undefined, false);
  }

  async #rotateRoot(algorithm: KeyAlgorithm): Promise<CaResult<Rotation>> {
    const { services } = this.#pki;
    const { list, keys, settings } = services;
    const old = list.active('root');
    const key = await keys.create(algorithm);
    const certificate = await rootCertificate(key.signer, settings().rootValidityDays, services);
    const facts = factsOf(certificate)!;
    // With the old root's word for the new one, whoever knows only the old one goes on until the old one is retired.
    const above = old.find(({ entry }) => keys.signer(entry.id) !== undefined);
    const plan = { days: 0, publicUrl: settings().publicUrl };
    const cross = above && (await crossCertificate(facts, { facts: above.facts, signer: keys.signer(above.entry.id)! }, plan, services));
    await key.keep(cross === undefined ? [certificate] : [certificate, cross]);
    const writes = [authorityWrite(certificate, facts, 'root', 'active')];
    const retiring = [...old, ...list.active('issuing')];
    return this.#putInForce(algorithm, { facts, signer: key.signer }, key.id, writes, retiring, key.id, cross !== undefined);
  }

  /** A new issuing authority below `above`, and in the same step the old ones retiring. */
  async #putInForce(
    algorithm: KeyAlgorithm,
    above: { readonly facts: KnownAuthority['facts']; readonly signer: Signer },
    aboveId: string,
    writes: readonly Write[],
    retiring: readonly KnownAuthority[],
    newRoot: string | undefined,
    crossSigned: boolean,
  ): Promise<CaResult<Rotation>> {
    const { services } = this.#pki;
    const { list, keys, registry, settings } = services;
    let key: NewKey;
    let certificate: string;
    try {
      key = await keys.create(algorithm);
      const { issuingValidityDays: days, publicUrl } = settings();
      certificate = await issuingCertificate(key.signer, above, { days, publicUrl }, services);
      await key.keep([certificate]);
    } catch {
      return caFault('unavailable', 'A key of the authority cannot be used now.');
    }
    const done = await registry.apply(
      [
        ...writes,
        authorityWrite(certificate, factsOf(certificate)!, 'issuing', 'active', aboveId),
        ...retiring.map(({ entry }) => statusWrite(entry, 'retiring')),
      ],
      { atomic: true },
    );
    if (!done.ok) return registryFault(done.error);
    await list.refresh();
    await this.#pki.settled();
    const view = (id: string): AuthorityView => viewOf(list.get(id)!.entry, keys);
    const root = newRoot === undefined ? undefined : view(newRoot);
    return { ok: true, value: { issuing: view(key.id), root, retiring: retiring.map(({ entry }) => entry.id), crossSigned } };
  }

  retire(id: string, { force }: { readonly force?: boolean }, by: By): Promise<CaResult<readonly string[]>> {
    return this.#alone(async () => {
      const done = await this.#retire(id, force === true);
      this.#tell(by, 'authority.retire', `authority/${id}`, done, done.ok ? { force: force === true } : { code: done.error.code });
      return done;
    });
  }

  async #retire(id: string, isForced: boolean): Promise<CaResult<readonly string[]>> {
    const { list, registry } = this.#pki.services;
    const authority = list.get(id);
    if (authority === undefined) return caFault('not-found', 'There is no such authority.');
    if (authority.entry.status === 'retired') return caFault('conflict', 'The authority is retired already.');
    const ends = [authority, ...list.all.filter(({ entry }) => list.above(entry.id).includes(authority))].filter(
      ({ entry }) => entry.status !== 'retired',
    );
    if (authority.isOwn) {
      const stays = list.active('issuing').some((one) => !ends.includes(one) && list.isTrusted(one.entry.id));
      const isUnused = ends.every(({ entry }) => entry.status === 'pending');
      // Not even with force: nothing could be issued any more, and the listeners would have no certificate.
      if (!stays && !isUnused) return caFault('in-use', 'It is the last authority that can issue: rotate it first.');
    }
    if (!isForced && authority.entry.status !== 'pending') {
      const impact = await impactOf(id, { limit: 1 }, this.#pki.services);
      if (!impact.ok) return impact;
      const { cutOff } = impact.value;
      if (cutOff > 0) {
        return caFault('in-use', `${cutOff} would be cut off, because they have no other certificate yet; see the dry run, or use force.`);
      }
    }
    const done = await registry.apply(
      ends.map(({ entry }) => statusWrite(entry, 'retired')),
      { atomic: true },
    );
    if (!done.ok) return registryFault(done.error);
    await list.refresh();
    await this.#pki.settled();
    return { ok: true, value: ends.map(({ entry }) => entry.id) };
  }

  exportKey(
    id: string,
    { passphrase, remove }: { readonly passphrase: string; readonly remove?: boolean },
    by: By,
  ): Promise<CaResult<{ readonly pem: string }>> {
    return this.#alone(async () => {
      const done = await this.#export(id, passphrase, remove === true);
      this.#tell(by, 'authority.export', `authority/${id}`, done, done.ok ? { removed: remove === true } : { code: done.error.code });
      return done;
    });
  }

  async #export(id: string, passphrase: string, isMove: boolean): Promise<CaResult<{ readonly pem: string }>> {
    const { list, keys, random } = this.#pki.services;
    const authority = list.get(id);
    if (authority === undefined || !authority.isOwn) return caFault('not-found', 'There is no such authority of our own.');
    if (passphrase.length < passphraseLength.min || passphrase.length > passphraseLength.max) {
      const { min, max } = passphraseLength;
      return caFault('invalid', `The passphrase must have ${min} to ${max} characters.`, 'passphrase');
    }
    if (isMove && authority.entry.role !== 'root') {
      return caFault('invalid', 'Only a root can be taken offline: an issuing authority signs every day.', 'remove');
    }
    if (!(keys instanceof KeyFiles)) return caFault('unavailable', 'The key is in an HSM, which never gives it away.');
    const key = await keys.key(id);
    if (key === undefined) return caFault('unavailable', 'The key is not on this node.');
    const encrypted = await encryptPrivateKey(key, { secret: passphrase, source: 'passphrase' }, random);
    const pem = encrypted + keys.certificates(id).join('');
    if (isMove) {
      await keys.forget(id);
      this.#pki.keysChanged();
    }
    return { ok: true, value: { pem } };
  }

  importKey({ pem, passphrase }: { readonly pem: string; readonly passphrase: string }, by: By): Promise<CaResult<AuthorityView>> {
    return this.#alone(async () => {
      const done = await this.#import(pem, passphrase);
      const target = `authority/${done.ok ? done.value.id : ''}`;
      this.#tell(by, 'authority.import', target, done, done.ok ? {} : { code: done.error.code });
      return done;
    });
  }

  async #import(pem: string, passphrase: string): Promise<CaResult<AuthorityView>> {
    const { list, keys } = this.#pki.services;
    if (!(keys instanceof KeyFiles)) return caFault('unavailable', 'Keys are in an HSM, which takes none from a file.');
    if (pem.length > maxImportLength) return caFault('invalid', 'The file is too large.', 'pem');
    const key = pem.includes('ENCRYPTED') ? await decryptPrivateKey(pem, passphrase) : plainKey(pem);
    if (key === undefined) {
      const isLocked = pem.includes('ENCRYPTED');
      return caFault(
        isLocked ? 'wrong-passphrase' : 'invalid',
        isLocked ? 'The passphrase does not open the key.' : 'The file holds no private key.',
      );
    }
    if (algorithmOf(key) === undefined) return caFault('invalid', 'The key is of a kind that authorities here do not have.', 'pem');
    const kept = keys.adopt(key);
    const authority = list.get(kept.id);
    if (authority === undefined || !authority.isOwn) return caFault('not-found', 'The key belongs to no authority of ours.');
    const certificates = (pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\r?\n?/g) ?? []).slice(1);
    const cross = certificates.filter((one) => factsOf(one)?.keyId === kept.id);
    await kept.keep([authority.entry.certificate, ...cross]);
    this.#pki.keysChanged();
    return { ok: true, value: viewOf(authority.entry, keys) };
  }

  register(
    given: { readonly tenant: string; readonly certificate: string } & ForeignSettings,
    by: By,
  ): Promise<CaResult<{ readonly authority: AuthorityView; readonly nonce: string }>> {
    return this.#alone(async () => {
      const done = await registerForeign(given, this.#pki.services);
      const target = `authority/${done.ok ? done.value.authority.id : ''}`;
      this.#tell(by, 'authority.register', target, done, { tenant: given.tenant, ...(done.ok ? {} : { code: done.error.code }) });
      return done;
    });
  }

  prove(given: { readonly tenant: string; readonly id: string; readonly proof: string }, by: By): Promise<CaResult<AuthorityView>> {
    return this.#alone(async () => {
      const done = await proveForeign(given, this.#pki.services);
      this.#tell(by, 'authority.prove', `authority/${given.id}`, done, {
        tenant: given.tenant,
        ...(done.ok ? {} : { code: done.error.code }),
      });
      return done;
    });
  }

  async revoke(
    given: { readonly fingerprint: string; readonly reason?: RevocationReason },
    by: By,
  ): Promise<CaResult<{ readonly revoked: number }>> {
    const done = await revokeOne(given, this.#pki.services);
    const details = {
      reason: given.reason ?? 'privilegeWithdrawn',
      ...(done.ok ? { revoked: done.value.revoked } : { code: done.error.code }),
    };
    this.#tell(by, 'certificate.revoke', `certificate/${given.fingerprint}`, done, details);
    return done;
  }

  async revokeAll(
    given: { readonly tenant: string; readonly owner: Owner; readonly reason?: RevocationReason },
    by: By,
  ): Promise<CaResult<{ readonly revoked: number }>> {
    const { tenant, owner } = given;
    const done = await revokeAll(given, this.#pki.services);
    const details = {
      reason: given.reason ?? 'privilegeWithdrawn',
      ...(done.ok ? { revoked: done.value.revoked } : { code: done.error.code }),
    };
    this.#tell(by, 'certificate.revoke', `${owner.kind}/${tenant}/${owner.id}`, done, details);
    return done;
  }

  /** One after the other, whatever becomes of the one before. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#last.then(work, work);
    this.#last = next.catch(() => {});
    return next;
  }

  #tell(
    { actor, from }: By,
    action: string,
    target: string,
    result: { readonly ok: boolean; readonly error?: CaFault } = { ok: true },
    details: Readonly<Record<string, string | number | boolean>> = {},
  ): void {
    const outcome = result.ok ? 'done' : result.error?.code === 'unavailable' ? 'failed' : 'refused';
    this.#pki.services.audit.record({ actor, from, action, target, outcome, details });
  }
}

function statusWrite({ tenant, id, version }: KnownAuthority['entry'], status: AuthorityStatus): Write<'authority'> {
  return { do: 'update', kind: 'authority', tenant, id, fields: { status }, version };
}

function plainKey(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}
