// Accounts with secrets: the users of the configuration, and whoever has credentials in the registry. The configuration wins:
// it is what the operator reads.
//
// Who does not exist is looked up in the same way as who does, so that the time of the answer tells nothing.

import type { Clock } from '../../base/clock.ts';
import type { CredentialType, Entry, Owner } from '../../registry/entries.ts';
import type { LookUps, NowOrLater, Result } from '../../registry/registry.ts';
import { parsePasswordHash, type PasswordHash } from '../password-hash.ts';
import type { UserDirectory } from '../user-directory.ts';
import type { Identity } from './authenticator.ts';
import { knownPrincipal } from './known-principal.ts';
import { whenKnown } from './now-or-later.ts';

export type Secret = { readonly text: string; readonly expiresAtMs: number | undefined };

export type Account = {
  readonly identity: Identity;
  /** In the registry; undefined: it stands in the configuration. */
  readonly owner: Owner | undefined;
  /** Those of the type that was asked for, and still good; the newest first. */
  readonly secrets: readonly Secret[];
};

export type FoundHash = { readonly secret: Secret; readonly hash: PasswordHash };

/** Older ones do not count: a check of a password has to try them all. Two, so that one can be replaced without a gap. */
const maxSecrets = 2;

export class Accounts {
  readonly #users: UserDirectory;
  readonly #lookUps: LookUps | undefined;
  readonly #clock: Clock;

  constructor(users: UserDirectory, lookUps: LookUps | undefined, clock: Clock) {
    this.#users = users;
    this.#lookUps = lookUps;
    this.#clock = clock;
  }

  /** Undefined: there is none, or it has no secret of this type. 'unavailable': the registry does not answer. */
  find(tenant: string, name: string, type: CredentialType): NowOrLater<Account | undefined | 'unavailable'> {
    const configured = this.#users.find(tenant, name);
    if (configured !== undefined) {
      const { roles, passwordHash } = configured;
      // Passwords alone do not tell people from programs.
      const kind = roles.includes('device') ? 'device' : 'application';
      const secrets = type === 'password' ? [{ text: passwordHash, expiresAtMs: undefined }] : [];
      return secrets.length === 0 ? undefined : { identity: { tenant, id: name, kind, roles }, owner: undefined, secrets };
    }
    const lookUps = this.#lookUps;
    if (lookUps === undefined) return undefined;
    return whenKnown(knownPrincipal(lookUps, tenant, name), (found) => {
      if (!found.ok) return 'unavailable';
      const owner: Owner = { kind: found.value?.kind ?? 'user', id: name };
      return whenKnown(lookUps.credentials(tenant, owner), (credentials: Result<readonly Entry<'credential'>[]>) => {
        if (!credentials.ok) return 'unavailable';
        if (found.value === undefined) return undefined;
        const secrets = this.#secretsOf(credentials.value, type);
        return secrets.length === 0 ? undefined : { identity: { tenant, id: name, kind: owner.kind }, owner, secrets };
      });
    });
  }

  #secretsOf(credentials: readonly Entry<'credential'>[], type: CredentialType): readonly Secret[] {
    const nowMs = this.#clock.wallMs();
    return credentials
      .filter((one) => one.type === type && (one.expiresAtMs === undefined || one.expiresAtMs > nowMs))
      .sort((one, other) => other.version - one.version)
      .slice(0, maxSecrets)
      .map(({ secret: text, expiresAtMs }) => ({ text, expiresAtMs }));
  }
}

/** The hashes among the secrets; what cannot be read is none. */
export function hashesOf({ secrets }: Account): readonly FoundHash[] {
  return secrets.flatMap((secret) => {
    const hash = parsePasswordHash(secret.text);
    return hash === undefined ? [] : [{ secret, hash }];
  });
}
