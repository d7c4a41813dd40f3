// Peers that show nothing, where they are welcome. A wrong password never ends up here: who shows something is judged by it.

import type { Access, Credentials } from '../security.ts';
import type { Authenticator, Identity, Verdict } from './authenticator.ts';

/** `listeners`: only there; empty or absent: everywhere. */
export type AnonymousPolicy = { readonly roles: readonly string[]; readonly tenant?: string; readonly listeners?: readonly string[] };

/** Whoever proves to be somebody cannot be this one: sessions and answers belong to ids. */
export const anonymousId = 'anonymous';

export class AnonymousAuthenticator implements Authenticator {
  readonly method = 'anonymous';
  readonly #policy: () => AnonymousPolicy | undefined;
  readonly #defaultTenant: string;

  /** `policy`: what is in force now; undefined: nobody comes in this way. */
  constructor(policy: () => AnonymousPolicy | undefined, defaultTenant: string) {
    this.#policy = policy;
    this.#defaultTenant = defaultTenant;
  }

  authenticate(credentials: Credentials, answer: (verdict: Verdict) => void): void {
    const { username, password, pskIdentity, rawPublicKey, oscoreContext, listener } = credentials;
    const shown = username ?? password ?? pskIdentity ?? rawPublicKey ?? oscoreContext;
    if (shown !== undefined) return answer({ kind: 'next' });
    const policy = this.#policy();
    if (policy === undefined || !isWelcome(policy, listener)) return answer({ kind: 'next', reason: 'no-credentials' });
    const { tenant = this.#defaultTenant, roles } = policy;
    answer({ kind: 'proved', identity: { tenant, id: anonymousId, kind: 'anonymous', roles } });
  }

  reassess(identity: Identity, { listener }: Access): Identity | 'barred' {
    const policy = this.#policy();
    if (policy === undefined || !isWelcome(policy, listener)) return 'barred';
    return (policy.tenant ?? this.#defaultTenant) === identity.tenant ? { ...identity, roles: policy.roles } : 'barred';
  }
}

export function isWelcome({ listeners = [] }: AnonymousPolicy, listener: string): boolean {
  return listeners.length === 0 || listeners.includes(listener);
}
